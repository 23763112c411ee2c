"""Packets of many interfaces in many namespaces, put into one pcapng file by one thread.

A socket of AF_PACKET (packet(7)) is opened in each namespace and bound to one interface; it stays
there wherever the thread goes, so one loop hears them all. It is made without a protocol, and gets
one only with its interface: nothing of another interface ever gets in.

Each packet bears the kernel's own time. In a round, all that has come before the round began is
taken from every socket and sorted by that time, so the file is in order across namespaces. What
ends a capture ends it the same way: packets from before are still written, later ones are not.

VLAN tags, which the kernel takes out of a packet before it is seen here, are put back.
"""

import ctypes
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from struct import Struct
from typing import BinaryIO, NamedTuple

from netloom.errors import KernelError, Unavailable
from netloom.host.byhand.stamps import SO_TIMESTAMPNS, nanoseconds, stamping
from netloom.kernel.closing import Closing
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.open_files import make_room
from netloom.namespaces.enter import in_thread, setns
from netloom.namespaces.targets import Target
from netloom.wire import pcapng
from netloom.wire.rtnetlink import SeenLink, dump_links, read_links

SNAPLEN = 262_144
"""Bytes of a packet that are kept: more than any has, be it put together by GRO."""

_BUFFER = 8 << 20
_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_AUXDATA = 8
_SO_RCVBUFFORCE = 33
_VLAN_AT = 12  # behind the two addresses of Ethernet
_TP_STATUS_VLAN_VALID = 1 << 4
_TP_STATUS_VLAN_TPID_VALID = 1 << 6
_ETH_P_8021Q = 0x8100

_STATISTICS = Struct("=II")
_AUXDATA = Struct("=IIIHHHH")
_TAG = Struct("!HH")
_SOCKADDR_LL = Struct("=HHiHBB8s")
_ANCILLARY = socket.CMSG_SPACE(_AUXDATA.size) + socket.CMSG_SPACE(16)  # a timespec

_libc = ctypes.CDLL(None, use_errno=True)

_LOOPBACK = 772
LINKTYPES = {
    1: pcapng.LINKTYPE_ETHERNET,
    _LOOPBACK: pcapng.LINKTYPE_ETHERNET,
    512: pcapng.LINKTYPE_PPP,
    **dict.fromkeys((519, 768, 769, 776, 65534), pcapng.LINKTYPE_RAW),
    801: 105,  # IEEE 802.11
    803: 127,  # the same with a radiotap header
}
"""What packets of a kind of device begin with, by ARPHRD_* (linux/if_arp.h): tunnels and tun have
no header of their own. LINKTYPE_* by tcpdump.org."""

_WAYS = {
    0: pcapng.INBOUND | pcapng.UNICAST,
    1: pcapng.INBOUND | pcapng.BROADCAST,
    2: pcapng.INBOUND | pcapng.MULTICAST,
    3: pcapng.INBOUND | pcapng.PROMISCUOUS,
    4: pcapng.OUTBOUND,
}
"""The flags of a packet by sll_pkttype (packet(7))."""
_OUTGOING = 4


class CaptureSource(NamedTuple):
    """An interface to be heard, in an open namespace."""

    target: Target
    link: str

    def __str__(self) -> str:
        """Return it as people write it: `red:eth0`."""
        return f"{self.target.text}:{self.link}"


class Ending(NamedTuple):
    """What ends a capture: a number of packets, a number of seconds, a readable descriptor."""

    stop: int
    packets: int | None = None
    seconds: float | None = None


class CaptureCounts(NamedTuple):
    """How many packets are in the file, and how many found no room in the kernel's buffers."""

    packets: int
    dropped: int


