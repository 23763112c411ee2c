"""Text to `Topology`: every spelling of the language, and every mistake with its place."""

import pytest

from netloom.errors import Problem, TopologyError
from netloom.language.parse import Source, parse
from netloom.language.topology import (
    InterfaceSpec,
    Membership,
    NamespaceSpec,
    NetworkSpec,
    Topology,
    WireEndSpec,
    WireSpec,
)


def topology(text: str) -> Topology:
    """Return the topology of a text."""
    return parse(text).topology


def told(text: str) -> list[str]:
    """Return the mistakes of a text, each as `line:column message (hint)`."""
    with pytest.raises(TopologyError) as refused:
        parse(text, file="f")
    return [line(problem) for problem in refused.value.problems]


def line(problem: Problem) -> str:
    """Return a mistake as `line:column message (hint)`."""
    assert problem.mark is not None
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{problem.mark.line}:{problem.mark.column} {problem.message}{hint}"


@pytest.mark.parametrize("nothing", ["", "~", "null", "{}"])
def test_nothing_means_the_defaults(nothing: str) -> None:
    """S1: `lan:`, `lan: ~` and `lan: {}` are the same."""
    assert topology(f"networks:\n  lan: {nothing}\n").networks == {"lan": NetworkSpec()}
    assert topology(f"name: x\nlinks: {nothing.strip('{}')}\n") == Topology(name="x")


@pytest.mark.parametrize("spelling", ["[red, blue]", "{red: , blue: ~}", "{red: {}, blue: {}}"])
def test_a_list_of_names_is_a_map_of_them_to_nothing(spelling: str) -> None:
    """S2: `[red, blue]`."""
    both = {"red": NamespaceSpec(), "blue": NamespaceSpec()}

    assert topology(f"namespaces: {spelling}").namespaces == both


def test_one_item_may_stand_alone() -> None:
    """S3: `routes: default via r1`, `networks: lan`, `hosts: {vm: 10.0.0.1}`."""
    read = topology("namespaces: {a: {routes: default  via r1, networks: lan}}\nhosts: {vm: '::1'}")

    a = NamespaceSpec(routes=("default via r1",), networks={"lan": Membership()})
    assert read.namespaces == {"a": a}
    assert read.hosts == {"vm": ("::1",)}


def test_text_is_the_first_key() -> None:
    """S4: an address for a membership, a prefix for a network; a list for several of them."""
    read = topology(
        "networks: {lan: 10.0.0.0/24, dmz: [10.1.0.0/24, 'fd00::/64'], l2: none}\n"
        "namespaces: {a: {networks: {lan: 10.0.0.1, dmz: [10.1.0.1/24, 'FD00::1'], l2: none}}}"
    )

    assert read.networks == {
        "lan": NetworkSpec(subnets=("10.0.0.0/24",)),
        "dmz": NetworkSpec(subnets=("10.1.0.0/24", "fd00::/64")),
        "l2": NetworkSpec(subnets=()),
    }
    assert read.namespaces is not None
    assert read.namespaces["a"].networks == {
        "lan": Membership(addresses=("10.0.0.1",)),
        "dmz": Membership(addresses=("10.1.0.1/24", "fd00::1")),
        "l2": Membership(addresses=()),
    }


@pytest.mark.parametrize(
    "link",
    [
        "[red:up, blue 10.0.0.2/24, {mtu: 1400, subnet: none}]",
        "{ends: [red:up, blue 10.0.0.2/24], mtu: 1400, subnets: none}",
    ],
)
def test_a_link_has_three_spellings(link: str) -> None:
    """`[A, B]`, `[A, B, {…}]`, and a mapping with `ends`; one link may stand alone."""
    wire = WireSpec(
        ends=(
            WireEndSpec(netns="red", interface="up"),
            WireEndSpec(netns="blue", addresses=("10.0.0.2/24",)),
        ),
        mtu=1400,
        subnets=(),
    )

    assert topology(f"links: [{link}]").links == (wire,)
    assert topology("links: [[a, b]]").links == (
        WireSpec(ends=(WireEndSpec(netns="a"), WireEndSpec(netns="b"))),
    )
    for alone in ("{ends: [a, b]}", "[a, b]", "[a, b, {}]"):
        assert topology(f"links: {alone}") == topology("links: [[a, b]]")


def test_quoting_never_changes_a_meaning() -> None:
    """Names such as `no` and `010` are names; numbers and booleans may stand in quotes."""
    bare = "namespaces: {no: {forwarding: on, count: 2}, 010: {}}\nnetworks: {on: {mtu: 1400}}"
    quoted = (
        'namespaces: {"no": {"forwarding": "on", "count": "2"}, "010": {}}\n'
        "networks: {'on': {'mtu': '1400'}}"
    )

    assert topology(bare) == topology(quoted)


