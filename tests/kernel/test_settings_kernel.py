"""What is asked of a sysctl is said as the kernel says it: the kernel itself is the witness."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.compile.settings import normal
from netloom.engine import front as engine
from netloom.language.parse import parse
from netloom.plan.steps import Plan
from tests.hosts.programs import says
from tests.kernel.worlds_made import MACHINE, MADE, alone

pytestmark = pytest.mark.needs("netns", "ip")

SPELLINGS: tuple[Callable[[int], str], ...] = (str, hex, "0X{:X}".format, "0{:o}".format)
NUMBERS = {
    "net.ipv4.ip_default_ttl": (1, 255),  # one byte (proc_dou8vec_minmax)
    "net.ipv4.tcp_notsent_lowat": (0, 2**32 - 1),  # proc_douintvec
    "net.ipv4.tcp_fin_timeout": (1, 10_000),  # jiffies (proc_dointvec_jiffies)
    "net.ipv4.conf.all.rp_filter": (0, 2),
    "net.ipv4.ip_forward": (-(2**31), 2**31 - 1),
    "net.ipv6.conf.default.disable_ipv6": (0, 2),
    "net.ipv6.conf.all.forwarding": (0, 2**31 - 1),
}
VECTORS = {"net.ipv4.tcp_rmem": 3, "net.ipv4.tcp_wmem": 3}
PORTS = "net.ipv4.ip_local_reserved_ports"
RESERVED = ("net.ipv4.ip_default_ttl", PORTS)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a setting that is a number or several, and a value as C may write it."""
    if draw(st.booleans()):
        key = draw(st.sampled_from(sorted(NUMBERS)))
        values = [draw(st.integers(*NUMBERS[key]))]
    else:
        key = draw(st.sampled_from(sorted(VECTORS)))
        values = [draw(st.integers(4096, 2**31 - 1)) for _ in range(VECTORS[key])]
    words = ["-" * (value < 0) + draw(st.sampled_from(SPELLINGS))(abs(value)) for value in values]
    return key, draw(st.sampled_from((" ", "\t", "  "))).join(words)


@st.composite
def sets(draw: st.DrawFn) -> tuple[str, str]:
    """Draw ports in any order, some of them as ranges."""
    port = st.integers(0, 300)
    ranges = st.tuples(port, port).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    parts = draw(st.lists(st.one_of(ranges, port.map(hex), port.map(str)), min_size=1, max_size=5))
    return PORTS, ",".join(parts)


@MADE
@given(st.lists(st.one_of(numbers(), sets()), min_size=20, max_size=20))
def test_a_value_is_what_the_kernel_tells_once_it_is_written(cases: list[tuple[str, str]]) -> None:
    """Written as it is asked for it reads as the plan says, and written so it reads the same."""

    def check() -> None:
        for key, text in cases:
            file = Path("/proc/sys", *key.split("."))
            for form in (text, normal(key, text)):
                file.write_text(form)
                told = " ".join(file.read_text().split())
                assert told == normal(key, text), (key, text, form)

    alone(check)


def up(**values: str) -> Plan:
    """Make a lab with these settings; return what was to be done."""
    said = "".join(f"\n    net.ipv4.{key}: {json.dumps(value)}" for key, value in values.items())
    source = parse(f"name: loom\nnamespaces:\n  a:\n   sysctls:{said}\n")
    plan = engine.plan(source, MACHINE).plan
    engine.up(source, MACHINE)
    return plan


def test_a_lab_with_odd_spellings_is_as_it_was_applied() -> None:
    """`verify` finds nothing, and the same values in other words are no change."""

    def check() -> None:
        up(
            ip_default_ttl="0x40",
            tcp_rmem="010000\t0x20000  6291456 ",
            ip_local_reserved_ports="8080,148,0x51,80",
        )
        assert engine.verify("loom", MACHINE) == engine.Verified(())
        said = says("ip", "netns", "exec", "a", "sysctl", "-n", *RESERVED)
        assert said.splitlines() == ["64", "80-81,148,8080"]

        other = up(
            ip_default_ttl="0100",
            tcp_rmem="4096 131072 6291456",
            ip_local_reserved_ports="80,81,148,8080",
        )
        assert other == ()
        engine.down("loom", MACHINE)

    alone(check)
