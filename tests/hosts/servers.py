"""The pretend internet's own programs: nginx and dnsmasq, as they are run out there.

203.0.113.80:80     example.org, in both families; answers `hello, HOST`, HOST being whom it sees
192.0.2.53:53       the resolver of the host's LAN, and the one that the host has
9.9.9.9:53          another one, which answers that `example.org` is 203.0.113.99
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.hosts.internet import WEB4, WEB6, says_in
from tests.hosts.netloom import write

PAGE = "example.org"
OTHER = "203.0.113.99"
"""What the resolver far away takes the page's server for."""

DEADLINE = 10_000
"""Milliseconds that a program may take to end."""

NGINX = f"""
user root; pid /run/here/nginx.pid; error_log /run/here/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path /run/here/body; proxy_temp_path /run/here/proxy;
  fastcgi_temp_path /run/here/fastcgi; uwsgi_temp_path /run/here/uwsgi;
  scgi_temp_path /run/here/scgi;
  server {{ listen {WEB4}:80; listen [{WEB6}]:80; return 200 "hello, $remote_addr\\n"; }}
}}
"""
DNSMASQ = """
conf-file=/dev/null
user=root
pid-file=/run/here/dnsmasq-{address}.pid
no-resolv
no-hosts
bind-interfaces
listen-address={address}
"""
RESOLVERS = {"192.0.2.53": (WEB4, WEB6), "9.9.9.9": (OTHER,)}
"""Where resolvers are, and the addresses that each says the page has."""


@contextmanager
def servers() -> Iterator[None]:
    """Have the web server and the resolvers in `beyond`, where nobody knows of a lab."""
    says_in("beyond", "ip", "route", "del", "10.100.0.0/16")
    write("nginx.conf", NGINX)
    with ExitStack() as stack:
        for address, known in RESOLVERS.items():
            lines = "".join(f"address=/{PAGE}/{each}\n" for each in known)
            conf = write(f"dnsmasq-{address}.conf", DNSMASQ.format(address=address) + lines)
            says_in("beyond", "ip", "address", "add", f"{address}/32", "dev", "lo")
            _start(stack, f"dnsmasq-{address}.pid", "dnsmasq", "-C", str(conf.absolute()))
        argv = ("nginx", "-e", "/run/here/error.log", "-c", "/run/here/nginx.conf")
        _start(stack, "nginx.pid", *argv)
        yield


def _start(stack: ExitStack, pid_file: str, *argv: str) -> None:
    """Start a daemon, which returns when it listens; it ends with the stack."""
    says_in("beyond", *argv)
    pidfd = os.pidfd_open(int(Path(pid_file).read_text()))
    stack.callback(_end, pidfd)


def _end(pidfd: int) -> None:
    """End a process, and wait for it."""
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    over = select.poll()
    over.register(pidfd, select.POLLIN)
    ended = over.poll(DEADLINE)
    os.close(pidfd)
    assert ended
