"""`netloom netns …`: word for word what `ip netns …` says and does, for scripts written for it.

`netloom netns [OPTIONS] …` and `netloom [OPTIONS] netns …` both are `ip [OPTIONS] netns …`: its
options and their abbreviations in its order, its `-batch`, its exit statuses (what each verb does
is in `netns_verbs.py`). iproute2 6.1 is the model, and `tests/cli/test_netns_dropin.py` runs both.

Should: start fast; parse as ip does and not as netloom does elsewhere.
Mustn't: copy what is a mistake there: with a stale name, `ip -all netns exec` and `ip -batch` run
the commands behind it twice.
"""

import os
import sys

from netloom import __version__
from netloom.cli.netns_verbs import VERBS, switch
from netloom.cli.netns_words import NetnsExit, NetnsRequest, complain, flush, invalid, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WRONG = 255  # exit(-1)

_OPTIONS = (
    ("loops", True),
    ("family", True),
    ("human-readable", False),
    ("iec", False),
    ("statistics", False),
    ("stats", False),
    ("details", False),
    ("resolve", False),
    ("oneline", False),
    ("timestamp", False),
    ("tshort", False),
    ("Version", False),
    ("force", False),
    ("batch", True),
    ("brief", False),
    ("json", False),
    ("pretty", False),
    ("rcvbuf", True),
    ("color", False),
    ("help", False),
    ("netns", True),
    ("Numeric", False),
    ("all", False),
)
"""Options in the order in which ip tries an abbreviation, and whether a word follows."""

_WHOLE = {"-4", "-6", "-0", "-M", "-B", "-echo"}
_COLORS = {"", "always", "auto", "never"}
_FAMILIES = {"inet", "inet6", "link", "mpls", "bridge"}
_OTHERS = (
    *("address", "addrlabel", "amt", "fou", "help", "ila", "ioam", "l2tp", "link", "macsec"),
    *("maddress", "monitor", "mptcp", "mroute", "mrule", "neighbor", "neighbour", "netconf"),
    *("nexthop", "ntable", "ntbl", "route", "rule", "sr", "tap", "tcpmetrics", "token", "tunnel"),
    *("tuntap", "vrf", "xfrm"),
)
"""The objects of ip that are no business of ours."""

_NAMING = {"add", "attach", "set", "pids"}
_NETNS = {"net", "netn", "netns"}  # `n` and `ne` are neighbours
_USAGE = """\
Usage: netloom [ OPTIONS ] netns { COMMAND | help }
       netloom [ -force ] -batch FILE netns
where  OPTIONS are those of ip(8); of use are -a[ll], -j[son], -p[retty], -n[etns] NAME"""
_MOST_WORDS = 511  # MAX_ARGS of its lib/utils.c, less one
_BLANKS = " \t\r\n"


def main(arguments: "Sequence[str]", *, named: bool = True) -> int:
    """Do what `ip OPTIONS netns …` does, and return its exit status.

    `arguments` follow the word `netns` if that was `named` already, else `netloom`.
    """
    try:
        try:
            return _ended(list(arguments), named=named)
        finally:
            flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:  # the disk is full
        complain(str(error))
        return 1


def _ended(arguments: list[str], *, named: bool) -> int:
    asked = NetnsRequest()
    try:
        words = _options(arguments, asked)
        if asked.batch is not None:
            return _batch(asked)
        if named:
            return _netns(words, asked)
        return _object(words, asked) if words else _usage()
    except NetnsExit as end:
        return end.status


def _options(words: list[str], asked: NetnsRequest) -> list[str]:
    """Take the options from the front, and return what follows them."""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        option = word[1:] if word.startswith("--") else word
        _option(option, words, asked)
    return words


def _option(option: str, words: list[str], asked: NetnsRequest) -> None:
    if option in _WHOLE:
        return
    name, follows = _named(option)
    if follows and not words:
        _no_value(name)
    value = words.pop(0) if follows else ""
    if name in {"all", "json", "pretty", "force"}:
        setattr(asked, "everything" if name == "all" else name, True)
    elif name == "batch":
        asked.batch = value
    elif name == "Version":
        sys.stdout.write(f"netloom {__version__}, netns as in iproute2-6.1.0\n")
        raise NetnsExit(0)
    elif name == "help":
        raise NetnsExit(_usage())
    elif name == "netns" and not switch(value):
        raise NetnsExit(_WRONG)
    else:
        _check(name, value)


