"""A lab that is built word by word is as the words say, and costs no more for its size."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netloom import Lab, Network, Topology, TopologyError, Wire, parse
from netloom.language.topology import NamespaceSpec
from netloom.plan.diff import diff
from tests.hosts.programs import plainly, python, ran

pytestmark = pytest.mark.needs("userns", "veth", "bridge")

NAMES = st.sampled_from("abcd")
NETWORKS = st.sampled_from(["lan", "dmz"])
WORDS: st.SearchStrategy[tuple[str, str, list[str]]] = st.one_of(
    st.tuples(st.just("netns"), NAMES, st.lists(NETWORKS, max_size=2, unique=True)),
    st.tuples(st.just("network"), NETWORKS, st.just([])),
    st.tuples(st.just("wire"), NAMES | st.just("host"), NAMES.map(list)),
    st.tuples(st.just("remove"), NAMES | NETWORKS | st.sampled_from("012"), st.just([])),
)


def say(lab: Lab, word: str, first: str, second: list[str]) -> None:
    """Say a word; one that is wrong by now changes nothing."""
    with suppress(TopologyError, KeyError, IndexError):
        if word == "netns":
            lab.netns(first, networks=second)
        elif word == "network":
            lab.network(first)
        elif word == "wire":
            lab.wire(first, second[0])
        elif first.isdecimal():
            lab.remove(Wire(("", ""), lab.topology.links[int(first)]))
        else:
            lab.remove(Network(first) if first in lab.topology.networks else lab[first])


@settings(max_examples=10)
@given(st.lists(WORDS, min_size=4, max_size=14))
def test_after_any_words_there_is_what_was_asked(words: list[tuple[str, str, list[str]]]) -> None:
    """Though each change looks only where it has to; a look at all of it finds nothing to do."""
    with Lab() as lab:
        lab.netns("a", "b")
        for word in words:
            say(lab, *word)
        wanted = lab._desired
        assert list(diff(wanted, lab.snapshot())) == []
        for one in lab.all():
            told = json.loads(one.run(["ip", "-j", "addr"], capture_output=True).stdout)
            found = {a["local"] for link in told for a in link["addr_info"]}
            assert found - {"127.0.0.1", "::1"} >= set(one.ips)


def test_what_was_done_by_hand_elsewhere_stays() -> None:
    """A word changes the namespaces that it speaks of, and no other."""
    with Lab() as lab:
        a, b, c = lab.netns("a", "b", "c")
        lab.wire("a:eth0 10.0.0.1/24", "b:eth0 10.0.0.2/24")
        b.run(["ip", "addr", "add", "10.9.0.2/24", "dev", "eth0"], check=True)
        lab.wire("a:eth1 10.1.0.1/24", "c:eth0 10.1.0.2/24")
        a.run(["ip", "addr", "add", "10.9.0.1/24", "dev", "eth0"], check=True)
        assert a.reaches("10.9.0.2")
        assert b.call(Path("/etc/hosts").read_text).count("c\n") == 1
        b.run(["ip", "link", "del", "eth0"], check=True)
        lab.wire("a:eth2 10.2.0.1/24", "c:eth1 10.2.0.2/24")
        assert a.reaches("10.0.0.2")
        assert c.reaches("10.2.0.1")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lab(name="../../x"),
        lambda: Lab(name="a b"),
        lambda: Lab(Topology(namespaces={"../x": NamespaceSpec()})),
        lambda: Lab(Topology(namespaces={"a b": NamespaceSpec()})),
        lambda: Lab(parse("links: [[a, b]]"), name="../../x"),
    ],
)
def test_what_nobody_could_have_written_is_refused(make: Callable[[], Lab]) -> None:
    """A topology that was put together by hand is read as a file would be, before anything."""
    with pytest.raises(TopologyError):
        make()


@pytest.mark.parametrize("value", [b"ab", range(3), {1, 2}, object()])
def test_what_has_no_word_in_a_file_is_refused(value: object) -> None:
    """Bytes are no list of numbers."""
    with Lab() as lab, pytest.raises(TypeError, match="has no word in a topology"):
        lab.netns("a", dns=value)  # type: ignore[call-overload]


def test_a_name_in_a_hosts_file_is_heard_at_the_first_probe() -> None:
    """In the namespace's own /etc, whether or not anybody was inside before."""
    with Lab(parse("links: [[a 10.0.0.1/24, b 10.0.0.2/24]]\nhosts: {ext: 10.0.0.2}")) as lab:
        assert lab["a"].reaches("ext")


FORKED = """
import os
from netloom import Lab, Unavailable
from netloom.kernel.process import process
seconds = f"4731.{os.getpid()}"
with Lab() as lab:
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    pid = os.fork()
    if pid == 0:
        assert a.reaches(b)
        a.popen(["sleep", seconds])
        lab["host"].run(["ip", "link", "add", "by", "type", "bridge"], check=True)
        lab["host"].run(["ip", "addr", "add", "10.64.0.1/16", "dev", "by"], check=True)
        try:
            lab.netns("c")
        except Unavailable as error:
            print(error, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    found = a.run(["pgrep", "-xf", f"sleep {seconds}"], capture_output=True, text=True)
    sleeps = found.stdout.split()
    lab.network("lan")
    lab.netns("c", networks=["lan"])
    print(lab["c"].ip, len(sleeps))
assert process(int(sleeps[0])) is None or process(int(sleeps[0])).dead  # whoever reaps it
"""


@pytest.mark.parametrize("argv", [python, plainly])
def test_a_process_that_was_forked_changes_nothing(argv: Callable[[str], list[str]]) -> None:
    """It is told so; what it did by hand is seen, and what it started ends with the lab."""
    said, address = ran(*argv(FORKED)).stdout.splitlines()[::2]
    assert said == "a process that was forked may use the lab `lab`, and not change it"
    assert re.fullmatch(r"10\.65\..* 1", address)


SERVED = """
from netloom import Lab
with Lab() as lab:
    a, b = lab.netns("a", "b")
    lab.wire(a, b)
    b.popen(["python3", "-m", "http.server", "80"], ready="tcp/80", stdout=-3, stderr=-3)
    print(bool(a.reaches(b, 80)))
"""


@pytest.mark.parametrize("argv", [python, plainly])
def test_a_command_is_waited_for_by_whoever_may_not_enter(argv: Callable[[str], list[str]]) -> None:
    """A plain user asks for listeners over a socket that a child hands out."""
    assert ran(*argv(SERVED)).stdout == "True\n"


def test_what_was_done_by_hand_stays_where_a_word_comes() -> None:
    """Forwarding, an address, a route: a wire to the namespace, and one that goes, leave them."""
    by_hand = (
        "sysctl -qw net.ipv4.ip_forward=1",
        "ip addr add 10.7.0.1/24 dev e1",
        "ip route add 10.9.0.0/16 via 10.0.1.2",
    )
    with Lab() as lab:
        hub, _ = lab.netns("hub", "h1")
        lab.wire("hub:e1 10.0.1.1/24", "h1:e0 10.0.1.2/24")
        for line in by_hand:
            hub.run(line.split(), check=True)

        lab.netns("new")
        wire = lab.wire("hub", "new")
        lab.remove(wire)

        look = ["sh", "-c", "ip -4 addr; ip route; sysctl net.ipv4.ip_forward"]
        said = hub.run(look, text=True, capture_output=True).stdout
        assert "10.7.0.1/24" in said
        assert "10.9.0.0/16 via 10.0.1.2" in said
        assert "net.ipv4.ip_forward = 1" in said
