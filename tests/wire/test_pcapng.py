"""pcapng: what is written is read, by us, and by programs of others."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.wire.attributes import Malformed
from netloom.wire.pcapng import (
    BROADCAST,
    INBOUND,
    LINKTYPE_ETHERNET,
    OUTBOUND,
    Block,
    CapturedInterface,
    Packet,
    Section,
    Statistics,
    decode,
    encode,
)

U32 = st.integers(0, (1 << 32) - 1)
U64 = st.integers(0, (1 << 64) - 1)
NAMES = st.text(st.characters(codec="utf-8"), max_size=40)


def packets() -> st.SearchStrategy[Packet]:
    """Return packets of any kind."""
    return st.builds(
        Packet, interface=U32, time=U64, data=st.binary(max_size=99), length=U32, flags=U32
    )


BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Section, NAMES),
    st.builds(CapturedInterface, name=NAMES, linktype=st.integers(0, 0xFFFF), snaplen=U32),
    packets(),
    st.builds(Statistics, interface=U32, started=U64, ended=U64, received=U64, dropped=U64),
)
PING = bytes.fromhex("ffffffffffff020000000001080600010800060400010200000000010a000001") + bytes(10)
FILE: list[Block] = [
    Section("netloom"),
    CapturedInterface("red:eth0", LINKTYPE_ETHERNET, 65535),
    CapturedInterface("blue:eth0", LINKTYPE_ETHERNET, 65535),
    Packet(0, 1_700_000_000_123_456_789, PING, len(PING), OUTBOUND | BROADCAST),
    Packet(1, 1_700_000_000_123_456_999, PING[:20], len(PING), INBOUND | BROADCAST),
    Statistics(0, 1_700_000_000_000_000_000, 1_700_000_001_000_000_000, 7, 3),
]


@given(st.lists(BLOCKS, max_size=5))
def test_what_is_written_is_read(blocks: list[Block]) -> None:
    """A file of any blocks, read, gives the same blocks."""
    written = b"".join(map(encode, blocks))

    assert len(written) % 4 == 0
    assert list(decode(written)) == blocks


@given(st.lists(BLOCKS, min_size=1, max_size=3), st.data())
def test_what_is_cut_short_is_refused(blocks: list[Block], data: st.DataObject) -> None:
    """Up to the cut all blocks are read, the one that was cut is refused."""
    written = b"".join(map(encode, blocks))
    last = len(written) - len(encode(blocks[-1]))
    cut = data.draw(st.integers(last + 1, len(written) - 1))
    found = decode(written[:cut])

    assert [next(found) for _ in blocks[:-1]] == blocks[:-1]
    with pytest.raises(Malformed):
        next(found)


@given(st.lists(BLOCKS, min_size=1, max_size=3), st.data())
def test_broken_bytes_are_refused_or_read(blocks: list[Block], data: st.DataObject) -> None:
    """Whatever the bytes are: blocks, or our own refusal."""
    written = bytearray(b"".join(map(encode, blocks)))
    for _ in range(3):
        at = data.draw(st.integers(0, len(written) - 1))
        written[at] = data.draw(st.integers(0, 255))
    try:
        for block in decode(bytes(written)):
            assert block
    except Malformed:
        pass


DAMAGED: dict[str, tuple[Block, int, bytes]] = {
    "no section at all": (Section("x"), 8, b"\0\0\0\0"),
    "one of the other byte order": (Section("x"), 8, bytes.fromhex("1a2b3c4d")),
    "a length that is no multiple of four": (Section("x"), 4, b"\x22\0\0\0"),
    "a length of less than a block": (Section("x"), 4, b"\x08\0\0\0"),
    "two lengths": (Section("x"), -4, b"\x20\0\0\0"),
    "an interface in microseconds": (CapturedInterface("a", 1, 9), -16, b"\x09\0\1\0\6"),
    "more bytes than there are": (Packet(0, 0, b"abc", 3, 0), 20, b"\xff\0\0\0"),
    "an option of more than there is": (Section("x"), 26, b"\x7f"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_is_no_block_of_ours_is_refused(what: str) -> None:
    """With the byte where it begins; what stands before is read."""
    block, at, data = DAMAGED[what]
    whole = bytearray(encode(block))
    at %= len(whole)
    assert whole[at : at + len(data)] != data
    whole[at : at + len(data)] = data
    found = decode(encode(FILE[0]) + whole)

    assert next(found) == FILE[0]
    with pytest.raises(Malformed, match=str(len(encode(FILE[0])))):
        next(found)


@pytest.mark.parametrize("block", FILE, ids=lambda block: type(block).__name__)
def test_a_block_that_ends_before_its_facts_is_refused(block: Block) -> None:
    """Shorter than what a block of its kind must have, its lengths being right."""
    whole = encode(block)
    for size in range(12, 20, 4):
        length = size.to_bytes(4, "little")
        with pytest.raises(Malformed):
            list(decode(whole[:4] + length + whole[8 : size - 4] + length))


def test_a_file_has_these_bytes() -> None:
    """As draft-ietf-opsawg-pcapng has them; so no two mistakes of ours hide each other."""
    assert encode(Section("netloom")).hex(" ", -4) == (
        "0a0d0d0a 2c000000 4d3c2b1a 01000000 ffffffff ffffffff 04000700 6e65746c 6f6f6d00 00000000 "
        "2c000000"
    )
    assert encode(CapturedInterface("a", LINKTYPE_ETHERNET, 65535)).hex(" ", -4) == (
        "01000000 28000000 01000000 ffff0000 02000100 61000000 09000100 09000000 00000000 28000000"
    )
    packet = Packet(1, 0x1_0000_0002, b"abcde", 9, OUTBOUND | BROADCAST)
    assert encode(packet).hex(" ", -4) == (
        "06000000 34000000 01000000 01000000 02000000 05000000 09000000 61626364 65000000 02000400 "
        "0e000000 00000000 34000000"
    )
    assert encode(Statistics(1, 2, 3, 4, 5)).hex(" ", -4) == (
        "05000000 4c000000 01000000 00000000 03000000 02000800 00000000 02000000 03000800 00000000 "
        "03000000 04000800 04000000 00000000 05000800 05000000 00000000 00000000 4c000000"
    )


def reads(tool: str, *words: str) -> str:
    """Return what a program prints of `FILE`, given on its standard input."""
    try:
        done = subprocess.run(
            [tool, *words], input=b"".join(map(encode, FILE)), capture_output=True, check=True
        )
    except FileNotFoundError:
        pytest.skip(f"needs {tool} (apt-get install {tool})")
    return done.stdout.decode()


def test_tcpdump_reads_it_to_the_nanosecond() -> None:
    """The reader that everybody has."""
    lines = reads("tcpdump", "-r", "-", "-n", "-tt", "--nano").splitlines()

    assert [line.split()[0] for line in lines] == ["1700000000.123456789", "1700000000.123456999"]
    assert "ARP, Request who-has" in lines[0]


def test_wireshark_reads_names_directions_and_lengths() -> None:
    """Fields that tcpdump does not show: the interface of a packet, its way, what was cut off."""
    fields = ("frame.interface_name", "frame.packet_flags", "frame.len", "frame.cap_len")
    options = [word for name in fields for word in ("-e", name)]
    table = reads("tshark", "-n", "-r", "-", "-T", "fields", *options)

    rows = [line.split("\t") for line in table.splitlines()]
    assert [(row[0], int(row[1], 16), row[2], row[3]) for row in rows] == [
        ("red:eth0", OUTBOUND | BROADCAST, str(len(PING)), str(len(PING))),
        ("blue:eth0", INBOUND | BROADCAST, str(len(PING)), "20"),
    ]
