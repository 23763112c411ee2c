"""rtnetlink sockets: every request to rtnetlink goes through here.

A socket belongs to the network namespace that its thread was in when it was opened, and stays there
wherever the thread goes or the descriptor is sent (netlink(7)): one thread may speak to many
namespaces.

Should: send in batches, read everything that is answered, tell the first refusal.
Mustn't: enter a namespace, decide what is asked, wait for anything but the kernel's answer.
"""

import threading

# The C half of `socket`, private as it is: the other is 3 ms of every start (`values.py`), and a
# socket of netlink has no use for it.
from _socket import AF_NETLINK, MSG_DONTWAIT, MSG_TRUNC, SOCK_RAW, SOL_SOCKET, socket
from collections.abc import Sequence
from errno import EAGAIN, EBUSY, EIO, EMSGSIZE, ENOBUFS
from struct import Struct
from typing import Final, TypeVar

from netloom.errors import KernelError
from netloom.kernel.closing import Closing
from netloom.wire.dialogue import Answer, Exchange, Waiting, frame, split
from netloom.wire.message import Message

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
SO_NETNS_COOKIE = 71  # asm-generic/socket.h, Linux 5.14

SEND_LIMIT: Final = 64 * 1024
"""Bytes in one send: well below the socket's send buffer (net.core.wmem_default, 212,992)."""

RECEIVE_LIMIT: Final = 256 * 1024
"""Bytes in one receive; the kernel fills 32 KiB (netlink_recvmsg), unless one link is larger."""

ASK_LIMIT: Final = 32
"""Questions in one send: their answers, up to 4 KiB of memory each, wait in the receive buffer."""

DUMP_ATTEMPTS: Final = 20
"""How often a dump that was interrupted is begun anew."""

NetlinkSocket = socket
"""What `socket.socket` is built upon, which has all that is wanted of a socket here."""
_Socket = TypeVar("_Socket", bound=socket)

_COOKIE = Struct("=Q")
_LARGEST = 1 << 32


class _Inbox(threading.local):
    """One receive buffer for each thread, whatever the number of its sockets."""

    def __init__(self) -> None:
        self.buffer = bytearray(RECEIVE_LIMIT)
        self.view = memoryview(self.buffer)


_inbox = _Inbox()


def netlink_socket(protocol: int = NETLINK_ROUTE) -> NetlinkSocket:
    """Open a netlink socket in the calling thread's network namespace, ready for `Rtnetlink`."""
    return prepared(socket(AF_NETLINK, SOCK_RAW, protocol))


def prepared(sock: _Socket) -> _Socket:
    """Return a bare netlink socket, perhaps from another process, ready for `Rtnetlink`."""
    sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
    sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    # Connected to port 0, the kernel: nobody else can put words into its mouth.
    sock.connect((0, 0))
    return sock