def test_values_are_canonical() -> None:
    """Addresses, prefixes and MACs have one form."""
    read = topology(
        "namespaces: {a: {interfaces: {e: {addresses: 'FD00:0::0:1/64', mac: 02:AA:00:00:00:01}}}}"
    )

    assert read.namespaces is not None
    e = InterfaceSpec(addresses=("fd00::1/64",), mac="02:aa:00:00:00:01")
    assert read.namespaces["a"].interfaces == {"e": e}


def test_anchors_merge_keys_and_extensions_work() -> None:
    """`x-…` keys hold anything; anchors and `<<` spare repetitions."""
    read = topology(
        "x-site: &site {routes: default via pe, forwarding: no}\n"
        "namespaces:\n  a: *site\n  b: {<<: *site, forwarding: yes}\n"
    )

    a = NamespaceSpec(routes=("default via pe",), forwarding=False)
    b = NamespaceSpec(routes=("default via pe",), forwarding=True)
    assert read.namespaces == {"a": a, "b": b}


def test_the_name_of_the_lab_is_the_files_unless_said() -> None:
    """`name` in the text wins over what the caller proposes."""
    assert parse("links: [[a, b]]", name="file").topology.name == "file"
    assert parse("name: said", name="file").topology.name == "said"


def test_bytes_are_utf8() -> None:
    """A file is read as it is on disk."""
    assert parse("namespaces: [é]".encode()).topology == topology("namespaces: [é]")


def test_all_mistakes_are_told_at_once_in_their_order() -> None:
    """Unknown keys, wrong words, duplicate keys, names used twice: one list."""
    text = (
        "networks:\n"
        "  internal: {subnt: 10.100.0.0/24, mtu: 12}\n"
        "  internal:\n"
        "namespaces:\n"
        "  webserver: {networks: [internal, ~], count: many}\n"
        "  internal: {interfaces: {this-is-too-long: }}\n"
        "links: [[a, b c], [x]]\n"
        "expect: web -> db 80\n"
    )

    assert told(text) == [
        "2:14 unknown key `subnt` in network `internal` (did you mean `subnet`?)",
        "2:41 an MTU is 68 to 65535 bytes, not 12",
        "3:3 `internal` is given twice (the first is on line 2)",
        "5:36 a list of names holds names only, not nothing",
        "5:47 `many` is no count: 1 to 10000",
        "6:3 `internal` is a network and a namespace (one name stands for one thing)",
        "6:27 `this-is-too-long` is longer than 15 bytes, the limit for an interface name",
        "7:10 no namespace `a`: a wire to nowhere",
        "7:15 `c` is no IP address",
        "7:19 this link takes 2 ends, and here is 1 (write `[A, B]`)",
        "7:20 no namespace `x`: a wire to nowhere",
        "8:19 `80` is no port (write `tcp/80`)",
    ]


