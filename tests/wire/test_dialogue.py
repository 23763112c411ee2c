"""The dialogue: frames, numbers, refusals, dumps in parts, and what was interrupted."""

from errno import EBUSY, EEXIST, ENOBUFS
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.wire.attributes import Malformed
from netloom.wire.dialogue import WAITING, Answer, Exchange, Refusal, frame, split
from netloom.wire.message import Message

messages = st.builds(
    Message,
    kind=st.integers(16, 120),
    flags=st.sampled_from((0, 0x300, 0x600)),
    body=st.binary(max_size=20).map(lambda some: some + bytes(-len(some) % 4)),
)


def said(kind: int, number: int, payload: bytes, flags: int = 0) -> bytes:
    """Return one message of the kernel's."""
    return pack("=IHHII", 16 + len(payload), kind, flags, number, 0) + payload


def ack(number: int, errno: int = 0, words: str = "", asked: bytes = bytes(16)) -> bytes:
    """Return an answer to one request, with the kernel's words where there are any."""
    text = words.encode() + b"\0"
    extack = pack("=HH", 4 + len(text), 1) + text + bytes(-len(text) % 4) if words else b""
    flags = 0x200 if words else 0
    flags |= 0x100 if len(asked) == 16 else 0
    return said(2, number, pack("=i", -errno) + asked + extack, flags)


def done(number: int, code: int = 0, flags: int = 2) -> bytes:
    """Return the end of a dump."""
    return said(3, number, pack("=i", code), flags)


@given(st.lists(messages, min_size=1, max_size=9), st.integers(0, 0xFFFF_FFFF))
def test_a_frame_holds_every_message_in_order(asked: list[Message], sequence: int) -> None:
    """Bodies come back whole and in order, whatever number the first one bears."""
    data = frame(asked, sequence)

    exchange = Exchange(sequence, len(asked))
    assert exchange.feed(data) is WAITING
    assert exchange.answer.payloads == [message.body for message in asked]
    last = asked[-1]
    ends = data[len(data) - len(last.body) - 16 :]
    assert ends[:8] == pack(
        "=IHH",
        16 + len(last.body),
        last.kind,
        last.flags | (1 if last.flags & 0x300 == 0x300 else 5),
    )


def test_only_the_last_message_asks_for_an_acknowledgement() -> None:
    """A thousand acknowledgements would cost the kernel a thousand messages."""
    data = frame([Message(16, 0x600, b"")] * 3, 1)

    assert [data[at + 6] for at in (0, 16, 32)] == [1, 1, 5]


@given(st.lists(st.integers(0, 60).map(lambda n: Message(16, 0, bytes(4 * n)))), st.data())
def test_a_split_covers_all_messages_within_the_limit(
    asked: list[Message], data: st.DataObject
) -> None:
    """Parts follow each other without a gap; only a single message may be longer than the limit."""
    limit = data.draw(st.integers(16, 600))
    parts = list(split(asked, limit))

    assert [place for begin, end in parts for place in range(begin, end)] == [*range(len(asked))]
    for begin, end in parts:
        assert len(frame(asked[begin:end], 1)) <= limit or end - begin == 1


def test_an_acknowledgement_ends_a_batch() -> None:
    """Until then the exchange waits."""
    exchange = Exchange(5, 3)

    assert exchange.feed(b"") is WAITING
    assert exchange.feed(ack(7)) == Answer([], [], interrupted=False)


def test_a_refusal_tells_place_errno_and_words() -> None:
    """The words lie behind the header of the request, since CAP_ACK leaves out its body."""
    exchange = Exchange(5, 3)

    assert exchange.feed(ack(6, EEXIST, "Address already assigned")) is WAITING
    answer = exchange.feed(ack(7))

    assert isinstance(answer, Answer)
    assert answer.refusals == [Refusal(1, EEXIST, "Address already assigned")]


