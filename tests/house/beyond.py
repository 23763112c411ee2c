"""What pages find beyond the host's card: a web server that tells whom it sees, and a resolver.

203.0.113.80:80     example.org; answers `hello, HOST` with the address that the request came from
192.0.2.53:53       the resolver of the host's LAN, and the one that the host has
203.0.113.53:53     another one, which answers that `example.org` is 203.0.113.99
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.hosts.internet import WEB4, inside, says_in, server

NAME = "example.org"
RESOLVERS = {
    "192.0.2.53": WEB4,
    "203.0.113.53": "203.0.113.99",
    "9.9.9.9": "203.0.113.99",
}
"""Where resolvers are, and what each says of the name."""

_A = 1
_NO_SUCH_NAME = 3


@contextmanager
def internet() -> Iterator[None]:
    """Have the web server and the resolvers in `beyond`."""
    says_in("beyond", "ip", "route", "del", "10.100.0.0/16")  # nobody out there knows of a lab
    for address in RESOLVERS:
        says_in("beyond", "ip", "address", "add", f"{address}/32", "dev", "lo")
    with ExitStack() as stack:
        stack.enter_context(server("beyond", 80, _hello))
        for address, known in RESOLVERS.items():
            sock = inside("beyond", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((address, 53))
            stack.callback(sock.close)
            stack.callback(_shut, sock)
            threading.Thread(target=_resolve, args=(sock, known), daemon=True).start()
        yield


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _hello(conn: socket.socket, peer: str) -> None:
    conn.recv(1 << 16)
    said = f"hello, {peer}\n".encode()
    conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))


def _resolve(sock: socket.socket, known: str) -> None:
    with suppress(OSError):
        while True:
            asked, peer = sock.recvfrom(512)
            if not asked:  # it was shut down
                break
            with suppress(OSError):  # whoever asks may have no address that leads back
                sock.sendto(_answer(asked, known), peer)


def _answer(asked: bytes, known: str) -> bytes:
    """Return the answer to a question (RFC 1035, 4.1); other names than ours do not exist."""
    end = asked.index(b"\0", 12) + 5
    question = asked[12:end]
    labels = b"".join(bytes([len(part)]) + part.encode() for part in NAME.split("."))
    is_known = question[:-5].lower() == labels
    has = is_known and int.from_bytes(question[-4:-2], "big") == _A
    flags = 0x8180 | (0 if is_known else _NO_SUCH_NAME)
    counts = b"".join(number.to_bytes(2, "big") for number in (1, int(has), 0, 0))
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(known) if has else b""
    return asked[:2] + flags.to_bytes(2, "big") + counts + question + record