class Rtnetlink(Closing):
    """A conversation with one network namespace, for one thread at a time.

    >>> with Rtnetlink() as rt:                                       # doctest: +SKIP
    ...     links = read_links(rt.dump(dump_links()))
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self, sock: NetlinkSocket | None = None) -> None:
        """Open a socket in the calling thread's namespace, or take over a `prepared` one."""
        self._socket = sock or netlink_socket()
        self._sequence = 1

    def close(self) -> None:
        """Close the socket; the namespace may then die."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    @property
    def cookie(self) -> int:
        """The cookie of the namespace, which is never used again within a boot."""
        cookie: int = _COOKIE.unpack(self._socket.getsockopt(SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
        return cookie

    def batch(self, messages: Sequence[Message]) -> None:
        """Have many changes made, in order; raise `KernelError` for the first that is refused.

        Its `index` is the place in `messages`. Those in front of it are done, and those behind it
        that were in the same send (64 KiB) have been tried as well: the kernel does not stop at a
        refusal.
        """
        for begin, end in split(messages, SEND_LIMIT):
            refusals = self._exchange(messages[begin:end]).refusals
            if refusals:
                first = refusals[0]
                raise KernelError(first.errno, "", first.extack, begin + first.place)

    def batch_all(self, messages: Sequence[Message]) -> list[KernelError]:
        """Have many changes tried, in order; return every refusal, with its place in `messages`."""
        return [
            KernelError(refusal.errno, "", refusal.extack, begin + refusal.place)
            for begin, end in split(messages, SEND_LIMIT)
            for refusal in self._exchange(messages[begin:end]).refusals
        ]

    def transact(self, messages: Sequence[Message]) -> None:
        """Have a batch of netfilter made, all of it or nothing; raise `KernelError` if refused.

        The kernel works through the batch before the send returns, and whether it acknowledges the
        end of one depends on its age (6.10): so what was answered by then is all there is.
        """
        exchange = Exchange(self._sequence, len(messages))
        data = frame(messages, self._sequence)
        self._sequence = (self._sequence + len(messages)) % _LARGEST
        self._socket.send(data)
        self._drain(exchange)
        for refusal in exchange.answer.refusals:
            raise KernelError(refusal.errno, "", refusal.extack, refusal.place)

    def dump(self, request: Message) -> list[bytes]:
        """Return the payloads of a dump, begun anew where things changed; raises `KernelError`."""
        for _ in range(DUMP_ATTEMPTS):
            payloads, refusals, interrupted = self._exchange((request,))
            if refusals and refusals[0].errno == EBUSY:
                # An earlier dump was abandoned half-way, and the kernel keeps one for each socket.
                self._drain(Exchange(self._sequence, 0))
                continue
            if refusals:
                raise KernelError(refusals[0].errno, "", refusals[0].extack)
            if not interrupted:
                return payloads
        words = f"things changed during each of {DUMP_ATTEMPTS} dumps"
        raise KernelError(EAGAIN, "", words)

    def ask(self, request: Message) -> bytes:
        """Return the one payload that answers a question; raise `KernelError` if it is refused."""
        answer = self.ask_each((request,))[0]
        if isinstance(answer, KernelError):
            raise answer
        return answer

    def ask_each(self, requests: Sequence[Message]) -> list[bytes | KernelError]:
        """Return the answer to each of many questions, a `KernelError` for one that is refused.

        Raises `KernelError` (EIO) if there are not as many answers as questions.
        """
        answers: list[bytes | KernelError] = []
        for begin in range(0, len(requests), ASK_LIMIT):
            asked = requests[begin : begin + ASK_LIMIT]
            payloads, refusals, _ = self._exchange(asked)
            if len(payloads) + len(refusals) != len(asked):
                raise KernelError(EIO, "", f"{len(payloads)} answers to {len(asked)} questions")
            refused = {refusal.place: refusal for refusal in refusals}
            inflow = iter(payloads)
            for place in range(len(asked)):
                refusal = refused.get(place)
                if refusal is None:
                    answers.append(next(inflow))
                    continue
                error = KernelError(refusal.errno, "", refusal.extack, begin + place)
                answers.append(error)
        return answers

    def _exchange(self, messages: Sequence[Message]) -> Answer:
        first = self._sequence
        exchange = Exchange(first, len(messages))
        # Before the send: a Ctrl-C behind it must not leave these numbers to the next exchange.
        self._sequence = (first + len(messages)) % _LARGEST
        self._socket.send(frame(messages, first))
        try:
            while True:
                answer = exchange.feed(self._receive())
                if not isinstance(answer, Waiting):
                    return answer
        except OSError as error:
            if error.errno != ENOBUFS:
                raise
            return self._after_overrun(exchange)

    def _receive(self, flags: int = 0) -> bytes:
        inbox = _inbox
        # With MSG_TRUNC the kernel tells the length of what it had, and not of what fitted.
        size = self._socket.recv_into(inbox.buffer, 0, flags | MSG_TRUNC)
        if size > RECEIVE_LIMIT:
            raise KernelError(EMSGSIZE, "", f"a message of {size} bytes")
        return bytes(inbox.view[:size])

    def _after_overrun(self, exchange: Exchange) -> Answer:
        """Take what there is after the kernel dropped answers because the receive buffer was full.

        It drops the latest, so the first refusal is there; and as it has worked through the whole
        send before `send` returned, nothing more will come.
        """
        self._drain(exchange)
        if not exchange.answer.refusals:
            raise KernelError(ENOBUFS, "", "the kernel's answers did not fit the receive buffer")
        return exchange.answer

    def _drain(self, exchange: Exchange) -> None:
        while True:
            try:
                exchange.feed(self._receive(MSG_DONTWAIT))
            except BlockingIOError:
                return
