"""What goes over the links of a lab, kept as pcapng; it follows the lab as it grows.

A socket in each namespace hears all interfaces of it (`host/byhand/packets.py`), new ones too.
Until somebody asks, the kernel keeps what it heard: a recording that nobody reads costs its
sockets, and no thread. What finds no room there any more, 8 MiB for a namespace (400 kB for a plain
user), is lost, and counted.

That a file has no packets of a link is no proof that there were none. So a canary is sent over
each link when it is first heard, and once more before the file is taken for whole: a frame of the
EtherType that IEEE 802 leaves to experiments, with the link's name. A link whose canary is not in
the file is told. Its source address is none and its destination one that bridges pass to nobody,
so it goes no further than the far end of its wire. A recording that nobody has asked for yet sends
none at first: then there is nothing on the links that was not there without it.
"""

import fcntl
import os
import select
import shutil
import socket
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from struct import Struct
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from netloom.api.processes.socket_closer import close_aside
from netloom.errors import NetloomError, Unavailable
from netloom.host.byhand.packets import (
    LINKTYPES,
    SNAPLEN,
    counted,
    read_packets,
    sniff_all,
)
from netloom.kernel.open_files import make_room
from netloom.model.objects import HOST
from netloom.namespaces.enter import setns
from netloom.namespaces.handle import open_name
from netloom.wire import pcapng

if TYPE_CHECKING:
    from netloom.api.namespace import Netns
    from netloom.api.runtime import Runtime

_AT_ONCE = 60  # namespaces that are opened in one call, with two descriptors each (`in_child.py`)
_ETHERTYPE = 0x88B5  # Local Experimental 1 (IEEE 802)
_CANARY = bytes.fromhex("0180c200000e 000000000000 88b5")
_TYPE_AT = slice(12, 14)
_SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8927
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0xA  # linux/ethtool.h
_IFF_UP = 1
_ARPHRD_ETHER = 1
_IFREQ = Struct("=16sH22x")  # netdevice(7)
_IFREQ_POINTER = Struct("=16sQ16x")
_PATIENCE = 1.0
_NUMBERS = count(1)


class Sender(NamedTuple):
    """What sends canaries in a namespace: a socket does not hear itself."""

    sock: socket.socket

    def is_up(self, link: str) -> bool:
        """Whether an interface is one of Ethernet that is up."""
        try:
            is_up = self._asked(_SIOCGIFFLAGS, link) & _IFF_UP
            return bool(is_up) and self._asked(_SIOCGIFHWADDR, link) == _ARPHRD_ETHER
        except OSError:  # it is gone
            return False

    def has_carrier(self, link: str) -> bool:
        """Whether what is sent there goes anywhere; IFF_RUNNING may be late by a second.

        Mustn't: be asked where time matters: the kernel takes its lock of all links for it.
        """
        value = array("I", (_ETHTOOL_GLINK, 0))
        request = _IFREQ_POINTER.pack(link.encode(), value.buffer_info()[0])
        try:
            fcntl.ioctl(self.sock, _SIOCETHTOOL, request)
        except OSError:  # it is gone, or its driver does not know
            return False
        return bool(value[1])

    def _asked(self, request: int, link: str) -> int:
        answer = fcntl.ioctl(self.sock, request, _IFREQ.pack(link.encode(), 0))
        found: int = _IFREQ.unpack(answer)[1]
        return found


def _sending() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


def _opened(opened: Callable[[], socket.socket], names: list[str]) -> list[socket.socket]:
    """Open a socket in each of some namespaces; `host`, where the thread is, comes first."""
    found: list[socket.socket] = []
    try:
        for name in names:
            if name != HOST:
                with open_name(name) as netns:
                    setns(netns)
            found.append(opened())
    except (OSError, Unavailable):
        close_aside(found)
        raise
    return found


class RecordedLab(Protocol):
    """What is asked of a lab to record what goes over its links."""

    name: str
    persistent: bool
    lock: threading.RLock
    recordings: "list[Recording]"

    @property
    def runtime(self) -> "Runtime":
        """Where its namespaces are; raises `Unavailable` if it is not open."""

    def __contains__(self, name: object) -> bool:
        """Whether there is a namespace of this name."""

    def all(self) -> "tuple[Netns, ...]":
        """Return all namespaces."""

    def links_of(self, name: str) -> Iterable[str]:
        """Return the names of the links of a namespace."""


