"""iptables-save texts, by the programs that own them, in the namespace of the calling thread.

A text of `iptables-restore` replaces the tables that it names, and of those only the rules: what
became of other tables, and of policies that it does not set, would depend on what was there before.
So what a text leaves out is added to it, as the kernel has it from birth.

Rules of the two flavours, `nft` and `legacy`, do not see each other; where both are there `nft` is
taken. Looking changes nothing: the programs are asked only where there are tables, since
`iptables -S` makes them.
"""

import errno
import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from netloom.errors import KernelError, Unavailable
from netloom.kernel import nft
from netloom.kernel.nft import Wrong
from netloom.values import Family
from netloom.wire.nfnetlink import Table

if TYPE_CHECKING:
    import subprocess


Flavour = Literal["nft", "legacy"]

FLAVOURS: tuple[Flavour, ...] = ("nft", "legacy")
"""Both kinds of programs, the one that is preferred first."""

CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "raw": ("PREROUTING", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
"""The tables, and the chains that each has from birth (iptables(8))."""

_WORDS: dict[Family, tuple[str, str]] = {4: ("iptables", "ip"), 6: ("ip6tables", "ip6")}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TIMEOUT = 60
_LINE = r"line:? (\d+)"
_NOISE = (
    r"^ip6?tables\S*-restore( v[\d.]+ \([^)]*\))?:\s*|^Error occurred.*"
    r"|(at )?\bline:? \d+( failed)?(: |$)"
)
"""What a message of the programs begins and ends with."""
_NO_CHAIN = r"Chain '([^']+)' does not exist"
"""What iptables-nft says of a target that it does not know, in the line of the COMMIT."""

_COUNTERS = r"\s*\[\d+:\d+\]\s*$|^\[\d+:\d+\]\s*"


class IptablesError(KernelError):
    """A text of iptables that was refused; `wrong` says why, and in which lines."""

    def __init__(self, wrong: tuple[Wrong, ...], asked: str) -> None:
        """Keep the mistakes."""
        self.wrong = wrong
        super().__init__(errno.EINVAL, asked, wrong[0].message if wrong else "")


def flavour() -> Flavour:
    """Return which iptables this machine has, `nft` if both; raises `Unavailable` without any."""
    for each in FLAVOURS:
        if _found(f"iptables-{each}-restore"):
            return each
    msg = "no iptables programs"
    raise Unavailable(msg, "apt-get install iptables (or your distribution's iptables-nft)")


def tables(family: Family, kind: Flavour) -> frozenset[str]:
    """Return the tables of iptables that there are; none is made by looking."""
    if kind == "nft":
        return tables_among(nft.tables(), family)
    try:
        path = f"/proc/thread-self/net/{_WORDS[family][1]}_tables_names"
        with open(path, encoding="utf-8") as file:
            return frozenset(file.read().split())
    except FileNotFoundError:  # the module is not loaded
        return frozenset()


def tables_among(there: Iterable[Table], family: Family) -> frozenset[str]:
    """Return those tables of nftables that iptables-nft takes for its own."""
    word = _WORDS[family][1]
    return frozenset(each.name for each in there if each.family == word and each.name in CHAINS)


def restore(text: str, family: Family, kind: Flavour) -> None:
    """Make a text of `iptables-save` all that there is; raises `IptablesError` if it is refused.

    Each of its tables is replaced at once, one after the other.
    """
    whole, lines = completed(text, tables(family, kind))
    if not whole:
        return
    program = _program(family, kind, "restore")
    done = _ran(program, whole)
    if done.returncode:
        raise IptablesError(_mistakes(done.stderr, text, lines), os.path.basename(program))


def save(family: Family, kind: Flavour) -> str:
    """Return what `iptables-save` says, in its canonical form; raises `IptablesError`."""
    program = _program(family, kind, "save")
    done = _ran(program, "")
    if done.returncode:
        wrong = Wrong(0, 0, 0, " ".join(done.stderr.split()))
        raise IptablesError((wrong,), os.path.basename(program))
    return canonical(done.stdout)


def completed(text: str, there: frozenset[str]) -> tuple[str, list[int]]:
    """Return a text with all that it leaves out, and for each line its number in the text, or 0.

    `there` are the tables that will not stay as they are. In others a policy of ACCEPT is not set,
    since they are born with it: after setting one, the kernel makes the program wait 12 ms for RCU.
    """
    lines: list[tuple[str, int]] = []
    touched = set(there)
    builtin: tuple[str, ...] = ()
    asked = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(asked, 1):
        table = line.strip().removeprefix("*")
        if line.startswith("*") and table in CHAINS:
            builtin = () if table in touched else CHAINS[table]
            lines.append((line, number))
            if table in touched:
                lines += [(each, 0) for each in _builtin_chains(table, asked[number:])]
            touched.add(table)
        else:
            idle = line.startswith(":") and line[1:].split()[1:2] == ["ACCEPT"]
            lines.append(("#" if idle and line[1:].split()[0] in builtin else line, number))
    named = {line.strip().removeprefix("*") for line in asked if line.startswith("*")}
    for table in sorted(there - named):
        lines += [(each, 0) for each in (f"*{table}", *_builtin_chains(table, []), "COMMIT")]
    return "".join(f"{line}\n" for line, _ in lines), [number for _, number in lines]


def _builtin_chains(table: str, rest: list[str]) -> list[str]:
    """Return the lines for those chains of a table that the rest of its text does not set."""
    block = rest[: rest.index("COMMIT")] if "COMMIT" in rest else rest
    named = {line[1:].split()[0] for line in block if line.startswith(":") and line[1:].split()}
    return [f":{chain} ACCEPT [0:0]" for chain in CHAINS[table] if chain not in named]


def canonical(text: str) -> str:
    """Return a text of `iptables-save` without comments, counters, and tables that do nothing."""
    found: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line
            found[table] = []
        elif line and not line.startswith("#") and line != "COMMIT":
            counted = line.startswith((":", "["))
            found.setdefault(table, []).append(re.sub(_COUNTERS, "", line) if counted else line)
    return "".join(
        "".join(f"{line}\n" for line in (name, *found[name], "COMMIT"))
        for name in sorted(found)
        if not _idle(name[1:], found[name])
    )


def _idle(table: str, lines: list[str]) -> bool:
    births = {f":{chain} ACCEPT" for chain in CHAINS.get(table, ())}
    return births.issuperset(lines)


def _found(name: str) -> str | None:
    import shutil

    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def _program(family: Family, kind: Flavour, verb: str) -> str:
    name = f"{_WORDS[family][0]}-{kind}-{verb}"
    path = _found(name)
    if path is None:
        msg = f"no program `{name}`"
        raise Unavailable(msg, "apt-get install iptables (or your distribution's iptables-nft)")
    return path


def _ran(program: str, text: str) -> "subprocess.CompletedProcess[str]":
    # The legacy program leaves a lock in /run, which only rules of one namespace would need.
    import subprocess

    env = {**os.environ, "LC_ALL": "C", "XTABLES_LOCKFILE": "/dev/null"}
    try:
        return subprocess.run(
            (program,),
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            env=env,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KernelError(errno.ETIMEDOUT, os.path.basename(program)) from error


def _mistakes(output: str, text: str, numbers: list[int]) -> tuple[Wrong, ...]:
    """Return the one mistake that a program of iptables tells, with its line in the user's text."""
    hit = re.search(_LINE, output)
    place = min(int(hit[1]), len(numbers)) if hit else 0
    # What is wrong in a line that we added is wrong with what stands before it.
    number = _leads(output, text) or next((each for each in reversed(numbers[:place]) if each), 0)
    lines = [re.sub(_NOISE, "", line).strip() for line in output.splitlines()]
    told = [line for line in lines if line and not line.startswith("Try ")]
    length = len(text.split("\n")[number - 1]) if number else 0
    return (Wrong(number, min(number, 1), length, told[0] if told else "not understood"),)


def _leads(output: str, text: str) -> int:
    """Return the first line that leads to a chain which, as a program says, is none; 0 for none."""
    unknown = re.search(_NO_CHAIN, output)
    if unknown is None:
        return 0
    leads = re.compile(rf"(?:-[jg]|--jump|--goto)[ =]+{re.escape(unknown[1])}(?!\S)")
    return next((at for at, line in enumerate(text.split("\n"), 1) if leads.search(line)), 0)
