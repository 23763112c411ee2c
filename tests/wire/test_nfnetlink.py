"""Tables of nftables as bytes: what the kernel said once, and what no kernel says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.wire.attributes import Malformed
from netloom.wire.nfnetlink import Table, batch, dump_tables, read_table, table_del

NAME = "08 00 01 00 72 65 64 00"
REST = "08 00 02 00 00 00 00 00  08 00 03 00 00 00 00 01  0c 00 04 00 00 00 00 00 00 00 00 02"
DATA = "0c 00 06 00 00 06 68 65 6c 6c 6f 00"
TABLE = bytes.fromhex("01 00 00 02" + NAME + REST)
"""`table inet red`, with no flags, one chain, and its handle."""


def test_a_table_has_a_family_a_name_and_perhaps_a_comment() -> None:
    """The comment is userspace's own, which the kernel keeps."""
    assert read_table(TABLE) == (Table("inet", "red"), "")
    assert read_table(TABLE + bytes.fromhex(DATA)) == (Table("inet", "red"), "hello")


def test_a_table_is_deleted_in_a_batch() -> None:
    """What it begins and ends with says whose it is: nftables' (10), in the order of the net."""
    begin, delete, end = batch(table_del(Table("inet", "red")))

    assert (begin.kind, end.kind) == (16, 17)
    assert begin.body == end.body == bytes.fromhex("00 00 00 0a")
    assert delete.kind == 0x0A02
    assert delete.body == bytes.fromhex("01 00 00 00" + NAME)


def test_all_tables_are_asked_for() -> None:
    """Of all families."""
    assert dump_tables().body == bytes(4)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_table_or_malformed(data: bytes) -> None:
    """Nothing else is raised."""
    for head in (b"", b"\x01\0\0\0", TABLE[:12], TABLE + bytes.fromhex("0c 00 06 00 00")):
        try:
            read_table(head + data)
        except Malformed:
            pass
        except (KeyError, ValueError, IndexError) as error:
            pytest.fail(f"{error!r}")