def test_a_refusal_of_the_last_ends_the_batch() -> None:
    """It is its acknowledgement."""
    answer = Exchange(5, 3).feed(ack(6, EEXIST) + ack(7, EBUSY))

    assert isinstance(answer, Answer)
    assert [refusal.errno for refusal in answer.refusals] == [EEXIST, EBUSY]


def test_words_behind_a_whole_request_are_found() -> None:
    """A kernel that does not cap its answers repeats the request, body included."""
    asked = pack("=IHHII", 22, 16, 5, 5, 0) + bytes(8)
    answer = Exchange(5).feed(ack(5, EEXIST, "no", asked))

    assert isinstance(answer, Answer)
    assert answer.refusals == [Refusal(0, EEXIST, "no")]


def test_a_dump_comes_in_parts_and_ends_by_done() -> None:
    """Parts may hold many messages."""
    exchange = Exchange(9)

    assert exchange.feed(said(16, 9, b"one!", 2) + said(16, 9, b"two!", 2)) is WAITING
    assert exchange.feed(said(16, 9, b"last", 2) + done(9)) == Answer(
        [b"one!", b"two!", b"last"], [], interrupted=False
    )


def test_a_dump_may_end_by_an_errno() -> None:
    """It began well and failed half-way."""
    answer = Exchange(9).feed(done(9, -EBUSY))

    assert isinstance(answer, Answer)
    assert answer.refusals == [Refusal(0, EBUSY, "")]


@pytest.mark.parametrize("place", [0, 1])
def test_an_interrupted_dump_is_told(place: int) -> None:
    """Any of its messages may bear the flag, the last one as well."""
    flags = [2, 2]
    flags[place] |= 0x10
    answer = Exchange(9).feed(said(16, 9, b"one!", flags[0]) + done(9, flags=flags[1]))

    assert isinstance(answer, Answer)
    assert answer.interrupted


def test_answers_to_something_else_are_passed_over() -> None:
    """Ctrl-C left them in the queue."""
    exchange = Exchange(9, 2)

    assert exchange.feed(said(16, 8, b"old!", 0x12) + done(8) + ack(11, EBUSY)) is WAITING
    assert exchange.feed(ack(10)) == Answer([], [], interrupted=False)


def test_numbers_go_round() -> None:
    """After 4,294,967,295 comes 0."""
    asked = [Message(16, 0, b"")] * 3
    data = frame(asked, 0xFFFF_FFFF)
    answer = Exchange(0xFFFF_FFFF, 3).feed(ack(0, EEXIST) + ack(1))

    assert [data[at + 8 : at + 12] for at in (0, 16, 32)] == [b"\xff" * 4, bytes(4), b"\1\0\0\0"]
    assert isinstance(answer, Answer)
    assert answer.refusals == [Refusal(1, EEXIST, "")]


def test_an_overrun_is_a_refusal() -> None:
    """The kernel says that it lost something."""
    answer = Exchange(9).feed(said(4, 9, b""))

    assert isinstance(answer, Answer)
    assert answer.refusals == [Refusal(0, ENOBUFS, "")]


@pytest.mark.parametrize("kind", [1, 15])
def test_nothing_is_said_by_a_no_operation(kind: int) -> None:
    """NLMSG_NOOP is there to be passed over, and so is what is reserved below NLMSG_MIN_TYPE."""
    exchange = Exchange(9)

    assert exchange.feed(said(kind, 9, b"some")) is WAITING
    assert exchange.answer.payloads == []


@pytest.mark.parametrize("data", [b"\xff" * 16, said(2, 9, b""), said(2, 9, bytes(6), 0x200)])
def test_what_makes_no_sense_is_malformed(data: bytes) -> None:
    """A length beyond the end, an error without errno, words without a request."""
    with pytest.raises(Malformed):
        Exchange(9).feed(data[:4] + data[4:] if data[0] == 0xFF else pack_errno(data))


def pack_errno(data: bytes) -> bytes:
    """Return an answer whose errno, if it has one, says that something was refused."""
    return data[:16] + b"\xff" * len(data[16:])