def test_a_mistake_is_shown_as_a_compiler_does() -> None:
    """File, line, column, the line, and a caret with the hint under the word."""
    with pytest.raises(TopologyError) as refused:
        parse("networks:\n  internal: {subnt: 10.100.0.0/24}\n", file="netloom.yaml")

    assert str(refused.value) == (
        "netloom.yaml:2:14: unknown key `subnt` in network `internal`\n"
        "  2 |   internal: {subnt: 10.100.0.0/24}\n"
        "    |              ^^^^^ did you mean `subnet`?"
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("- a", "1:1 the file must be a mapping, not a list"),
        ("~", "1:1 the file says nothing"),
        (
            "namespaces: {a: {run: {command: ls, usr: b}}}",
            "1:37 unknown key `usr` in a command of `a` (did you mean `user`?)",
        ),
        ("networks: {lan: {delay: 10ms}}", "1:18 `delay` of network `lan` is not built yet"),
        ("networks: {lan: {driver: ovs}}", "1:26 `driver: ovs` of network `lan` is not built yet"),
        (
            "networks: {lan: {driver: brige}}",
            "1:26 `driver` cannot be `brige` (did you mean `bridge`?)",
        ),
        ("namespaces: {a: docker:web}", "1:17 `from` of namespace `a` is not built yet"),
        ("namespaces: {a: {from: pid}}", "1:18 `from` of namespace `a` is not built yet"),
        (
            "namespaces: {a: {interfaces: {e: {kind: dummy}}}}",
            "1:35 `kind` of interface `a:e` is not built yet",
        ),
        ("networks: {lan: {uplink: nta}}", "1:26 `uplink` cannot be `nta` (did you mean `nat`?)"),
        (
            "networks: {lan: {uplink: {mode: x}}}",
            "1:33 `mode` cannot be `x` (it can be `nat`, `routed`, `user`)",
        ),
        ("networks:\n\tlan: {}", "2:1 a tab cannot indent (use spaces)"),
        ("networks:\n  a: {}\n\tlan: {}", "3:1 a tab cannot indent (use spaces)"),
        ("networks: {lan: @b}", "1:17 no word can begin with this character (put it in quotes)"),
        (
            "namespaces: {a: {interfaces: {e: 10.0.0.1/24}}}",
            (
                "1:34 `kind` of interface `a:e` is not built yet"
                " (an address is written `addresses: …`)"
            ),
        ),
        (
            "namespaces: {a: {networks: {lan: {delay: 1ms}}}}\nnetworks: [lan]",
            "1:35 `delay` of network `lan` of namespace `a` is not built yet",
        ),
        ("links: [[a, b, {->: {loss: 1%}}]]", "1:17 `->` of this link is not built yet"),
        (
            "namespaces: {host: {rules: iif lo lookup 7}}",
            "1:21 `rules` of namespace `host` is not built yet (it changes the host itself)",
        ),
        (
            "networks: {lan: {subnet: 10.0.0.0/8, subnets: [fd00::/64]}}",
            "1:38 `subnets` says again what network `lan` has said (keep one of them)",
        ),
        (
            "networks: {lan: {subnet: [10.0.0.0/8, 11.0.0.0/8]}}",
            "1:26 `subnets` takes at most 1, and here are 2 (`subnets` takes several)",
        ),
        (
            "networks: {lan: 10.0.0.1/8}",
            "1:17 `10.0.0.1/8` has bits set beyond its length (write `10.0.0.0/8`)",
        ),
        (
            "networks: {lan: {subnets: []}}",
            "1:27 an empty list says neither (write `none`, or leave it out)",
        ),
        ("links: [{mtu: 1400}]", "1:9 this link has no `ends`"),
        ("links: [[a, b, {ends: [c, d]}]]", "1:23 `ends` is given twice"),
        ("links: [[a, b, c]]", "1:9 this link takes 2 ends, and here are 3 (write `[A, B]`)"),
        ("links: [red]", "1:8 this link takes 2 ends, and here is 1 (write `[A, B]`)"),
        ("links: [[red], [a, b]]", "1:9 this link takes 2 ends, and here is 1 (write `[A, B]`)"),
        ("hosts: {vm: }", "1:13 an entry of `vm` has no value (an IP address)"),
        ("hosts: [vm]", "1:8 `hosts` must be a mapping, not a list"),
        ("namespaces: {a: {sysctls: [net.x]}}", "1:27 `sysctls` must be a mapping, not a list"),
        ("namespaces: {a: {etc: [hosts]}}", "1:23 `etc` must be a mapping, not a list"),
        (
            "namespaces: {a: {sysctls: {net.x: }}}",
            "1:35 `net.x` has no value (the value of a sysctl)",
        ),
        ("namespaces: [a, a]", "1:17 `a` is given twice"),
        ("namespaces: [all]", "1:14 `all` is a word of the language, nothing may be named so"),
        ("networks: host", "1:11 `host` is a word of the language, nothing may be named so"),
        ("networks: {lan: {mtu: [1, 2]}}", "1:23 `mtu` must be one word, not a list"),
        (
            "links: [[lan, b]]\nnetworks: lan",
            "1:10 `lan` is a network and a namespace (one name stands for one thing)",
        ),
        (
            "networks: lan\nhosts: {lan: 10.0.0.1}",
            "2:9 `lan` is in the lab, and outside of it (one name stands for one thing)",
        ),
    ],
)
def test_a_mistake_says_what_and_where(text: str, mistake: str) -> None:
    """Each refusal names the key and the thing, at the word that is wrong."""
    assert told(text) == [mistake]


def test_a_key_that_is_like_no_other_is_told_what_stands_there() -> None:
    """Where nothing was meant, the hint lists the keys."""
    (mistake,) = told("version: 3\nlinks: [[a, b]]")

    assert mistake.startswith("1:1 unknown key `version` in the file (here stand: name, networks,")


def test_the_host_may_join_networks_and_have_routes() -> None:
    """`host` needs no declaration; with one, it takes part, and is not changed."""
    read = topology("namespaces: {host: {networks: {lan: 10.0.0.1}, routes: 10.9.0.0/16 via a}}")

    assert read.namespaces is not None
    assert read.namespaces["host"].routes == ("10.9.0.0/16 via a",)


