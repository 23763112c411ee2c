"""Exceptions in the firewalls of the host: reading what there is, opening, closing.

Looking changes nothing: iptables-legacy is asked only where its tables are (its `-S` would make
them), iptables-nft only where nftables has tables of those names. ufw's and firewalld's files are
read as they stand; a program of theirs costs a tenth of a second.

What is removed is removed by the comment that it bears and by what it means, so rules of others
stay to the letter as they were, and one that is gone already is no harm.

Should: be called on a thread that is in the namespace it is about.
Mustn't: decide what is needed; that is `plan/firewall_exceptions.py`.
"""

import errno
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from msgspec import structs

from netloom.errors import KernelError, Unavailable, errno_of
from netloom.host import sysctl
from netloom.kernel import nft
from netloom.kernel.files import exists
from netloom.model.firewall import (
    FirewallException,
    FirewallRule,
    FirewallState,
    FirewallTable,
    Tool,
    UfwRule,
)
from netloom.plan.exception_commands import Command, closing, opening, program
from netloom.plan.firewall_exceptions import OWN_TABLE, is_firewalld, place, standing, there
from netloom.values import Family
from netloom.wire import iptsave, nftables, ufwrules

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_TIMEOUT = 60
_LOCK = "/run/xtables.lock"
_TABLES = {"filter", "mangle", "raw", "security"}
"""Tables of iptables in which packets can be dropped (iptables(8))."""

_WORDS: tuple[tuple[Family, str, str], ...] = ((4, "ip", "iptables"), (6, "ip6", "ip6tables"))
_UFW: tuple[tuple[Family, str], ...] = ((4, "/etc/ufw/user.rules"), (6, "/etc/ufw/user6.rules"))
_ZONES = ("/usr/lib/firewalld/zones", "/etc/firewalld/zones")
_BRIDGED: dict[str, Family] = {
    "net.bridge.bridge-nf-call-iptables": 4,
    "net.bridge.bridge-nf-call-ip6tables": 6,
}
_BOUND = re.compile(r'<interface\s+name="([^"]+)"')
_REMEDIES = {"firewall-cmd": "firewalld", "ufw": "ufw", "nft": "nftables"}


class Read(NamedTuple):
    """What was read of the host: its firewalls, and the lab's exceptions among them."""

    firewall: FirewallState
    exceptions: tuple[FirewallException, ...]


def read(lab: str, links: Collection[str] = ()) -> Read:
    """Return the firewalls of the calling thread's namespace, and the exceptions of a lab.

    `links` are the lab's interfaces on the host; firewalld has no comments, so they tell there.
    Raises `Unavailable` where a program is missing that could read what is there.
    """
    found = _firewall()
    return Read(found, there(found, lab, links))


def put(exception: FirewallException) -> None:
    """Open an exception; one that is open stays as it is.

    Raises `KernelError` where its chain or its program is gone, or the program refuses.
    """
    firewall = _firewall_around(exception)
    if _is_open(firewall, exception):
        return
    at: tuple[int, FirewallRule | None] | None = (0, None)
    if exception.chain and exception.tool != "firewall-cmd":
        at = place(firewall, exception)
    if at is None:
        raise KernelError(errno.ENOENT, " ".join(opening(exception)), "its chain is gone")
    _change(opening(exception, at))


def remove(exception: FirewallException) -> None:
    """Close an exception, however often it is there; none is no harm."""
    firewall = _firewall_around(exception)
    if exception.tool in {"ufw", "firewall-cmd"}:
        if _is_open(firewall, exception):
            _change(closing(exception))
        return
    for rule in standing(firewall, exception):
        _change(closing(exception, rule))


def _is_open(firewall: FirewallState, exception: FirewallException) -> bool:
    lab = exception.comment.partition(":")[2]
    return exception in there(firewall, lab, {exception.flow.iif})


# ── reading ───────────────────────────────────────────────────────────────────────────────


def _firewall() -> FirewallState:
    tables = tuple(_tables())
    zones, bound = _firewalld() if any(map(is_firewalld, tables)) else (frozenset(), frozenset())
    return FirewallState(tables, tuple(_noted()), zones, bound, frozenset(_bridged()))


def _bridged() -> Iterator[Family]:
    """Yield the families in which packets that cross a bridge meet the rules for what is routed."""
    seen = sysctl.read(_BRIDGED)
    yield from (family for key, family in _BRIDGED.items() if seen.get(key, "0") != "0")


def _firewall_around(exception: FirewallException) -> FirewallState:
    """Return as much of the firewall as opening or closing an exception takes."""
    match exception.tool:
        case "ufw":
            return FirewallState(ufw=tuple(_noted()))
        case "firewall-cmd":
            return _firewall()
        case "nft":
            try:
                output = _run(("nft", "-j", "list", "table", *exception.table.split()))
            except KernelError as error:
                if error.errno == errno.ENOENT:
                    return FirewallState()
                raise
            return FirewallState(nftables.tables(output))
        case _:
            return FirewallState(_saved_table(exception))


