"""Pages whose blocks are played: what a page shows is what a shell shows, on a machine of its own.

    console   commands after `$ `, `> ` going on with one, and under each what it prints
    yaml      a file, where its first line is `# NAME.yaml`; else only a topology that must be one
    python    a file, where its first line is `# NAME.py`; else only shown
    sh        commands that must succeed; what they print is not shown
    text      only shown, as is any block after a line `<!-- only shown: WHY -->`, and one after
              `<!-- needs: WORD … -->` where the machine lacks one of these abilities

A line `…` stands for any lines. Times, MAC addresses, indexes and states of links, and process ids
differ from run to run, and may; so does the group that a process is in.

The machine has a card `eth0` (192.0.2.2) and, behind it, what stands for the internet: `beyond.py`.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TextIO

from tests.abilities import missing
from tests.hosts.internet import on_the_internet
from tests.hosts.programs import LIBRARIES, SRC, says
from tests.house.beyond import internet

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"<!-- only shown: [^>]+ -->\s*\Z")
_NEEDS = re.compile(r"<!-- needs: ([\w -]+) -->\s*\Z")
_FILE = re.compile(r"# ([\w.-]+\.(?:yaml|py))\b")
_MARK = "\x1e"
_PATIENCE = 240
_SOCKETS = "ss -tuanpi"
_ASIDE = "note: /run/netns is not shared with the machine"
_VARIES = (
    (re.compile(r"= [\d./]+ ms"), "= N ms"),
    (re.compile(r"\d+(\.\d+)? ?ms\b"), "N ms"),
    (re.compile(r"\b(02|fe)(:[0-9a-f]{2}){5}\b"), "MAC"),
    (re.compile(r"^127\.0\.1\.1\t.*"), "127.0.1.1 HOSTNAME"),
    (re.compile(r"\bfe80::[0-9a-f:]+"), "fe80::N"),
    (re.compile(r"@if\d+"), "@ifN"),
    (re.compile(r"\b(UP|DOWN|UNKNOWN|LOWERLAYERDOWN)\b +"), "STATE "),
    (re.compile(r"\b(pid|process) \d+"), "\\1 N"),
    (re.compile(r"^ *\d+(?=  \S+ +(lives|thread|fd|socket) )"), "N"),
    (re.compile(r"/proc/\d+|(attach \S+) \d+"), "\\1 N"),
    (re.compile(r"(process N \([\w-]+\)), .*"), "\\1"),
    (re.compile(r"(?<= up from )/\S+(?=/a/)"), "HERE"),
    (re.compile(r"\bsince \d\d:\d\d$"), "since HH:MM"),
    (re.compile(r"\b(after|in) [\d.]+ ?s\b"), "\\1 N s"),
    (re.compile(r"\[\d\d/\w{3}/\d{4} [\d:]{8}\]"), "[DATE]"),
    (re.compile(r"/files/[0-9a-f]+"), "/files/N"),
    (re.compile(r" +$"), ""),
)


class Block(NamedTuple):
    """A fenced block of a page: its language, its text, and where in the page that text stands."""

    language: str
    text: str
    start: int
    end: int
    shown: bool = False


class Shown(NamedTuple):
    """A command of a `console` block, and what the page says that it prints."""

    lines: tuple[str, ...]
    output: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a shell is given."""
        return "\n".join(line[2:] for line in self.lines)


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for found in _FENCE.finditer(page):
        before = page[: found.start()]
        shown = bool(_SHOWN.search(before)) or _lacks(before)
        yield Block(found[1], found[2], found.start(2), found.end(2), shown)


def _lacks(before: str) -> bool:
    needs = _NEEDS.search(before)
    return needs is not None and any(missing(ability) for ability in needs[1].split())


def commands(text: str) -> list[Shown]:
    """Return the commands of a `console` block."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [Shown(tuple(lines), tuple(output)) for lines, output in found]


def alike(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether what a page shows is what was printed; `…` stands for any lines."""
    pattern = "".join(
        "(?:[^\n]*\n)*?" if line == "…" else re.escape(plain(line)) + "\n" for line in shown
    )
    return bool(re.fullmatch(pattern, "".join(f"{plain(line)}\n" for line in printed)))


def plain(line: str) -> str:
    """Return a line without what differs from run to run."""
    for pattern, instead in _VARIES:
        line = pattern.sub(instead, line)
    return line


# ── playing ───────────────────────────────────────────────────────────────────────────────────────


