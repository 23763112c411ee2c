"""Record what a kernel tells of a small network, and what `ip` shows of it, for `test_recorded.py`.

    unshare --net --mount python -m tests.wire.record

The network is made by `ip` and the bytes are read off a plain socket: nothing of ours takes part.
"""

import json
import socket
import struct
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent / "recorded"

SETUP = """
link set lo up alias netloom:lab/red
link add name br0 address 02:00:00:00:00:01 type bridge stp_state 1 mcast_snooping 0
link add name a address 02:00:00:00:00:02 mtu 1400 type veth peer name b
link set dev b address 02:00:00:00:00:03
link set dev a master br0 up alias netloom:lab
link property add dev b altname a-name-of-more-than-fifteen-bytes
link set dev b up addrgenmode none group 7
link set dev br0 up
link set dev b mtu 1500
addr add 10.0.0.1/24 dev b
addr add 10.0.0.2/24 dev b
addr add fd00::1/64 dev b nodad
route add default via 10.0.0.9
route add 10.9.0.0/16 table 1000 metric 5 nexthop via 10.0.0.7 weight 2 nexthop via 10.0.0.8 dev b
route add 10.8.0.0/16 via inet6 fe80::1 dev b mtu 1300 advmss 1200
route add blackhole 10.7.0.0/16 proto static
route add fd09::/64 via fd00::9 dev b
route add unreachable fd08::/64
rule add from 10.0.0.0/8 fwmark 1/0xff lookup 1000 priority 50
rule add to 10.0.0.0/8 iif a ipproto tcp dport 80-90 prohibit priority 60
rule add priority 70 from fd00::/8 lookup 1000
""".strip().splitlines()

DUMPS = {"links": (18, 16), "addrs": (22, 8), "routes": (26, 12), "rules": (34, 12)}
SHOWN = {
    "links": ("link",),
    "addrs": ("addr",),
    "routes4": ("-4", "route", "show", "table", "all"),
    "routes6": ("-6", "route", "show", "table", "all"),
    "rules4": ("-4", "rule"),
    "rules6": ("-6", "rule"),
}


def payloads(kind: int, header: int) -> list[str]:
    """Return the payloads of a dump as hexadecimal text."""
    found: list[str] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.send(struct.pack("=IHHII", 16 + header, kind, 0x301, 1, 0) + bytes(header))
        while True:
            data = sock.recv(1 << 18)
            while data:
                length, answer = struct.unpack_from("=IH", data)
                if answer == 3:
                    return found
                found.append(data[16:length].hex())
                data = data[length:]


def record() -> None:
    """Make the network and write down both views of it."""
    for words in SETUP:
        family = ("-6",) if words.startswith("rule") and "fd00" in words else ()
        subprocess.run(("ip", *family, *words.split()), check=True, stdin=subprocess.DEVNULL)
    FOLDER.mkdir(exist_ok=True)
    told = {noun: payloads(*question) for noun, question in DUMPS.items()}
    shown = {
        noun: json.loads(subprocess.check_output(("ip", "-j", "-d", *words)))
        for noun, words in SHOWN.items()
    }
    (FOLDER / "told.json").write_text(json.dumps(told, indent=1) + "\n")
    (FOLDER / "shown.json").write_text(json.dumps(shown) + "\n")


if __name__ == "__main__":
    record()