def test_an_anchor_with_a_mistake_is_told_once() -> None:
    """However many names share a wrong value, it stands in one place."""
    assert told("x-a: &a {routs: x}\nnamespaces: {a: *a, b: *a, c: *a}") == [
        "1:10 unknown key `routs` in namespace `a` (did you mean `routes`?)"
    ]


TEXT = """\
networks:
  lan: 10.0.0.0/24
  dmz: {subnets: [10.1.0.0/24]}
namespaces:
  web: {networks: {lan: 10.0.0.9, dmz: }, routes: default via r1}
  db: {networks: [lan, dmz]}
links:
  - [web:up 10.5.0.1/24, db:up 10.5.0.2/24 fd00::2/64]
expect: "web, db -> internet tcp/80"
"""


@pytest.mark.parametrize(
    ("path", "pointed"),
    [
        (("networks", "lan"), "10.0.0.0/24"),
        (("networks", "lan", "subnet"), "10.0.0.0/24"),
        (("networks", "dmz", "subnet"), "[10.1.0.0/24]"),
        (("networks", "dmz", "subnets", 0), "10.1.0.0/24"),
        (("networks", "lan", "mtu"), "10.0.0.0/24"),
        (("namespaces", "web", "networks", "lan", "addresses", 0), "10.0.0.9"),
        (("namespaces", "web", "networks", "dmz"), "dmz"),
        (("namespaces", "db", "networks", "lan"), "lan"),
        (("namespaces", "web", "routes", 0), "default via r1"),
        (("namespaces", "web", "routes", 0, 2), "r1"),
        (("links", 0, "ends", 1), "db:up 10.5.0.2/24 fd00::2/64"),
        (("links", 0, "ends", 1, "netns"), "db"),
        (("links", 0, "ends", 0, "interface"), "up"),
        (("links", 0, "ends", 1, "addresses", 1), "fd00::2/64"),
        (("expect", 0, "sources", 1), "db"),
        (("expect", 0, "destinations", 0), "internet"),
    ],
)
def test_a_path_leads_to_what_said_it(path: tuple[str | int, ...], pointed: str) -> None:
    """A place is found by whichever spelling said it, or by what stands around it."""
    mark = parse(TEXT).locate(Problem("x", path)).mark

    assert mark is not None
    assert mark.text[mark.column - 1 :][: mark.length] == pointed


def test_a_key_can_be_meant_instead_of_its_value() -> None:
    """`at_key` points at the key, also where a list of names is one."""
    source = parse(TEXT)

    assert column(source, Problem("x", ("networks", "dmz"), at_key=True)) == (3, 3)
    assert column(source, Problem("x", ("networks", "dmz"))) == (3, 8)
    assert column(source, Problem("x", ("namespaces", "db", "networks", "dmz"), at_key=True)) == (
        6,
        24,
    )


RULES = """\
namespaces:
  a:
    firewall: |
      chain one {
        drop
      }
  b:
    firewall: "drop; drop it"
  c: {firewall: 'chain d {
    drop }'}
"""


@pytest.mark.parametrize(
    ("netns", "at", "place", "pointed"),
    [
        ("a", (1, 7, 3), (4, 13), "one"),
        ("a", (2, 3, 4), (5, 9), "drop"),
        ("a", (2, 3, 99), (5, 9), "drop"),
        ("a", (2, 7, 0), (5, 13), ""),
        ("a", (9, 1, 1), (3, 15), "|"),
        ("b", (1, 7, 4), (8, 22), "drop"),
        ("b", (1, 7, 99), (8, 22), 'drop it"'),
        ("c", (1, 7, 1), (9, 17), "'chain d {"),
    ],
)
def test_a_place_in_a_text_of_several_lines_is_one_of_the_file(
    netns: str, at: tuple[int, int, int], place: tuple[int, int], pointed: str
) -> None:
    """As the text stands there, below its sign or between quotes; else all of it is meant."""
    source = parse(RULES)
    problem = Problem("x", ("namespaces", netns, "firewall", "at", *at))
    mark = source.locate(problem).mark

    assert mark is not None
    assert (mark.line, mark.column) == place
    assert mark.text[mark.column - 1 :][: mark.length] == pointed


def column(source: Source, problem: Problem) -> tuple[int, int]:
    """Return line and column of a problem."""
    mark = source.locate(problem).mark
    assert mark is not None
    return mark.line, mark.column


def test_later_mistakes_are_put_in_order() -> None:
    """`error` locates what others found, and sorts it."""
    source = parse(TEXT)

    error = source.error([Problem("b", ("links", 0, "ends", 0)), Problem("a", ("networks", "lan"))])

    assert [problem.message for problem in error.problems] == ["a", "b"]
    assert all(problem.mark for problem in error.problems)