def _saved_table(exception: FirewallException) -> tuple[FirewallTable, ...]:
    family, word, iptables = next(each for each in _WORDS if each[0] == exception.flow.family)
    if exception.tool == "iptables-legacy" and not _has_legacy(word):
        return ()
    flavour = exception.tool.removeprefix("iptables")
    save = (f"{iptables}{flavour}-save", "-t", exception.table)
    return _saved(save, exception.tool, family)


def _tables() -> Iterator[FirewallTable]:
    # Not in process: libnftables 1.0.6 writes past its buffer for a table with flags.
    output = _run(("nft", "-j", "list", "ruleset")) if _are_there() else '{"nftables": []}'
    of_nft = {table.name: table for table in nftables.tables(output)}
    for name in nftables.flagged(output):
        if name in of_nft:
            flags = _flags(name)
            of_nft[name] = structs.replace(of_nft[name], owned="owner" in flags)
            if "dormant" in flags:
                del of_nft[name]
    for family, word, iptables in _WORDS:
        save = f"{iptables}-nft-save"
        if any(f"{word} {name}" in of_nft for name in _TABLES) and _found(save):
            for table in _saved((save,), "iptables-nft", family):
                name = f"{word} {table.name}"
                own, of_nft[name] = iptsave.parted(table, of_nft[name])
                yield own
        if _has_legacy(word):
            yield from _saved((f"{iptables}-legacy-save",), "iptables-legacy", family)
    yield from of_nft.values()


def _are_there() -> bool:
    """Whether there are tables that no lab made: asked by us, since most hosts have none."""
    return any(not str(table).startswith(OWN_TABLE) for table in nft.tables())


def _flags(table: str) -> list[str]:
    lines = _run(("nft", "-t", "list", "table", *table.split())).splitlines()
    return [word for line in lines if line.startswith("\tflags ") for word in _words(line)]


def _words(line: str) -> list[str]:
    return line.replace(",", " ").split()[1:]


def _saved(command: Command, tool: Tool, family: Family) -> tuple[FirewallTable, ...]:
    return iptsave.tables(_run(command), tool, family)


def _has_legacy(word: str) -> bool:
    try:
        with open(f"/proc/thread-self/net/{word}_tables_names", encoding="utf-8") as file:
            return not _TABLES.isdisjoint(file.read().split())
    except (FileNotFoundError, PermissionError):  # the module is not loaded, or a user's namespace
        return False


def _noted() -> Iterator[UfwRule]:
    for family, path in _UFW:
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            yield from ufwrules.noted(file.read(), family)


def _firewalld() -> tuple[frozenset[str], frozenset[str]]:
    """Return firewalld's zones, and the interfaces that its lasting configuration binds."""
    zones, bound = set[str](), set[str]()
    for folder in _ZONES:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".xml"):
                    zones.add(entry.name.removesuffix(".xml"))
                    with open(entry.path, encoding="utf-8", errors="replace") as file:
                        bound.update(_BOUND.findall(file.read()))
    return frozenset(zones), frozenset(bound)


# ── programs ──────────────────────────────────────────────────────────────────────────────


def check(firewall: FirewallState, exceptions: Iterable[FirewallException]) -> None:
    """Raise `Unavailable` where one of these exceptions cannot be opened here, before any is.

    Its program is missing, or a running process keeps the table for itself.
    """
    owned = {table.name for table in firewall.tables if table.owned}
    for exception in exceptions:
        _path(program(exception))
        if exception.table in owned:
            reason = (
                f"table `{exception.table}` drops what must pass, and only its owner may change it"
            )
            raise Unavailable(reason, "have the program that made it let the network through")


def _found(name: str) -> str | None:
    import shutil

    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def _path(name: str) -> str:
    path = _found(name)
    if path is None:
        msg = f"no program `{name}`, which the firewall of this host needs"
        raise Unavailable(msg, f"apt-get install {_REMEDIES.get(name, 'iptables')}")
    return path


def _change(command: Command) -> None:
    try:
        _run(command)
    except Unavailable as error:  # too late for that: steps of a plan are being carried out
        raise KernelError(errno.ENOENT, " ".join(command), error.reason) from error


def _environment() -> dict[str, str]:
    env = {**os.environ, "LC_ALL": "C"}
    if not exists(_LOCK):  # nobody else takes it, and iptables-legacy would leave it there
        env["XTABLES_LOCKFILE"] = "/dev/null"
    return env


def _run(command: Command) -> str:
    """Return what a program prints; raises `KernelError` with its words where it refuses."""
    import subprocess

    asked = " ".join(command)
    try:
        done = subprocess.run(
            (_path(command[0]), *command[1:]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=_environment(),
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KernelError(errno.ETIMEDOUT, asked) from error
    if done.returncode:
        output = " ".join((done.stderr or done.stdout).split("\n")[0].split())
        raise KernelError(errno_of(output) or errno.EINVAL, asked, output)
    return done.stdout