class _Listener:
    """A socket that hears one interface."""

    def __init__(self, source: CaptureSource, number: int) -> None:
        """Open it in the namespace that the calling thread is in."""
        self.source = source
        self.number = number
        self.received = self.dropped = 0
        self.down = False
        self.sock = _prepared(source.link)
        self.arphrd: int = self.sock.getsockname()[3]

    def read(self, buffer: memoryview, until: int) -> Iterator[pcapng.Packet]:
        """Yield what has come, up to the first packet from later than `until`."""
        try:
            yield from read_packets(self.sock, buffer, until, lambda *_: self.number)
        except OSError:  # ENETDOWN, told once each time that the interface goes down
            self.down = True

    def count(self) -> None:
        """Add what the kernel counted since it was asked last."""
        received, dropped = counted(self.sock)
        self.received += received
        self.dropped += dropped


def _prepared(link: str) -> socket.socket:
    """Return a socket that hears an interface, or all that are there and will be, for `""`."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:  # root of a user namespace alone
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setblocking(False)  # noqa: FBT003
        if link:
            sock.bind((link, _ETH_P_ALL))
        else:
            _bind_to_all(sock)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_to_all(sock: socket.socket) -> None:
    """Bind to index 0 (packet(7)), for which Python's own `bind` has no word."""
    protocol = socket.htons(_ETH_P_ALL)
    place = _SOCKADDR_LL.pack(socket.AF_PACKET, protocol, 0, 0, 0, 0, b"")
    if _libc.bind(sock.fileno(), place, len(place)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sniff_all() -> socket.socket:
    """Return a socket that hears every interface of the calling thread's namespace, new ones too.

    Closing it waits for RCU, some 10 ms: better on a thread that nobody waits for.
    """
    return _prepared("")


def read_packets(
    sock: socket.socket, buffer: memoryview, until: int, number_of: Callable[[str, int], int]
) -> Iterator[pcapng.Packet]:
    """Yield what has come, up to the first packet from later than `until`.

    `number_of` says by name and ARPHRD_* which interface of the file it was, -1 for none. The name
    is empty where the interface is gone by now.
    """
    while True:
        try:
            size, ancillary, _, place = sock.recvmsg_into([buffer], _ANCILLARY)
        except BlockingIOError:
            return
        link, _, kind, arphrd = place[:4]
        if kind == _OUTGOING and arphrd == _LOOPBACK:
            continue  # it comes in again
        number = number_of(link, arphrd)
        if number >= 0:
            packet = _packet(number, bytes(buffer[:size]), ancillary, _WAYS.get(kind, 0))
            yield packet
            if packet.time > until:
                return


def counted(sock: socket.socket) -> tuple[int, int]:
    """Return how many packets a socket was given and how many found no room, since asked last."""
    counts = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
    received, dropped = _STATISTICS.unpack(counts)
    return received, dropped


def _packet(
    number: int, data: bytes, ancillary: list[tuple[int, int, bytes]], flags: int
) -> pcapng.Packet:
    when, length = time.time_ns(), len(data)
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            when = nanoseconds(value)
        elif level == _SOL_PACKET and kind == _PACKET_AUXDATA:
            status, length, _, _, _, tag, protocol = _AUXDATA.unpack_from(value)
            if status & _TP_STATUS_VLAN_VALID:
                known = status & _TP_STATUS_VLAN_TPID_VALID
                vlan = _TAG.pack(protocol if known else _ETH_P_8021Q, tag)
                data = data[:_VLAN_AT] + vlan + data[_VLAN_AT:]
                length += len(vlan)
    return pcapng.Packet(number, when, data, length, flags)


# ── the interfaces ────────────────────────────────────────────────────────────────────────


def links_of(target: Target) -> list[SeenLink]:
    """Return the interfaces of a namespace; raises `Unavailable` where it may not be entered."""

    def look() -> list[SeenLink]:
        setns(target.netns)
        with Rtnetlink() as rt:
            return read_links(rt.dump(dump_links()))

    try:
        return in_thread(look)
    except KernelError as error:
        raise Unavailable(f"cannot look into `{target.text}`: {error}", "run it as root") from error


class Sniffer(Closing):
    """All sockets of a capture: once it is made, no packet is missed."""

    def __init__(self, sources: Sequence[CaptureSource]) -> None:
        """Open and bind them all; raises `Unavailable` with the interface that refuses."""
        self.listeners: list[_Listener] = []
        self.began = time.time_ns()
        with ExitStack() as stack:
            with suppress(OSError):  # then the first packets may bear the time of their reading
                stack.enter_context(in_thread(stamping))
            try:
                in_thread(self._open, sources)
            except Unavailable:
                self.close()
                raise

    def _open(self, sources: Sequence[CaptureSource]) -> None:
        make_room(2 * len(sources))
        for source in sources:
            try:
                setns(source.target.netns)
                each = _Listener(source, len(self.listeners))
            except OSError as error:
                reason = f"cannot capture on `{source}`: {error.strerror}"
                root = isinstance(error, PermissionError)
                raise Unavailable(reason, "run it as root" if root else "") from error
            self.listeners.append(each)
            if each.arphrd not in LINKTYPES:
                reason = f"packets of `{source}` have a form that is not known here"
                raise Unavailable(reason, f"ARPHRD {each.arphrd} in linux/if_arp.h; leave it out")

    def close(self) -> None:
        """Close the sockets."""
        for each in self.listeners:
            each.sock.close()

    def write(
        self, out: BinaryIO, ending: Ending, application: str, tell: Callable[[str], None]
    ) -> CaptureCounts:
        """Write what is heard as a whole pcapng file; `tell` gets a line for each event.

        `out` is written through at the end of each round, so that a reader at a pipe sees packets
        as they come.
        """
        out.write(pcapng.encode(pcapng.Section(application)))
        for each in self.listeners:
            linktype = LINKTYPES[each.arphrd]
            out.write(pcapng.encode(pcapng.CapturedInterface(str(each.source), linktype, SNAPLEN)))
        out.flush()
        written = 0
        for packet in self._packets(ending, tell, out.flush):
            out.write(pcapng.encode(packet))
            written += 1
            if written == ending.packets:
                break
        self._write_counts(out)
        return CaptureCounts(written, sum(each.dropped for each in self.listeners))

    def _write_counts(self, out: BinaryIO) -> None:
        now = time.time_ns()
        for each in self.listeners:
            each.count()
            counts = pcapng.Statistics(each.number, self.began, now, each.received, each.dropped)
            out.write(pcapng.encode(counts))
        out.flush()

    def _packets(
        self, ending: Ending, tell: Callable[[str], None], rest: Callable[[], object]
    ) -> Iterator[pcapng.Packet]:
        """Yield packets in the order of their times until the end; call `rest` after each round."""
        buffer = memoryview(bytearray(SNAPLEN))
        deadline = None if ending.seconds is None else time.monotonic() + ending.seconds
        kept: list[pcapng.Packet] = []
        with select.epoll() as poll:
            poll.register(ending.stop, select.EPOLLIN)
            for each in self.listeners:
                poll.register(each.sock, select.EPOLLIN)
            events = len(self.listeners) + 1
            by_fd = {each.sock.fileno(): each for each in self.listeners}
            over = False
            while not over:
                left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
                ready = poll.poll(0 if kept else left, events)
                until = time.time_ns()
                ready = ready and poll.poll(0, events)  # and what has come since it woke us
                over = ending.stop in dict(ready) or (deadline is not None and not left)
                for each in [by_fd[fd] for fd, _ in ready if fd in by_fd]:
                    kept += each.read(buffer, until)
                    _tell_down(each, tell)
                kept.sort(key=_when)
                ripe = [packet for packet in kept if packet.time <= until]
                yield from ripe
                kept = kept[len(ripe) :]
                rest()


def _when(packet: pcapng.Packet) -> int:
    return packet.time


def _tell_down(each: _Listener, tell: Callable[[str], None]) -> None:
    if each.down:
        each.down = False
        tell(f"{each.source} is down")
