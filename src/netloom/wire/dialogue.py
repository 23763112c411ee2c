"""The dialogue with rtnetlink, without a socket: what to send, and what comes back means.

An `Exchange` is one send and all the answers to it. It is fed what arrives and says either
`WAITING` or the `Answer`. Several requests go in one send, and only the last of them asks for an
acknowledgement: the kernel works through them in order and reports every refusal in any case
(netlink_rcv_skb), so the last one's answer ends the exchange. A refusal does not stop the kernel:
requests behind it are carried out as well.

Answers to earlier exchanges that nobody waited for (a Ctrl-C came between) are told by their
sequence numbers, and passed over.
"""

from collections.abc import Iterator, Sequence
from errno import ENOBUFS
from struct import Struct
from typing import Final, NamedTuple

from netloom.wire.attributes import Malformed, offsets, string
from netloom.wire.constants import (
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_OVERRUN,
    NLMSGERR_ATTR_MSG,
)
from netloom.wire.message import Message

_NLMSGHDR = Struct("=IHHII")
_INT = Struct("=i")
_FIRST_KIND = 16  # NLMSG_MIN_TYPE (linux/netlink.h): below are the kinds of netlink itself
_ROUND = 1 << 32

_header = _NLMSGHDR.unpack_from


class Refusal(NamedTuple):
    """A request that was refused: its place among those sent, the errno, and the kernel's words."""

    place: int
    errno: int
    extack: str


class Answer(NamedTuple):
    """All that was answered; `interrupted` where things changed while they were being listed."""

    payloads: list[bytes]
    refusals: list[Refusal]
    interrupted: bool


class Waiting:
    """The exchange is not over: more is to come."""

    __slots__ = ()


WAITING: Final = Waiting()


def split(messages: Sequence[Message], limit: int) -> Iterator[tuple[int, int]]:
    """Return from where to where messages can be sent together, in at most `limit` bytes."""
    begin = size = 0
    for place, message in enumerate(messages):
        length = 16 + len(message.body)
        if size + length > limit and place > begin:
            yield begin, place
            begin, size = place, 0
        size += length
    if begin < len(messages):
        yield begin, len(messages)


def frame(messages: Sequence[Message], sequence: int) -> bytes:
    """Return messages as the bytes of one send, numbered from `sequence`."""
    pack = _NLMSGHDR.pack
    parts: list[bytes] = []
    last = len(messages) - 1
    for place, (kind, flags, body) in enumerate(messages):
        # A dump ends by NLMSG_DONE; an acknowledgement on top would only be one more.
        ack = NLM_F_ACK if place == last and flags & NLM_F_DUMP != NLM_F_DUMP else 0
        number = (sequence + place) % _ROUND
        parts += pack(16 + len(body), kind, flags | NLM_F_REQUEST | ack, number, 0), body
    return b"".join(parts)


class Exchange:
    """The answers to `count` requests that were sent together, numbered from `sequence`."""

    __slots__ = ("_count", "_sequence", "answer")

    def __init__(self, sequence: int, count: int = 1) -> None:
        """Expect the answers to `count` requests."""
        self._sequence = sequence
        self._count = count
        self.answer = Answer([], [], interrupted=False)

    def feed(self, data: bytes) -> Answer | Waiting:
        """Take whole messages; return the answer once it is complete; raises `Malformed`."""
        start, end = 0, len(data)
        over = False
        keep = self.answer.payloads.append
        while end - start >= 16:
            length, kind, flags, number, _ = _header(data, start)
            if not 16 <= length <= end - start:
                msg = f"the message at byte {start} runs over the end of what arrived"
                raise Malformed(msg)
            index = (number - self._sequence) % _ROUND
            if index < self._count:
                if flags & NLM_F_DUMP_INTR:
                    self.answer = self.answer._replace(interrupted=True)
                if kind >= _FIRST_KIND:
                    keep(data[start + 16 : start + length])
                elif self._control(kind, flags, index, data[start + 16 : start + length]):
                    over = index == self._count - 1
            start += (length + 3) & -4
        return self.answer if over else WAITING

    def _control(self, kind: int, flags: int, index: int, payload: bytes) -> bool:
        """Take a message of netlink itself; return whether it ends the answers to its request."""
        if kind == NLMSG_OVERRUN:
            self.answer.refusals.append(Refusal(index, ENOBUFS, ""))
            return True
        if kind not in {NLMSG_ERROR, NLMSG_DONE}:
            return False
        if len(payload) < 4:
            msg = "an answer that gives no errno"
            raise Malformed(msg)
        (code,) = _INT.unpack_from(payload)
        if code < 0:
            extack = _extack(kind, flags, payload) if flags & NLM_F_ACK_TLVS else ""
            self.answer.refusals.append(Refusal(index, -code, extack))
        return True


def _extack(kind: int, flags: int, payload: bytes) -> str:
    """Return the kernel's words, behind the errno and, in an error, the request it is about."""
    start = 4
    if kind == NLMSG_ERROR:
        if len(payload) < 20:
            msg = "an error without the header of its request"
            raise Malformed(msg)
        asked: int = _header(payload, 4)[0]
        start += 16 if flags & NLM_F_CAPPED else (asked + 3) & -4
    return string(payload, offsets(payload, start, len(payload)), NLMSGERR_ATTR_MSG)
