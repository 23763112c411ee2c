"""A name that nobody bears is told in the same round as a word that nobody can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.compile.lower import lower
from netloom.errors import TopologyError
from netloom.language.parse import parse

LAB = """
networks: {lan: 10.1.0.0/24}
namespaces:
  web: {networks: lan, routes: [10.8.0.0/16 via weeb, 10.9.0.0/16 via 10.1.0.9, default via r7]}
  r: {count: 2, networks: lan}
links: [[web:a 10.2.0.1/24, bd:w], [web, r1], {ends: [host, "web:x 10.0.0.300/24"]}]
hosts: {vm: 192.0.2.1}
expect: [web -> lan, r -> vm, "web, wib -> internet tcp/80", 10.1.0.1 -> r2, all -> web, a b]
"""
UNREADABLE = {'"web:x 10.0.0.300/24"', "a b"}
UNKNOWN = [
    "`weeb` is neither an address nor a name here (did you mean `web`?)",
    "no namespace `bd`: a wire to nowhere",
    "nobody here is called `wib` (did you mean `web`?)",
]
MISTAKES = {
    "an address": "  x: {interfaces: {eth0: 10.0.0.300/24}}",
    "a key": "  x: {networks: lan, routs: []}",
    "a truth": "  x: {networks: {lan: }, forwarding: perhaps}",
}


def told(text: str) -> list[str]:
    """Return the mistakes of a text, each with its hint."""
    with pytest.raises(TopologyError) as refused:
        parse(text)
    return [f"{p.message} ({p.hint})" if p.hint else p.message for p in refused.value.problems]


def test_unknown_names_are_told_along_with_what_cannot_be_read() -> None:
    """In links, in `via` and in `expect`; what is not certain is left for the next round."""
    mistakes = told(LAB)

    assert [text for text in mistakes if text in UNKNOWN] == UNKNOWN
    assert len(mistakes) == len(UNKNOWN) + len(UNREADABLE)


def test_a_misspelt_key_of_the_file_may_declare_what_seems_unknown() -> None:
    """`namspaces` is one mistake, and not one for each of its names."""
    text = "namspaces: {a: , b: }\nnamespaces: c\nlinks: [[a, b]]\nexpect: [a -> vm]\n"

    assert told(text) == ["unknown key `namspaces` in the file (did you mean `namespaces`?)"]


@given(st.sampled_from(sorted(MISTAKES)), st.booleans())
def test_a_name_that_is_known_is_never_told(mistake: str, declared: bool) -> None:  # noqa: FBT001
    """Of a lab that is right otherwise the one mistake is told, and no more."""
    spaces = f"namespaces:\n  web: {{networks: lan}}\n  r: {{count: 2}}\n{MISTAKES[mistake]}\n"
    around = "networks: {lan: 10.1.0.0/24}\nhosts: {vm: 192.0.2.1}\n"
    links = "links: [[web, r1], [host, web], [r2, web]]\n"
    flows = "expect: [web -> vm, r -> r2, host -> internet, lan -> all]\n"
    right = around + links + flows + "namespaces: {web: {networks: lan}, r: {count: 2}}\n"
    lower(parse(right, name="lab").topology)

    text = spaces + around + links + flows
    if not declared:
        text = f"{around}links: [[web, r1], [host, web], [r2, web, {{mtu: no}}]]\n"
        text += "expect: [web -> vm, r1 -> r2, host -> internet, lan -> all]\n"

    assert len(told(text)) == 1
