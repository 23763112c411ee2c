"""The words of `publish:`, both ways, and which ports stand in each other's way."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.language.publish import publish, publish_text
from netloom.language.topology import Publish
from netloom.model.facts import TakenPort

PORTS = st.integers(1, 65535)
ADDRESSES = st.sampled_from(["", "127.0.0.1", "192.0.2.2", "2001:db8::2", "::1"])
PUBLISHED = st.builds(
    Publish,
    address=ADDRESSES,
    port=st.integers(1, 65000),
    to=st.integers(1, 65000),
    protocol=st.sampled_from(["tcp", "udp"]),
    number=st.integers(1, 500),
)


@given(PUBLISHED)
def test_what_is_written_is_what_was_read(value: Publish) -> None:
    """Every value has a text, and that text means it."""
    assert publish(publish_text(value)) == value


@given(st.text(alphabet="0123456789:/[].abtcpud", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """By ValueError alone; what is read is read again."""
    with suppress(ValueError):
        value = publish(text)
        assert publish(publish_text(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8080:80", Publish(port=8080, to=80)),
        ("53:5353/udp", Publish(port=53, to=5353, protocol="udp")),
        ("127.0.0.1:8080:80", Publish(address="127.0.0.1", port=8080, to=80)),
        ("[2001:DB8::1]:80:80/tcp", Publish(address="2001:db8::1", port=80, to=80)),
        ("80:80/TCP", Publish(port=80, to=80)),
        ("53:53/Udp", Publish(port=53, to=53, protocol="udp")),
        ("8000-8010:80-90", Publish(port=8000, to=80, number=11)),
        ("8000-8000:80", Publish(port=8000, to=80)),
    ],
)
def test_ports_are_written_as_docker_has_them(text: str, value: Publish) -> None:
    """`[IP:]PORT:PORT[/udp]`, the host's first."""
    assert publish(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("80", "no pair of ports"),
        ("0:80", "`0` is no port number"),
        ("80:65536", "`65536` is no port number"),
        ("80:80/sctp", "`sctp` is no protocol with ports"),
        ("2001:db8::1:80:80", "no pair of ports"),
        ("::1:8080:80", "an IPv6 address stands in brackets"),
        ("8000-8010:80", "`8000-8010` are 11 ports, and `80` 1"),
        ("8010-8000:80-90", "`8010-8000` is no range"),
        ("1-65535:1-65535", "no range of 1 to 1000 ports"),
        (":80:80", "address"),
        ("٨:80", "is no port number"),
    ],
)
def test_what_is_no_pair_of_ports_is_told(text: str, why: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(ValueError, match=why):
        publish(text)


@given(PUBLISHED)
def test_a_port_is_in_its_own_way(value: Publish) -> None:
    """And in that of the same port on all addresses; not in another protocol's."""
    taken = TakenPort(value.protocol, value.address, value.port)
    assert taken.clashes(next(value.each()))
    assert taken.clashes(Publish(port=value.port, to=1, protocol=value.protocol))
    other = "udp" if value.protocol == "tcp" else "tcp"
    assert not TakenPort(other, value.address, value.port).clashes(value)


@pytest.mark.parametrize(
    ("address", "published", "clash"),
    [
        ("0.0.0.0", "192.0.2.2", True),  # noqa: S104
        ("0.0.0.0", "2001:db8::2", False),  # noqa: S104
        ("::", "192.0.2.2", True),
        ("127.0.0.1", "192.0.2.2", False),
    ],
)
def test_who_listens_on_all_addresses_of_a_family_has_them_all(
    address: str,
    published: str,
    clash: bool,  # noqa: FBT001
) -> None:
    """A socket on `::` may have those of IPv4, too."""
    assert (
        TakenPort("tcp", address, 80).clashes(Publish(address=published, port=80, to=80)) is clash
    )


@given(PUBLISHED)
def test_a_range_leads_from_each_port_to_one(value: Publish) -> None:
    """In order, and each is a port by itself."""
    every = list(value.each())
    assert [(one.port - value.port, one.to - value.to) for one in every] == [
        (n, n) for n in range(value.number)
    ]
    assert {(one.address, one.protocol, one.number) for one in every} == {
        (value.address, value.protocol, 1)
    }
