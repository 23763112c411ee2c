"""A lab that is built word by word is as the words say, and costs no more for its size."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netloom import Lab, Network, TopologyError, Wire
from netloom.plan.diff import diff

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
