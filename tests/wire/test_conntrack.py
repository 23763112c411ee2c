"""Tracked connections as bytes: what the kernel said once, and what no kernel says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.wire.attributes import Malformed
from netloom.wire.conntrack import dump_flows, flow_del, read_flow

TUPLE = "34 00 01 80  14 00 01 80  08 00 01 00 {src}  08 00 02 00 {dst}  1c 00 02 80"
PORTS = "05 00 01 00 11 00 00 00  06 00 02 00 d0 35 00 00  06 00 03 00 00 50 00 00"
ORIGINAL = TUPLE.format(src="0a 64 00 02", dst="cb 00 71 50") + PORTS
REPLY = (TUPLE.replace("34 00 01", "34 00 02")).format(src="cb 00 71 50", dst="c0 00 02 02") + PORTS
ZONE = "06 00 12 00 00 07 00 00"
FLOW = bytes.fromhex("02 00 00 00" + ORIGINAL + REPLY)
"""10.100.0.2 to 203.0.113.80 by UDP, translated to 192.0.2.2."""


def test_a_connection_has_the_addresses_of_both_ways() -> None:
    """So it is found by what it was, and by what it became."""
    flow = read_flow(FLOW)
    assert flow
    assert flow.addresses == {"10.100.0.2", "203.0.113.80", "192.0.2.2"}


def test_a_connection_is_deleted_by_its_original_direction() -> None:
    """To the byte as the kernel told it, with its zone where it has one."""
    for zone in ("", ZONE):
        flow = read_flow(FLOW + bytes.fromhex(zone))
        assert flow
        assert flow_del(flow).body == bytes.fromhex("02 00 00 00" + ORIGINAL + zone)


def test_all_connections_are_asked_for() -> None:
    """Of both families, and of no zone or mark in particular."""
    assert dump_flows().body == bytes(4)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_connection_or_malformed(data: bytes) -> None:
    """Nothing else is raised."""
    for head in (b"", b"\x02\0\0\0", b"\x0a\0\0\0"):
        try:
            read_flow(head + data)
        except Malformed:
            pass
        except (KeyError, ValueError) as error:
            pytest.fail(f"{error!r}")