def _named(option: str) -> tuple[str, bool]:
    word = option[1:]
    for name, follows in _OPTIONS:
        if name.startswith(word):
            return name, follows
        if name == "color":
            text, _, when = word.partition("=")
            if name.startswith(text) and when in _COLORS:
                return name, follows
    complain(f'Option "{option}" is unknown, try "ip -help".')
    raise NetnsExit(_WRONG)


def _no_value(name: str) -> None:
    if name != "netns":
        raise NetnsExit(_usage())
    complain('Cannot open network namespace "(null)": No such file or directory')
    raise NetnsExit(_WRONG)


def _check(name: str, value: str) -> None:
    if name == "family" and value == "help":
        raise NetnsExit(_usage())
    if name == "family" and value not in _FAMILIES:
        raise invalid(value, "invalid protocol family")
    if name == "rcvbuf":
        size = whole_number(value)
        if size is None or not 0 <= size < 1 << 32:
            complain(f"Invalid rcvbuf size '{value}'")
            raise NetnsExit(_WRONG)


def _usage() -> int:
    complain(_USAGE)
    return _WRONG


def _object(words: "Sequence[str]", asked: NetnsRequest) -> int:
    """Do what a line says whose first word is an object of ip's."""
    if words[0] in _NETNS:
        return _netns(words[1:], asked)
    if any(name.startswith(words[0]) for name in _OTHERS):
        complain(f'Object "{words[0]}" is of ip alone, not of netloom.')
    else:
        complain(f'Object "{words[0]}" is unknown, try "ip help".')
    return 1


def _netns(words: "Sequence[str]", asked: NetnsRequest) -> int:
    verb, rest = (words[0], words[1:]) if words else ("list", words)
    found = next((name for name, _ in VERBS if name.startswith(verb)), "") if verb else ""
    freely = asked.everything and found not in _NAMING  # its word is none; ip lets all words pass
    if rest and not freely and _is_no_name(rest[0]):
        complain(f'Invalid netns name "{rest[0]}"')
        raise NetnsExit(_WRONG)
    if not found:
        complain(f'Command "{verb}" is unknown, try "ip netns help".')
        raise NetnsExit(_WRONG)
    return dict(VERBS)[found](asked, rest)


def _is_no_name(word: str) -> bool:
    return word in {"", ".", ".."} or "/" in word or len(os.fsencode(word)) > 255


def _batch(asked: NetnsRequest) -> int:
    """Do what the lines of a file say, up to the first that fails, or all of them by `-force`."""
    name = asked.batch or ""
    if name != "-":
        try:
            fd = os.open(name, os.O_RDONLY)
        except OSError as error:
            complain(f'Cannot open file "{name}" for reading: {error.strerror}')
            return 1
        os.dup2(fd, 0)  # as freopen(3): a command in the file reads on where we are
        os.close(fd)
    if os.path.isdir(0):
        return 0
    status = 0
    for number, line in _lines():
        words = _words(line)
        if words and _object(words, asked):
            complain(f"Command failed {name}:{number}")
            status = 1
            if not asked.force:
                break
    return status


def _lines() -> "Iterator[tuple[int, str]]":
    """Yield the lines of standard input with their numbers; a backslash at the end joins two."""
    number = 0
    with open(0, "rb", closefd=False) as file:
        for raw in file:
            number += 1
            line = _uncommented(raw)
            while "\\\n" in line:
                more = file.readline()
                if not more:
                    complain("Missing continuation line")
                    return
                number += 1
                line = line.partition("\\\n")[0] + _uncommented(more)
            yield number, line


def _uncommented(line: bytes) -> str:
    return os.fsdecode(line).partition("#")[0]


def _words(line: str) -> list[str]:
    """Return the words of a line; quotes count at the beginning of a word, and hide blanks."""
    words: list[str] = []
    rest = line.lstrip(_BLANKS)
    while rest:
        if len(words) == _MOST_WORDS:
            complain("Too many arguments to command")
            raise NetnsExit(1)
        if rest[0] in "'\"":
            word, quote, rest = rest[1:].partition(rest[0])
            if not quote:
                complain("Unterminated quoted string")
                raise NetnsExit(1)
        else:
            end = next((at for at, sign in enumerate(rest) if sign in _BLANKS), len(rest))
            word, rest = rest[:end], rest[end + 1 :]
        words.append(word)
        rest = rest.lstrip(_BLANKS)
    return words
