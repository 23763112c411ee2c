"""What the pages say is true: blocks are played, tables made anew, links followed."""

import re
from difflib import unified_diff
from pathlib import Path

import pytest

from netloom.cli.verbs import VERBS, command
from netloom.compile.lower import HostFacts, lower
from netloom.datapath.fib import BASE_RULES
from netloom.language.parse import parse
from netloom.model.facts import Joined, Nic, UplinkFacts
from tests.house.reference import PAGE, RECORDS, play_anew, rewritten
from tests.house.transcripts import PAGES, ROOT, alike, blocks, commands, played
from tests.pure.outside import default

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
WRONG_ON_PURPOSE = {"wrong.yaml", "mistakes.yaml"}

AROUND = HostFacts(
    outside=UplinkFacts(
        links={"eth0": None, "virbr0": None},
        routes=(default("eth0"),),
        rules=BASE_RULES,
        program="/usr/bin/pasta",
    ),
    joined={
        "virbr0": Joined("virbr0", ("192.168.122.0/24",)),
        "office/lan": Joined("lan", ("10.80.0.0/24",), netns="office.switch"),
    },
    nics={"eth2": Nic("02:00:00:00:00:01")},
)
"""The host that the topologies of the pages are made for."""

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_MODULE = re.compile(r"`([\w/]+\.py)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(path: Path) -> str:
    """Return a path as the repository has it."""
    return str(path.relative_to(ROOT))


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.needs("netns", "ip", "veth", "bridge", "ping", "nft", "iptables", "curl")
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_shows_what_a_shell_shows(page: Path, tmp_path: Path) -> None:
    """Every command of a page, played in order on a fresh machine, prints what stands below it."""
    text = page.read_text()
    found = played(text, tmp_path)

    difference = "\n".join(unified_diff(text.splitlines(), found.splitlines(), lineterm=""))
    assert not difference, difference


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_module_that_a_page_names_is_there(page: Path) -> None:
    """By the end of its path; but one that the page shows how to make."""
    there = [f"/{name(path)}" for top in ("src", "tests") for path in (ROOT / top).rglob("*.py")]
    named = set(_MODULE.findall(page.read_text())) - {"wire/neighs.py"}

    assert [one for one in sorted(named) if not any(p.endswith(f"/{one}") for p in there)] == []


@pytest.mark.needs("netns", "ip", "veth")
def test_a_page_is_played_anew_on_request(tmp_path: Path) -> None:
    """As `python -m tests.house.reference PAGE` does it: what is printed by now stands there."""
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo now\nbefore\n```\n")

    play_anew(page)

    assert page.read_text() == "```console\n$ echo now\nnow\n```\n"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_topology_of_a_page_can_be_made(page: Path) -> None:
    """Every block of YAML is a whole topology, but for those that show a mistake."""
    for block in blocks(page.read_text()):
        if block.language == "yaml" and not any(wrong in block.text for wrong in WRONG_ON_PURPOSE):
            topology = parse(block.text, name="lab").topology
            assert lower(topology, AROUND).desired.netns


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_is_of_a_known_language(page: Path) -> None:
    """A fence without a language, or with a misspelt one, would be played by nobody."""
    fences = re.findall(r"^```(.*)$", page.read_text(), re.MULTILINE)

    assert set(fences[::2]) <= {"console", "python", "yaml", "sh", "text"}
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_leads_somewhere(page: Path) -> None:
    """Links within the project lead to a file that is there, and to a heading in it."""
    for target in _LINK.findall(page.read_text()):
        path, _, anchor = target.partition("#")
        if not path.startswith("http"):
            file = page.parent / path if path else page
            assert file.exists(), target
            headings = map(slug, _HEADING.findall(file.read_text())) if anchor else [anchor]
            assert anchor in headings, target


def test_the_tables_are_those_of_the_code() -> None:
    """`python -m tests.house.reference` has been run since the code changed."""
    page = PAGE.read_text()

    assert rewritten(page) == page


@pytest.mark.parametrize("verb", [verb for verbs in VERBS.values() for verb in verbs])
def test_a_command_is_documented(verb: str) -> None:
    """Each has a heading in the reference, its usage and all its options below it."""
    section = PAGE.read_text().split(f"### netloom {verb}\n")[1].split("\n### ")[0]

    assert f"    netloom {verb} " in section
    names = [name for option in command(verb).options for name in option.names]
    assert [name for name in names if name not in section] == []


@pytest.mark.parametrize("noun", RECORDS)
def test_a_thing_of_the_language_is_documented(noun: str) -> None:
    """Each has a heading in the reference, and a table with all its keys."""
    section = PAGE.read_text().split(f"#### {noun}\n")[1].split("\n#### ")[0]

    assert [key for key in RECORDS[noun].keys if f"`{key}`" not in section] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_example_is_found_from_the_front_page(example: Path) -> None:
    """An example that no page names is read by nobody."""
    assert name(example) in (ROOT / "README.md").read_text()


def test_no_page_speaks_of_what_is_not_the_projects() -> None:
    """Pages are for strangers: they know no session, no brief, and no registry."""
    words = re.compile(r"\b(sessions?|brief|registry|assistant)\b", re.IGNORECASE)

    assert {name(page): found for page in PAGES if (found := words.findall(page.read_text()))} == {}


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["up in 25 ms: 2"], ["up in 9.5 ms: 2"]),
        (["a", "…", "z"], ["a", "b", "c", "z"]),
        (["eth0@if2 UP    10.0.0.1/24"], ["eth0@if7 UNKNOWN 10.0.0.1/24 "]),
        (["rtt = 0.2/0.2/0.2/0.000 ms"], ["rtt = 1.1/1.1/1.1/0.000 ms"]),
    ],
)
def test_what_differs_from_run_to_run_is_let_pass(shown: list[str], printed: list[str]) -> None:
    """Times, states and indexes; and what a page leaves out."""
    assert alike(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["up in 25 ms: 2"], ["up in 25 ms: 3"]),
        (["a", "…", "z"], ["a", "b"]),
        (["a"], ["a", "b"]),
        (["a.b"], ["axb"]),
    ],
)
def test_what_is_wrong_is_not_let_pass(shown: list[str], printed: list[str]) -> None:
    """A comparison that lets everything pass proves nothing."""
    assert not alike(shown, printed)


@pytest.mark.needs("netns", "ip")
def test_a_page_that_is_wrong_is_told(tmp_path: Path) -> None:
    """A wrong output, a block that fails, and what is left behind: playing tells all three."""
    page = (
        "```console\n$ echo true\nfalse\n```\n```sh\nls /nowhere\n```\n```sh\nip netns add x\n```\n"
    )

    told = played(page, tmp_path)

    assert "$ echo true\ntrue\n```" in told
    assert "cannot access '/nowhere'" in told
    assert told.endswith("left behind: /run/netns/x\n")


def test_a_command_of_several_lines_is_one() -> None:
    """`> ` goes on with a command."""
    found = commands("$ cat <<E\n> x\n> E\nx\n$ true\n")

    assert [shown.command for shown in found] == ["cat <<E\nx\nE", "true"]
    assert found[0].output == ("x",)
