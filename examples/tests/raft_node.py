"""A node of a replicated dictionary, by PySyncObj: `python raft_node.py SELF OTHER …`.

It speaks Raft on port 7000 with the others, and HTTP on port 8000 with whoever asks:

    PUT /KEY    set KEY to the body: 200 when that is committed, 503 if it is not within a second
    GET /       JSON: the leader that it knows, and all that is committed, as far as it has heard
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pysyncobj import SyncObj, SyncObjConf, SyncObjException
from pysyncobj.batteries import ReplDict

DATA = ReplDict()
HERE, *OTHERS = (f"{name}:7000" for name in sys.argv[1:])
NODE = SyncObj(HERE, OTHERS, SyncObjConf(connectionRetryTime=0.2), consumers=[DATA])


class Door(BaseHTTPRequestHandler):
    """What a client sees of the node."""

    def do_PUT(self) -> None:
        """Return when the value is committed, or when that takes too long."""
        value = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            DATA.set(self.path[1:], value, sync=True, timeout=1)
        except SyncObjException:
            self.send_error(503)
        else:
            self.tell("")

    def do_GET(self) -> None:
        """Tell what is known here, which may be less than others know."""
        leader = NODE.getStatus()["leader"]
        known = {"leader": leader and leader.address.split(":")[0], "data": DATA.rawData()}
        self.tell(json.dumps(known, sort_keys=True))

    def tell(self, text: str) -> None:
        """Answer that all is well."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Door).serve_forever()
