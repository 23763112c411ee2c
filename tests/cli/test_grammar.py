"""The grammar of the command line: what words mean, and how a mistake among them is told."""

import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.cli.grammar import Argument, Option, UsageError, Verb, number, seconds
from netloom.cli.verbs import MODULES, command
from tests.hosts.programs import SRC, python, says

PARTS: list[Option | Argument] = [
    Option("-q", "--quiet", says="Say nothing."),
    Option("-v", "--verbose", says="Tell all."),
    Option("-o", "--output", value="FILE", says="Where to."),
    Option("--count", value="N", read=number(1), default=None, says="How many."),
    Option("--for", key="duration", value="SECONDS", read=seconds, default=1.5, says="How long."),
    Option("--dns", value="ADDRESS", several=True, says="Who."),
    Option("--as", key="form", value="ip", choices=["ip", "nft"], says="What."),
    Argument("first"),
    Argument("second", "[SECOND]", default="2nd"),
]
PLAIN = Verb("plain", lambda **_: None, PARTS)
PASSING = Verb(
    "passing",
    lambda **_: None,
    [*PARTS[:2], Argument("ns"), Argument("cmd", "[CMD]...", many=True, default="")],
    passes_on=True,
)
MANY = Verb("many", lambda **_: None, [PARTS[0], Argument("names", "NAME...", many=True)])
DEFAULTS: dict[str, Any] = {
    "quiet": False,
    "verbose": False,
    "output": "",
    "count": None,
    "duration": 1.5,
    "dns": (),
    "form": "",
    "first": "a",
    "second": "2nd",
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a", {}),
        ("a b", {"second": "b"}),
        ("a -q b", {"second": "b", "quiet": True}),
        ("-qv a", {"quiet": True, "verbose": True}),
        ("a -o x", {"output": "x"}),
        ("a -ox", {"output": "x"}),
        ("a -qox", {"output": "x", "quiet": True}),
        ("a --output x", {"output": "x"}),
        ("a --output=x=y", {"output": "x=y"}),
        ("a --output=", {"output": ""}),
        ("a --output -q", {"output": "-q"}),
        ("a --count 3 --for .5", {"count": 3, "duration": 0.5}),
        ("a --dns 1 --dns 2", {"dns": ("1", "2")}),
        ("a --as nft", {"form": "nft"}),
        ("a -", {"second": "-"}),
        ("-- a -q", {"second": "-q"}),
        ("a -- -q", {"second": "-q"}),
    ],
)
def test_what_words_mean(line: str, said: dict[str, object]) -> None:
    """Options stand anywhere, in each of the forms that GNU has; `--` ends them."""
    assert PLAIN.read(line.split()) == DEFAULTS | said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "`FIRST` is missing"),
        ("a b c d", "too many words: `c` `d`"),
        ("a --quite", "no such option `--quite`: did you mean `--quiet`?"),
        ("a --qui", "no such option `--qui`: did you mean `--quiet`?"),
        ("a -x", "no such option `-x`"),
        ("a -qx", "no such option `-x`"),
        ("a --quiet=3", "option `--quiet` takes no value"),
        ("a --output", "option `--output` needs FILE"),
        ("a -o", "option `-o` needs FILE"),
        ("a --count 0", "`--count`: `0` is no whole number from 1 on"),
        ("a --count 1.5", "`--count`: `1.5` is no whole number from 1 on"),
        ("a --for nan", "`--for`: `nan` is no number of seconds"),
        ("a --for inf", "`--for`: `inf` is no number of seconds"),
        ("a --for -1", "`--for`: `-1` is no number of seconds"),
        ("a --as tcl", "`tcl` is not `ip` or `nft`"),
    ],
)
def test_a_mistake_is_told(line: str, said: str) -> None:
    """What was said, and what it should have been."""
    with pytest.raises(UsageError) as raised:
        PLAIN.read(line.split())

    assert str(raised.value).removesuffix(": did you mean `-q`?") == said


def test_the_words_of_a_command_are_its_own() -> None:
    """From the first that is no option on; before that an option is netloom's."""
    read = PASSING.read
    assert read(["-q", "web", "ls", "-v", "--", "-x", "--help"]) == {
        "quiet": True,
        "verbose": False,
        "ns": "web",
        "cmd": ("ls", "-v", "--", "-x", "--help"),
    }
    assert read(["--", "-x", "ls"]) == {
        "quiet": False,
        "verbose": False,
        "ns": "-x",
        "cmd": ("ls",),
    }
    with pytest.raises(UsageError, match="no such option `-x`"):
        read(["-x", "ls"])


def test_many_are_at_least_one_unless_none_will_do() -> None:
    """`NAME...` is missing where there is none, `[CMD]...` is not."""
    assert MANY.read(["b", "-q", "a"]) == {"quiet": True, "names": ("b", "a")}
    with pytest.raises(UsageError, match="`NAME` is missing"):
        MANY.read([])
    assert (PASSING.read(["web"]) or {})["cmd"] == ()


@pytest.mark.parametrize("line", ["--help", "-h", "a b c --help"])
def test_help_is_asked_for_anywhere(line: str) -> None:
    """Also where a word is too many or missing; but not behind `--`."""
    assert PLAIN.read(line.split()) is None
    assert PLAIN.read(["--", "--help"]) == DEFAULTS | {"first": "--help"}


WORDS = ["a", "-", "--", "-q", "-qv", "-ox", "--count", "--dns=", "--json", "0", "", "é\udcff"]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=6)))
def test_whatever_the_words_are_they_mean_something_or_are_told(words: list[str]) -> None:
    """No other exception, for any verb that there is."""
    for verb in (PLAIN, PASSING, MANY, *map(command, MODULES)):
        with suppress(UsageError):
            meant = verb.read(words)
            assert meant is None or meant.keys() == keys_of(verb) or verb.verbatim


def keys_of(verb: Verb) -> set[str]:
    """Return what a verb is called by."""
    return {option.key for option in verb.options} | {each.key for each in verb.arguments}


def test_every_verb_is_called_by_its_keys() -> None:
    """A verb's function takes what its options and arguments are called, and has a help text."""
    for name in MODULES:
        verb = command(name)
        code = verb.call.__code__
        takes = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        keys = keys_of(verb)
        assert takes <= keys, name
        assert keys == takes or code.co_flags & 8, name  # inspect.CO_VARKEYWORDS
        assert verb.call.__doc__, name


def test_help_is_one_screen() -> None:
    """All verbs at once; and each verb's own help, none wider than a terminal."""
    overview = says(*python("from netloom.__main__ import main; main()", "--help"))
    assert len(overview.splitlines()) <= 50
    code = "from netloom.cli.verbs import MODULES, command; from netloom.cli.help import help_on"
    text = says(*python(f"{code}\nfor name in MODULES: print(help_on(command(name)))"))
    assert max(map(len, text.splitlines())) <= 80


def test_the_command_line_starts_with_little() -> None:
    """`--version` imports nothing that Python has not, but a few files of netloom's own."""
    code = f"""if True:
        import sys
        sys.path[:0] = [{str(SRC)!r}]
        import os
        before = set(sys.modules)
        os._exit = lambda status: print(*set(sys.modules) - before)
        sys.argv[1:] = ["--version"]
        from netloom.__main__ import main
        main()
    """
    said = says(sys.executable, "-I", "-S", "-c", code).split()[2:]
    assert sorted(said) == [
        "gc",
        "netloom",
        "netloom.__main__",
        "netloom.cli",
        "netloom.cli.grammar",
        "netloom.cli.main",
        "netloom.cli.verbs",
        "netloom.kernel",
    ]
