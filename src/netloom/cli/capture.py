"""`netloom capture --packets`: what goes over many interfaces, in one file for Wireshark.

Ctrl-C, SIGTERM, a number of packets, a number of seconds: whatever ends it, the file is whole.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from netloom.cli.grammar import Argument, Option, Verb, number, seconds, verb
from netloom.cli.named import namespaces, reason, rows
from netloom.cli.output import REFUSED, TRIED, Stop, refusals, tell

if TYPE_CHECKING:
    from netloom.host.byhand.packets import CaptureCounts, CaptureSource
    from netloom.namespaces.targets import Target

_FILE = "capture.pcapng"
_MOST = 12
_NOTHING = "nothing was touched"


def _stop(message: str) -> Stop:
    return Stop(f"{message}\n{_NOTHING}", REFUSED)


@verb(
    "capture",
    Option("--packets", says="Packets; nothing else can be captured yet."),
    Option("-o", "--output", value="FILE", says=f"Where to: {_FILE} unless said, - is stdout."),
    Option("--count", value="N", read=number(1), default=None, says="End after N packets."),
    Option(
        "--for",
        key="duration",
        value="SECONDS",
        read=seconds,
        default=None,
        says="End after this many seconds.",
    ),
    Option("--lab", value="LAB", says="All interfaces of this lab."),
    Argument("wanted", "[NS[:IF]]...", many=True, default="", complete=namespaces),
)
def capture_command(  # noqa: PLR0913 - an option each
    wanted: tuple[str, ...],
    *,
    packets: bool,
    output: str,
    count: int | None,
    duration: float | None,
    lab: str,
) -> None:
    """Write the packets of several interfaces, in several namespaces, into one pcapng.

    Without NS:IF it is every interface of the lab, or of all named namespaces; a lab's switch is
    left out, since its members see the same packets. It ends by Ctrl-C, too.
    """
    from netloom.host.byhand.packets import Ending, Sniffer
    from netloom.host.cancel import cancellable

    if not packets:
        message = "what is to be captured?\nhint: netloom capture --packets"
        raise _stop(message)
    if wanted and lab:
        message = "NS:IF and --lab exclude each other"
        raise _stop(message)
    with refusals(), ExitStack() as stack:
        sources = _named(wanted, stack) if wanted else _every(lab, stack)
        sniffer = stack.enter_context(Sniffer(sources))
        pipe = stack.enter_context(_opened(output)) if _is_pipe(output) else None
        stop = stack.enter_context(cancellable())
        out = pipe or stack.enter_context(_opened(output))
        tell(f"capturing on {_shown(sources)}")
        done = sniffer.write(out, Ending(stop.fileno(), count, duration), _application(), _note)
    _tell_done(done, len(sources), output)


def _shown(sources: "list[CaptureSource]") -> str:
    more = [f"{len(sources) - _MOST} more"] if len(sources) > _MOST else []
    return ", ".join([*map(str, sources[:_MOST]), *more])


def _application() -> str:
    from netloom import __version__

    return f"netloom {__version__}"


def _note(line: str) -> None:
    tell(f"note: {line}")


def _tell_done(done: "CaptureCounts", number: int, output: str) -> None:
    packets = "1 packet" if done.packets == 1 else f"{done.packets} packets"
    links = "1 interface" if number == 1 else f"{number} interfaces"
    where = "" if output == "-" else f" in {output or _FILE}"
    lost = f"; {done.dropped} more found no room and are lost" if done.dropped else ""
    tell(f"{packets} of {links}{where}{lost}")


# ── what is heard ─────────────────────────────────────────────────────────────────────────


def _named(wanted: tuple[str, ...], stack: ExitStack) -> "list[CaptureSource]":
    """Return the interfaces that were named, each once; a namespace alone means all of its."""
    from netloom.host.byhand.packets import CaptureSource, links_of
    from netloom.namespaces.targets import split

    targets: dict[str, Target] = {}
    found: dict[tuple[int, str], CaptureSource] = {}
    for word in wanted:
        text, link = split(word)
        if text not in targets:
            targets[text] = stack.enter_context(_open(text))
        target = targets[text]
        links = [seen.name for seen in links_of(target)]
        if link and link not in links:
            there = ", ".join(f"`{name}`" for name in links)
            raise _stop(f"no interface `{link}` in `{text}`\nhint: there is {there}")
        for name in [link] if link else links:
            found.setdefault((target.netns.inode, name), CaptureSource(target, name))
    return list(found.values())


def _open(text: str) -> "Target":
    from netloom.namespaces.handle import NoSuchNetns
    from netloom.namespaces.targets import open_target

    try:
        return open_target(text)
    except NoSuchNetns as error:
        raise _stop(reason(error)) from error


def _every(lab: str, stack: ExitStack) -> "list[CaptureSource]":
    """Return all interfaces of a lab, those on the host too, or of all names."""
    from netloom.engine.origin import lab_name
    from netloom.host.byhand.packets import CaptureSource, links_of
    from netloom.host.local import LocalMachine
    from netloom.model.names import switch_of
    from netloom.model.objects import HOST
    from netloom.model.owner import lab_of
    from netloom.namespaces import registry

    lab = (lab_name(lab, LocalMachine()) or lab) if lab else ""
    found = []
    for row in rows(registry.names()):
        if row.stale or (lab and row.lab != lab) or (row.lab and row.name == switch_of(row.lab)):
            continue
        target = stack.enter_context(_open(row.name))
        found += [CaptureSource(target, link.name) for link in links_of(target)]
    if lab:
        host = stack.enter_context(_open(HOST))
        marked = (link for link in links_of(host) if lab_of(link.alias) == lab)
        found += [CaptureSource(host, link.name) for link in marked]
    if not found:
        what = f"no lab `{lab}` is up\nhint: netloom labs" if lab else "there is no named namespace"
        raise _stop(what)
    return found


# ── where it goes, and when it ends ───────────────────────────────────────────────────────


def _is_pipe(output: str) -> bool:
    """Whether opening it waits for a reader, which a signal must be able to end."""
    return Path(output).is_fifo()


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """Open the file; one that nobody named is not written over."""
    if output == "-":
        if sys.stdout.isatty():
            message = "packets are nothing for a terminal\nhint: -o FILE, or … | wireshark -k -i -"
            raise _stop(message)
        try:
            yield sys.stdout.buffer
        except BrokenPipeError:  # whoever read it was closed, which is how one ends Wireshark
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            message = "the reader of the packets has gone"
            raise Stop(message, 0) from None
        return
    path = Path(output or _FILE)
    try:
        file = path.open("wb" if output else "xb")
    except FileExistsError:
        raise _stop(f"`{path}` exists\nhint: -o {path} writes over it") from None
    except OSError as error:
        raise _stop(f"cannot write `{path}`: {error.strerror}") from error
    try:
        with file:
            yield file
    except OSError as error:
        message = f"cannot write `{path}`: {error.strerror}"
        raise Stop(message, TRIED) from error


COMMANDS: tuple[Verb, ...] = (capture_command,)
"""The verbs of this file, to be hung into the command line."""
