"""What a moved link had: bytes as a kernel told them, for another index; broken ones are refused.

The whole, on a real kernel, is tests/cli/test_wires.py.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import AF_INET6, inet_pton
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.wire.attributes import Malformed
from netloom.wire.constants import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL
from netloom.wire.relocate import (
    addr_again,
    is_near,
    leads_through,
    may_move,
    neighbour_again,
    route_again,
)
from netloom.wire.rtnetlink import read_addrs, read_routes

ADDR = bytes.fromhex(  # 10.0.0.1/24 on link 4, label v:1
    "0218800004000000080001000a000001080002000a00000108000300763a3100"
    "080008008000000014000600ffffffffffffffff3f3b18003f3b1800"
)  # fmt: skip
ROUTE = bytes.fromhex(  # 10.9.0.0/16 via 10.0.0.9 dev link 4
    "02100000fe0300010000000008000f00fe000000080001000a090000080005000a000009"
    "0800040004000000"
)  # fmt: skip
MULTIPATH = bytes.fromhex(  # 10.9.0.0/16 by 10.0.0.7 on link 4, which is down, and 10.0.0.8 on 5
    "02100000fe03000100000000080001000a09000024000900"
    "1000110004000000080005000a0000071000000005000000080005000a000008"
)  # fmt: skip


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute."""
    return pack("=HH", 4 + len(value), kind) + value


def hop6(link: int, gateway: str) -> bytes:
    """Return a nexthop of IPv6, as the kernel tells it."""
    return pack("=HBBI", 28, 0, 0, link) + attribute(5, inet_pton(AF_INET6, gateway))


MULTIPATH6 = (  # fd07::/64 by fd00::7 on link 4 and fd00::8 on link 5
    pack("=8BI", AF_INET6, 64, 0, 0, 254, 3, 0, 1, 0)
    + attribute(1, inet_pton(AF_INET6, "fd07::"))
    + attribute(9, hop6(4, "fd00::7") + hop6(5, "fd00::8"))
)
NEIGHBOUR = bytes.fromhex(  # 10.0.0.9 lladdr 02:00:00:00:00:09 on link 4, permanent
    "020000000400000080000001080001000a0000090a0002000200000000090000"
)
LINK = bytes.fromhex("000004030100000008000000000000000500430001000000")
READERS: list[tuple[bytes, Callable[[bytes], object]]] = [
    (ADDR, lambda data: addr_again(data, 7, "v", "w")),
    *((route, partial(leads_through, index=4)) for route in (ROUTE, MULTIPATH)),
    *((route, partial(route_again, old=4, index=7)) for route in (ROUTE, MULTIPATH)),
    (ROUTE, is_near),
    (NEIGHBOUR, lambda data: neighbour_again(data, 4, 7)),
    (LINK, may_move),
]


def test_an_address_comes_again_on_another_link() -> None:
    """With its label under the new name, and without the flags that are the kernel's own."""
    message = addr_again(ADDR, 7, "v", "wan")

    assert message is not None
    (seen,) = read_addrs([message.body])
    assert (seen.index, str(seen.addr), seen.flags) == (7, "10.0.0.1/24", 0)
    assert b"wan:1\0" in message.body
    assert b"v:1\0" not in message.body.replace(b"wan:1\0", b"")


def test_a_route_comes_again_through_another_link() -> None:
    """The same, but for the index."""
    message = route_again(ROUTE, 4, 7)

    assert leads_through(ROUTE, 4)
    assert not leads_through(ROUTE, 5)
    assert not is_near(ROUTE)
    assert message is not None
    assert read_routes([message.body], {7: "v"}) == read_routes([ROUTE], {4: "v"})


def test_a_route_with_a_hop_that_stays_does_not_come_again() -> None:
    """Its other link is in the old namespace."""
    assert leads_through(MULTIPATH, 4)
    assert leads_through(MULTIPATH, 5)
    assert route_again(MULTIPATH, 4, 7) is None


@pytest.mark.parametrize("route", [MULTIPATH, MULTIPATH6], ids=["IPv4", "IPv6"])
def test_at_home_a_route_has_all_its_hops_again(route: bytes) -> None:
    """IPv6 has a route for each: that of the link which stayed is there, and is joined."""
    message = route_again(route, 4, 7, home=True)

    assert message is not None
    assert leads_through(message.body, 7)
    assert leads_through(message.body, 5) == (route is MULTIPATH)
    assert message.flags == NLM_F_CREATE | (NLM_F_EXCL if route is MULTIPATH else NLM_F_APPEND)


def test_a_neighbour_that_somebody_set_comes_again() -> None:
    """One that was learned does not."""
    learned = NEIGHBOUR.replace(bytes.fromhex("80000001"), bytes.fromhex("02000001"))
    found = neighbour_again(NEIGHBOUR, 4, 7)

    assert found is not None
    assert found[0] == "10.0.0.9 lladdr 02:00:00:00:00:09"
    assert neighbour_again(NEIGHBOUR, 5, 7) is None
    assert neighbour_again(learned, 4, 7) is None


def test_what_the_kernel_keeps_where_it_is_may_not_move() -> None:
    """A loopback by its flag, others by IFLA_NETNS_IMMUTABLE."""
    plain = LINK[:8] + bytes(4) + LINK[12:20] + bytes(4)

    assert not may_move(LINK)
    assert not may_move(plain[:20] + LINK[20:])
    assert may_move(plain)


@pytest.mark.parametrize(("told", "again"), READERS, ids=range(len(READERS)))
def test_bytes_that_end_too_soon_are_refused(told: bytes, again: Callable[[bytes], object]) -> None:
    """Wherever they end; a head of which something is missing says nothing at all."""
    for end in range(len(told)):
        with suppress(Malformed):
            again(told[:end])
    with pytest.raises(Malformed):
        again(told[:7])


@given(st.sampled_from(READERS), st.data())
def test_broken_bytes_are_refused(
    reader: tuple[bytes, Callable[[bytes], object]], data: st.DataObject
) -> None:
    """Whatever the bytes are: a value, or our own refusal."""
    told, again = reader
    broken = bytearray(told[: data.draw(st.integers(0, len(told)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Malformed):
        again(bytes(broken))