class Recording:
    """The packets of a lab, written to a file whenever somebody asks; no call raises anything.

    `failure` says why it has ended early. `poll` tells when there is something to `take`.
    """

    def __init__(self, lab: RecordedLab, out: IO[bytes], *, most: int | None = None) -> None:
        """Begin a file; nothing is heard before `follow`.

        With `most` nobody has asked for it yet: it sends nothing before `prove`, and over so many
        namespaces it fails.
        """
        self.failure = ""
        self.poll = select.epoll()
        self.lock = threading.RLock()
        self._lab = lab
        self._out = out
        self._most = most
        self._program = os.getpid()
        self._listeners: dict[str, socket.socket] = {}
        self._senders: dict[str, Sender] = {}
        self._buffer = memoryview(bytearray(SNAPLEN))
        self._begin()

    def _begin(self) -> None:
        self._began = time.time_ns()
        self._numbers: dict[tuple[str, str], int] = {}
        self._announced: set[tuple[str, str]] = set()
        self._missing: dict[bytes, tuple[str, str]] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._late: list[pcapng.Packet] = []
        self._out.write(pcapng.encode(pcapng.Section("netloom")))

    # ── the lab grows ─────────────────────────────────────────────────────────────────────────

    def follow(self) -> None:
        """Hear the namespaces that are new, and let go of those that are gone.

        Should: be called after each change of the lab, and `take` before it.
        """
        with self.lock:
            if self.failure:
                return
            try:
                self._follow()
            except (OSError, NetloomError) as error:
                self._fail(error)

    def _follow(self) -> None:
        lab = self._lab
        own = [HOST] if HOST in lab and not lab.persistent else []
        names = [*own, *(one.name for one in lab.all())]
        if self._most is not None and len(names) > self._most:
            raise Unavailable(f"it is for {self._most} namespaces at most (lab.capture_packets)")
        self._release([name for name in self._listeners if name not in names])
        new = [name for name in names if name not in self._listeners]
        make_room(2 * len(names))
        for name, sock in self._open(sniff_all, new):
            self._listeners[name] = sock
            self.poll.register(sock, select.EPOLLIN)
        if self._most is None:
            self._announce()

    def _open(
        self, opened: Callable[[], socket.socket], names: list[str]
    ) -> Iterator[tuple[str, socket.socket]]:
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            yield from zip(some, self._lab.runtime.context.call(_opened, opened, some), strict=True)

    def _links(self) -> set[tuple[str, str]]:
        """Return the links that are to be heard, when all of them have a sender."""
        lacking = [name for name in self._listeners if name not in self._senders]
        self._senders |= {name: Sender(sock) for name, sock in self._open(_sending, lacking)}
        return {(name, link) for name in self._listeners for link in self._lab.links_of(name)}

    def _announce(self) -> None:
        """Send the first canary over each link that is new."""
        links = self._links()
        self._announced &= links
        for name, link in sorted(links - self._announced):
            if self._senders[name].is_up(link):
                self._send(name, link)
                self._announced.add((name, link))

    def _fail(self, error: OSError | NetloomError) -> None:
        self.failure = (isinstance(error, OSError) and error.strerror) or str(error)
        self._release(list(self._listeners))

    def _release(self, names: list[str]) -> None:
        self._count(names)
        senders = [self._senders.pop(name).sock for name in names if name in self._senders]
        if socks := [*senders, *(self._listeners.pop(name) for name in names)]:
            close_aside(socks)

    # ── canaries ──────────────────────────────────────────────────────────────────────────────

    def _send(self, name: str, link: str) -> bytes:
        """Send a canary over a link, and return what it says."""
        text = f"netloom canary {next(_NUMBERS)} of {self._lab.name}: {name}:{link}".encode()
        with suppress(OSError):  # a rule that drops it, or a full queue: its absence is told
            self._senders[name].sock.sendto(_CANARY + text, (link, _ETHERTYPE))
        return text

    def prove(self) -> list[str]:
        """Write all that has come by now, with canaries; return in words what the file lacks."""
        with self.lock:
            try:
                self._prove()
            except (OSError, NetloomError) as error:
                self._fail(error)
            missing, self._missing = self._missing, {}
            self._count(list(self._listeners))
            told = [f"the capture failed: {self.failure}"] if self.failure else []
            told += [f"the capture did not see {name}:{link}" for name, link in missing.values()]
            return told + [
                f"the capture lost packets of {name} that found no room: {lost}"
                for name, (_, lost) in self._counts.items()
                if lost
            ]

    def _prove(self) -> None:
        self.take()
        for name, link in sorted({*self._numbers, *self._links()}):
            sender = self._senders.get(name)
            if sender and sender.is_up(link) and sender.has_carrier(link):
                self._missing[self._send(name, link)] = name, link
        deadline = time.monotonic() + _PATIENCE
        self.take()
        while self._missing and self._listeners and (left := deadline - time.monotonic()) > 0:
            self.poll.poll(left)
            self.take()

    # ── packets ───────────────────────────────────────────────────────────────────────────────

    def take(self) -> None:
        """Write what has come, in the order of its times."""
        with self.lock:
            try:
                self._take()
            except OSError as error:
                self._fail(error)

    def _take(self) -> None:
        until = time.time_ns()
        came = self._late
        for name, listener in self._listeners.items():
            came += read_packets(listener, self._buffer, until, partial(self._number, name))
        came.sort(key=lambda packet: packet.time)
        self._late = [packet for packet in came if packet.time > until]
        for packet in came[: len(came) - len(self._late)]:
            self._write(packet)
        if came:
            self._out.flush()

    def _write(self, packet: pcapng.Packet) -> None:
        self._out.write(pcapng.encode(packet))
        if packet.data[_TYPE_AT] == _CANARY[_TYPE_AT]:
            text = packet.data[len(_CANARY) :]
            place = self._missing.get(text)
            if place and self._numbers[place] == packet.interface:
                del self._missing[text]

    def _number(self, name: str, link: str, arphrd: int) -> int:
        """Return which interface of the file a link is; the file is told when it is first heard."""
        place = name, link or "?"
        if place not in self._numbers:
            linktype = LINKTYPES.get(arphrd)
            if linktype is None:
                return -1
            self._numbers[place] = len(self._numbers)
            self._out.write(
                pcapng.encode(pcapng.CapturedInterface(":".join(place), linktype, SNAPLEN))
            )
        return self._numbers[place]

    # ── the file ──────────────────────────────────────────────────────────────────────────────

    def forget(self) -> None:
        """Begin the file anew: what was heard so far is of no interest."""
        with self.lock:
            self.take()
            self._count(list(self._listeners))
            self._out.seek(0)
            self._out.truncate()
            self._begin()
            if self._most is None:
                self._announce()

    def _count(self, names: list[str]) -> None:
        for name in names:
            received, lost = counted(self._listeners[name])
            before = self._counts.get(name, (0, 0))
            self._counts[name] = before[0] + received, before[1] + lost

    def save(self, out: IO[bytes]) -> None:
        """Copy the file to another."""
        with self.lock:
            self._out.seek(0)
            shutil.copyfileobj(self._out, out)
            self.write_counts(out)

    def write_counts(self, out: IO[bytes]) -> None:
        """Write how much was heard and lost of each namespace, at its first interface."""
        told: set[str] = set()
        now = time.time_ns()
        for (name, _), number in self._numbers.items():
            if name not in told:
                told.add(name)
                counts = self._counts.get(name, (0, 0))
                out.write(pcapng.encode(pcapng.Statistics(number, self._began, now, *counts)))

    def end(self) -> None:
        """Write what has come, and let go of the lab; twice is no harm.

        A process that was forked meanwhile, and comes here too, does nothing.
        """
        with self.lock:
            if self.poll.closed or os.getpid() != self._program:
                return
            self.take()
            self._release(list(self._listeners))
            self.poll.close()

    def sockets(self) -> Iterator[socket.socket]:
        """Yield the sockets that it has in the lab."""
        yield from self._listeners.values()
        for sender in self._senders.values():
            yield sender.sock