def played(page: str, folder: Path) -> str:
    """Return a page as it would be if every block were played now; the same, if all in it is true.

    A block of `sh` that fails is replaced by what it prints; at the end of the page stands what it
    leaves behind.
    """
    steps = list(_script(page))
    outputs, left = _play([text for text, _ in steps], folder)
    told = [(block, *output) for (_, block), output in zip(steps, outputs, strict=True)]
    for block in reversed([block for block in blocks(page) if not block.shown]):
        mine = [(status, lines) for other, status, lines in told if other == block]
        if block.language == "console":
            page = (
                page[: block.start]
                + _retold(block, [lines for _, lines in mine])
                + page[block.end :]
            )
        elif any(status for status, _ in mine):
            failed = "".join(f"{line}\n" for _, lines in mine for line in lines)
            page = page[: block.start] + failed + page[block.end :]
    return page + "".join(f"left behind: {path}\n" for path in left)


def _script(page: str) -> Iterator[tuple[str, Block]]:
    """Yield what a shell is given, and the block that each piece belongs to."""
    for block in blocks(page):
        name = _FILE.match(block.text)
        if block.shown:
            continue
        if block.language == "console":
            yield from ((shown.command, block) for shown in commands(block.text))
        elif block.language == "sh":
            yield f"(set -e\n{block.text})", block
        elif block.language in {"yaml", "python"} and name:
            yield f"cat >{name[1]} <<'END-OF-BLOCK'\n{block.text}END-OF-BLOCK", block


def _retold(block: Block, outputs: list[list[str]]) -> str:
    text = ""
    for shown, printed in zip(commands(block.text), outputs, strict=True):
        lines = (
            shown.output if alike(shown.output, printed) else [line.rstrip() for line in printed]
        )
        text += "".join(f"{line}\n" for line in (*shown.lines, *lines))
    return text


Output = tuple[int, list[str]]
"""Exit status and lines of a piece."""


def _play(pieces: list[str], folder: Path) -> tuple[list[Output], list[str]]:
    """Run pieces of a script in one shell; return what each prints, and what is left behind."""
    script = "exec 2>&1\n" + "".join(
        f"{piece}\n_status=$?; printf '\\n{_MARK}%d\\n' $_status; (exit $_status)\n"
        for piece in pieces
    )
    (folder / ".script").write_text(script)
    said, left = _run_script(folder)
    found = re.findall(rf"(.*?)\n{_MARK}(\d+)\n", said, re.DOTALL)
    return [(int(status), _lines(text)) for text, status in found], left


def _lines(text: str) -> list[str]:
    """Return lines without the one that tells that this machine is not the whole machine."""
    return [line for line in text.rstrip("\n").splitlines() if not line.startswith(_ASIDE)]


@on_the_internet(ipv6=False)
def _run_script(folder: Path) -> tuple[str, list[str]]:
    bin_dir = folder / ".bin"
    bin_dir.mkdir()
    paths = [str(SRC), *LIBRARIES]
    code = f"import sys; sys.path[:0] = {paths}; from netloom.__main__ import main; main()"
    programs = {
        "netloom": f'-c "{code}"',
        "python": "",
        "pytest": "-m pytest -p no:cacheprovider",
    }
    for name, words in programs.items():
        program = bin_dir / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        program.chmod(0o755)
    Path("/etc/motd").write_text("")
    (folder / "examples").symlink_to(ROOT / "examples")
    env = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    with internet(), (folder / ".printed").open("w+") as printed:
        _run(folder, env, printed)
        printed.seek(0)
        said = printed.read()
    left = [str(path) for path in (Path("/run/netloom"), Path("/etc/netns")) if path.exists()]
    netns = Path("/run/netns")
    left += map(str, netns.iterdir()) if netns.exists() else ()
    return said, left


def _run(folder: Path, env: dict[str, str], printed: TextIO) -> None:
    """Run the script to its end, and end what it left in the background."""
    with subprocess.Popen(
        ("sh", ".script"),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=printed,
        process_group=0,
    ) as shell:
        try:
            shell.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            printed.seek(0)
            told = f"{error}; it printed\n{printed.read()[-2000:]}\n{_standstill()}"
            raise AssertionError(told) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


def _standstill() -> str:
    """Return who waits for what, and what is connected where: it may not happen again."""
    each = f"for name in $(ls /run/netns); do nsenter --net=/run/netns/$name {_SOCKETS}; done"
    return says("sh", "-c", f"ps -eo pid,ppid,stat,wchan:20,args; {_SOCKETS}; {each}")
