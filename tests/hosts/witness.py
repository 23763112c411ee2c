"""What a machine looks like, told by other people's tools: the list of "no trace".

Links, addresses, routes, rules, nexthops, neighbours that somebody set, nft and iptables rules,
sysctls, mounts, files below /run and /etc, processes; the same of every namespace that has a name.
Left out, as the design has it: the mount of /run/netns on itself, and what only counts.

Nothing of netloom is used here, and every fact is a line of text, so that what differs can be read.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

IP = """\
link show
address show
rule show
route show table all
nexthop show
neighbour show nud permanent
neighbour show proxy
netconf show
"""
TABLES = ("iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save")
SYSCTLS = "/proc/sys/net"
COUNTS = (f"{SYSCTLS}/netfilter/nf_conntrack_count",)
IN_ITS_OWN_TIME = re.compile(
    r" \w+_timer +[\d.]+| state \w+|NO-CARRIER,|,LOWER_UP|,M-DOWN| linkdown"
)
"""The timers of bridges run, and carrier comes and goes when the kernel gets round to it."""

ITSELF = "/run/netns"
OWN = Path("/proc/thread-self/ns/net")


Look = frozenset[str]
"""The facts of one moment, a line each."""


def look(*, whole: bool = True) -> Look:
    """Return all that there is to see on the machine that the calling thread is on.

    Where it is looked at again and again, rules of firewalls and sysctls may be left out: nothing
    puts those back by chance, so the last look of many finds what any of them would have found.
    """
    lines = [*_links("host"), *_files("/run"), *_files("/etc"), *_mounts(), *_processes()]
    if whole:
        lines += _rules_and_sysctls("host")
        for name in _names():
            enter = ("nsenter", f"--net={ITSELF}/{name}")
            lines += [*_links(name, *enter), *_rules_and_sysctls(name, *enter)]
    return frozenset(lines)


def differences(before: Look, after: Look) -> str:
    """Return what is gone and what was left behind, empty if all is as it was."""
    gone = [f"gone: {line}" for line in sorted(before - after)]
    return "\n".join(gone + [f"left: {line}" for line in sorted(after - before)])


@contextmanager
def no_trace() -> Iterator[Look]:
    """Demand that the machine looks the same before and after a block, files here left out."""
    before = _elsewhere(look())
    yield before
    found = differences(before, _elsewhere(look()))
    assert found == "", found


def _elsewhere(seen: Look) -> Look:
    return frozenset(line for line in seen if not line.startswith("file: /run/here"))


def _says(*argv: str, text: str = "") -> list[str]:
    run = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=30)
    return run.stdout.splitlines()


def _links(where: str, *enter: str) -> Iterator[str]:
    for words in (("-o", "-d", "-N", "-batch", "-"), ("-6", "-batch", "-")):
        text = IP if "-6" not in words else "rule show\n"
        for line in _says(*enter, "ip", *words, text=text):
            if where != "host" and (" fe80:" in line or " ff00::/8 " in line):
                continue  # they come a second after the carrier, and with the first carrier
            yield f"{where}: ip: {IN_ITS_OWN_TIME.sub('', ' '.join(line.split()))}"


def _rules_and_sysctls(where: str, *enter: str) -> Iterator[str]:
    if shutil.which("nft"):
        for line in _says(*enter, "nft", "-j", "-n", "list", "ruleset"):
            yield f"{where}: nft: {line.partition('}}, ')[2]}"
    for tool in filter(shutil.which, TABLES):
        for line in _says(*enter, tool):
            if not line.startswith("#"):
                yield f"{where}: {tool}: {line.partition(' [')[0]}"
    for line in _says(*enter, "grep", "-ras", "", SYSCTLS):  # a quarter of what `sysctl -a` takes
        if not line.startswith(COUNTS):
            yield f"{where}: sysctl: {line}"


def _names() -> list[str]:
    try:
        return sorted(path.name for path in Path(ITSELF).iterdir() if _is_netns(path))
    except FileNotFoundError:
        return []


def _is_netns(path: Path) -> bool:
    return path.stat().st_dev == OWN.stat().st_dev


def _files(top: str) -> Iterator[str]:
    here = Path(top).stat().st_dev
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            if str(path) != ITSELF:
                yield f"file: {path} {_file(path)}"
        folders[:] = [name for name in folders if Path(folder, name).lstat().st_dev == here]


def _file(path: Path) -> str:
    facts = path.lstat()
    if facts.st_dev == OWN.stat().st_dev:
        return f"namespace {facts.st_ino}"
    mode = stat.filemode(facts.st_mode)
    if stat.S_ISLNK(facts.st_mode):
        return f"{mode} -> {path.readlink()}"
    if stat.S_ISREG(facts.st_mode):
        return f"{mode} {facts.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return mode


def _mounts() -> Iterator[str]:
    for line in Path("/proc/thread-self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[4] != ITSELF:
            yield f"mount: {words[4]} {words[3]} {words[5]} {' '.join(words[words.index('-') :])}"


def _processes() -> Iterator[str]:
    """Yield the processes with this machine's mounts or network, other than the test itself."""
    here = _rooms(Path("/proc/thread-self"))
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            with suppress(OSError):
                if here & _rooms(process):
                    yield f"process: {process.name} {(process / 'comm').read_text().strip()}"


def _rooms(process: Path) -> set[int]:
    return {(process / "ns" / kind).stat().st_ino for kind in ("mnt", "net")}
