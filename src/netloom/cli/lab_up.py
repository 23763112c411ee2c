"""`up` and `plan`: what a file asks for, made so or shown."""

import os
from collections import Counter
from collections.abc import Iterator

from netloom.cli.contents import contents
from netloom.cli.grammar import Option, Verb, verb
from netloom.cli.lab_names import FILE, JSON, QUIET, print_plan
from netloom.cli.output import answer, progress, refusals, tell, write
from netloom.cli.to_try import to_try
from netloom.cli.wait_option import WAIT
from netloom.engine.draft import plan
from netloom.engine.report import Report
from netloom.engine.topology_file import load, load_stdin
from netloom.engine.untouched import untouched
from netloom.engine.up import up
from netloom.errors import printable
from netloom.language.parse import Source
from netloom.model.names import out_of, switch_of
from netloom.model.objects import HOST, Desired, NetnsState, command_key, is_kept
from netloom.plan.steps import NetnsAdd, NetnsDel
from netloom.render.counted import counted
from netloom.render.text import plan_text, shown_steps, touches_host

_SHOWN = 5
"""How many namespaces that went are told by their names."""


def _load(file: str, name: str) -> Source:
    return load_stdin(name) if file == "-" else load(file, name)


def _lab_name(text: str) -> str:
    from netloom.language.scalars import lab_name

    return lab_name(text)


_NAME = Option("--name", value="NAME", read=_lab_name, says="Call the lab so, whatever FILE says.")
_REPLACE = Option("--replace", says="Also if a lab of that name is up from another file.")


@verb(
    "up",
    FILE,
    _NAME,
    _REPLACE,
    Option("-v", "--verbose", says="Tell every change."),
    QUIET,
    WAIT,
)
def up_command(  # noqa: PLR0913 - its options
    file: str, *, name: str, replace: bool, verbose: bool, quiet: bool, timeout: float
) -> None:
    """Make it so; twice does nothing."""
    with refusals(), untouched():
        source = _load(file, name)
        with progress("up") as shown:
            report = up(
                source,
                progress=shown,
                timeout=timeout,
                waiting=None if quiet else tell,
                replacing=replace,
            )
    if quiet:
        return
    if verbose and report.plan:
        tell(plan_text(report.plan))
    for text in _summary(report) if report.plan else [f"{report.lab}  is up; nothing to do"]:
        answer(text)
    for note in report.notes:
        tell(f"note: {note}")


def _summary(report: Report) -> list[str]:
    """Return what `up` tells: what there is, what of it is on the host, a command to try."""
    desired = report.desired
    added = {step.netns for step in report.plan if isinstance(step, NetnsAdd)}
    took = f"{report.seconds * 1000:.0f} ms"
    if added and added == {name for name, one in desired.netns.items() if not is_kept(name, one)}:
        done = f"up in {took}: {contents(report.lab, desired)}"
    else:
        done = f"{counted(len(shown_steps(report.plan)), 'change')} in {took}"
    lines = [f"{report.lab}  {done}{_gone(report)}"]
    width = max(len(report.lab), 4)
    things = [*_host_things(desired), *report.published]
    if things and any(touches_host(step) for step in report.plan):
        lines.append(f"{'host':{width}}  + {' · '.join(things)}")
    if attempt := to_try(report.lab, desired):
        lines.append(f"{'try':{width}}  {attempt}")
    return lines


def _gone(report: Report) -> str:
    """Return which namespaces went with a change; empty if none did."""
    own = {switch_of(report.lab), out_of(report.lab)}
    made = {step.netns for step in report.plan if isinstance(step, NetnsAdd)}
    names = [step.netns for step in report.plan if isinstance(step, NetnsDel)]
    gone = [printable(name) for name in names if name not in own | made]
    shown = gone if len(gone) <= _SHOWN else [*gone[: _SHOWN - 1], f"{len(gone) - _SHOWN + 1} more"]
    return f"; gone: {', '.join(shown)}" if gone else ""


def _host_things(desired: Desired) -> Iterator[str]:
    """Yield what a lab has on the host, and what it has changed there."""
    host = desired.netns.get(HOST, NetnsState())
    if host.links:
        yield ", ".join(_host_thing(desired, name) for name in host.links)
    settings = (key for key in (*host.sysctls, *host.claims) if key.endswith(".forwarding"))
    forwarding = [key.split(".")[3].replace("/", ".") for key in settings]
    if links := [name for name in forwarding if name != "all"]:
        yield f"forwarding on {', '.join(links)}"
    if "all" in forwarding:
        yield "IPv6 forwarding on all interfaces"
    yield from (f"nft table {name}" for name in host.rulesets)
    owners = Counter(exception.owner for exception in host.exceptions)
    for owner, number in sorted(owners.items()):
        yield f"{counted(number, 'exception')} in {owner}"
    for name in host.commands:
        yield os.path.basename(desired.commands[command_key(HOST, name)].argv[0])


def _host_thing(desired: Desired, name: str) -> str:
    link = desired.netns[HOST].links[name]
    if link.kind.word is None:
        return f"{name} a port of {link.master}"
    return " ".join([link.kind.word, name, *map(str, link.addrs)])


@verb(
    "plan",
    FILE,
    _NAME,
    _REPLACE,
    Option("--as", key="form", value="ip", choices=["ip"], says="Print a script of ip and sysctl."),
    JSON,
)
def plan_command(file: str, *, name: str, replace: bool, form: str, as_json: bool) -> None:
    """Show what `up` would change."""
    with refusals(), untouched():
        found = plan(_load(file, name), replacing=replace)
    if form == "ip":
        from netloom.render.script import script

        write(script(found.plan, found.lowered.desired.folders))
    elif as_json:
        print_plan(found.plan)
    else:
        answer(plan_text(found.plan))
        for note in found.notes:
            tell(f"note: {note}")


COMMANDS: tuple[Verb, ...] = (up_command, plan_command)
"""The verbs of this file, to be hung into the command line."""
