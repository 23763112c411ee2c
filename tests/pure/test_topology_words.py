"""Words inside strings: each is read into a value, or refused with a clause."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.language import scalars
from netloom.language.topology import Flow, WireEndSpec
from netloom.model.objects import End
from tests.pure.topologies import NETNS_NAMES, flows, wire_ends

READERS: tuple[Callable[[str], object], ...] = (
    *(scalars.free_name, scalars.netns_name, scalars.outside_name, scalars.interface, scalars.end),
    *(scalars.interface_address, scalars.member_address, scalars.place, scalars.port, scalars.flow),
    *(scalars.truth, scalars.count, scalars.route, scalars.sysctl, scalars.setting),
    *(scalars.delay, scalars.rate, scalars.share),
)

PIECES = st.sampled_from(
    (
        *("web", "host", ":", "::", "/", "24", ",", " ", "->", "<->", "-/>", "tcp", "ip4", "."),
        *("10.0.0.1", "fd00", "\n", "\x00", "é", "~", "net", "%", "ms", "-"),
    )
)


@given(wire_ends(NETNS_NAMES))
def test_an_end_is_read_as_it_was_written(end: WireEndSpec) -> None:
    """`end` is the inverse of `end_text`."""
    assert scalars.end(scalars.end_text(end)) == end


@given(flows(NETNS_NAMES))
def test_a_flow_is_read_as_it_was_written(flow: Flow) -> None:
    """`flow` is the inverse of `flow_text`."""
    assert scalars.flow(scalars.flow_text(flow)) == flow


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=10).map("".join)))
def test_a_word_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    """Whatever the text: a value, or a ValueError with a clause; nothing else."""
    clause = ""
    try:
        read(text)
    except ValueError as error:
        clause = str(error) or "."

    assert not clause.endswith(".")


def test_an_end_says_who_which_interface_and_which_addresses() -> None:
    """`NS[:IF] [ADDRESS/LEN …]`, addresses in canonical form."""
    assert scalars.end("red") == WireEndSpec(netns="red")
    assert scalars.end(" red:eth0  10.0.0.1/24 FD00:0::1/64 ") == WireEndSpec(
        netns="red", interface="eth0", addresses=("10.0.0.1/24", "fd00::1/64")
    )


def test_an_interface_is_named_from_outside() -> None:
    """`web:eth0`, and `host:eth1`."""
    assert scalars.interface("web:eth0") == End("web", "eth0")
    assert scalars.interface("host:eth1") == End("host", "eth1")


def test_a_flow_takes_lists_a_port_and_a_family() -> None:
    """`SRC[,SRC…] ARROW DST[,DST…] [PORT] [ip4|ip6]`; its text is the canonical one."""
    flow = scalars.flow("web,api  -> db , 10.0.0.9 tcp:5432 ip6")

    assert flow.sources == ("web", "api")
    assert flow.destinations == ("db", "10.0.0.9")
    assert (flow.arrow, flow.port, flow.family) == ("->", "tcp/5432", 6)
    assert flow.text == "web, api -> db, 10.0.0.9 tcp/5432 ip6"


@pytest.mark.parametrize("text", ["a->b", "a -/>b", "host<-> internet", "all -> web:eth0 icmp"])
def test_arrows_need_no_spaces(text: str) -> None:
    """An arrow cannot be part of a name."""
    assert scalars.flow(text).arrow in text


@pytest.mark.parametrize(
    ("read", "text", "clause"),
    [
        (scalars.free_name, "all", "`all` is a word of the language"),
        (scalars.netns_name, "internet", "`internet` is a word of the language"),
        (scalars.netns_name, "a b", "`a b` is no name"),
        (scalars.netns_name, "x" * 256, "longer than 255 bytes"),
        (scalars.interface, "web", "such as `web:eth0`"),
        (scalars.interface, "web:" + "x" * 16, "longer than 15 bytes"),
        (scalars.end, "", "is no name"),
        (scalars.end, "red 10.0.0.1", "`10.0.0.1` has no prefix length: write `10.0.0.1/24`"),
        (scalars.end, "red:", "is no interface name"),
        (scalars.place, "10.0.0.300", "`10.0.0.300` is no IP address"),
        (scalars.place, "fd00::g", "is no IP address"),
        (scalars.place, "docker:web", "`docker` is a word of the language"),
        (scalars.port, "80", "`80` is no port: write `tcp/80`"),
        (scalars.port, "tcp/65536", "1 to 65535"),
        (scalars.port, "sctp/1", "`sctp` is no protocol"),
        (scalars.flow, "web db", "has no arrow"),
        (scalars.flow, "-> db", "there is no source"),
        (scalars.flow, "web ->", "there is no destination"),
        (scalars.flow, "web -> db tcp/80 udp/53", "`udp/53` is too much"),
        (scalars.truth, "maybe", "neither `true` nor `false`"),
        (scalars.truth, "1", "neither `true` nor `false`"),
        (scalars.count, "0", "1 to 10000"),
        (scalars.count, "10001", "1 to 10000"),
        (scalars.count, "٣", "1 to 10000"),
        (scalars.route, "ip route add default via r1", "only what follows `add`"),
        (scalars.sysctl, "kernel.panic", "no setting of a network namespace"),
        (scalars.sysctl, "net/../kernel/panic", "no setting of a network namespace"),
        (scalars.delay, "10", "`10` has no unit: write `10ms`"),
        (scalars.rate, "1mb", "`mb` is no unit here"),
        (scalars.share, "x", "no number with a unit"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    read: Callable[[str], object], text: str, clause: str
) -> None:
    """The clause quotes the wrong word, and says what would be right where that is known."""
    with pytest.raises(ValueError, match=re.escape(clause)):
        read(text)


def test_the_longest_name_is_a_name() -> None:
    """A name may have 255 bytes, as a file in /run/netns."""
    assert scalars.netns_name("x" * 255) == "x" * 255


@pytest.mark.parametrize("text", ["true", "Yes", "ON"])
def test_booleans_have_the_spellings_of_yaml(text: str) -> None:
    """`true`, `yes` and `on` mean the same, in lower case, capitalized or in capitals."""
    assert scalars.truth(text) is True
