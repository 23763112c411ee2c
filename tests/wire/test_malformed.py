"""Whatever the bytes are, a reader gives values or says `Malformed`, and nothing else."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.objects import Addr, Bridge, Link, Nexthop, Route, Rule
from netloom.wire.attributes import Malformed
from netloom.wire.dialogue import Exchange
from netloom.wire.rtnetlink import (
    addr_add,
    link_add,
    link_set,
    read_addrs,
    read_links,
    read_nsid,
    read_routes,
    read_rules,
    route_add,
    rule_add,
)

Reader = Callable[[bytes], Any]

LINK = (
    link_add("br0", Link(kind=Bridge(), mac="02:00:00:00:00:01", mtu=1500)).body
    + link_set(1, alias="x", ipv6_ll=True)[0].body[16:]
)
WAYS = (Nexthop("a", "10.0.0.1"), Nexthop("b", "fe80::1"))
ROUTE = route_add(Route("10.0.0.0/8", WAYS, table=300, mtu=9), {"a": 1, "b": 2}).body
RULE = rule_add(Rule(6, 7, table=9, src="fd00::/8", iif="a", sport=(1, 2), uidrange=(3, 4))).body
ADDR = addr_add(3, Addr("fd00::1", 64)).body

READERS: dict[str, tuple[Reader, bytes]] = {
    "links": (lambda data: read_links([data]), LINK),
    "addrs": (lambda data: read_addrs([data]), ADDR),
    "routes": (lambda data: read_routes([data], {}), ROUTE),
    "rules": (lambda data: read_rules([data]), RULE),
    "nsid": (read_nsid, b"\0\0\0\0\x08\0\x01\0\x05\0\0\0"),
    "exchange": (partial(Exchange.feed, Exchange(0, 3)), b"\x18\0\0\0\2\0\0\2\0\0\0\0" + bytes(12)),
}
each = pytest.mark.parametrize(("reader", "sample"), READERS.values(), ids=READERS.keys())


@each
@given(data=st.binary(max_size=200))
def test_random_bytes(reader: Reader, sample: bytes, data: bytes) -> None:
    """Bytes without any sense."""
    with suppress(Malformed):
        reader(data)
    with suppress(Malformed):
        reader(sample[:16] + data)


@each
@given(data=st.data())
def test_a_message_in_which_bytes_were_changed(
    reader: Reader, sample: bytes, data: st.DataObject
) -> None:
    """Bytes that nearly make sense: lengths that lie, kinds that cannot be, numbers too long."""
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(sample) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    with suppress(Malformed):
        reader(bytes(changed))


@each
def test_a_message_cut_short_anywhere(reader: Reader, sample: bytes) -> None:
    """The end may lie in the middle of a header, an attribute or a value."""
    for end in range(len(sample)):
        with suppress(Malformed):
            reader(sample[:end])


def test_what_is_malformed_is_a_value_error_with_words() -> None:
    """A caller may treat it as any other wrong value."""
    with pytest.raises(ValueError, match="the attribute at byte 16 is cut short"):
        read_links([bytes(16) + b"\3\0\1\0"])
