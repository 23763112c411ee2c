"""`up` and `plan`: what a file asks for, made so or shown."""

import os
from collections import Counter
from collections.abc import Iterator

from netloom.cli.contents import contents, unwritten
from netloom.cli.grammar import Option, Verb, seconds, verb
from netloom.cli.lab_names import FILE, JSON, QUIET, print_plan
from netloom.cli.output import answer, progress, refusals, tell, write
from netloom.engine.draft import plan
from netloom.engine.report import Report
from netloom.engine.topology_file import load, load_stdin
from netloom.engine.untouched import untouched
from netloom.engine.up import TIMEOUT, up
from netloom.language.parse import Source
from netloom.model.objects import HOST, Desired, NetnsState, command_key, is_kept
from netloom.plan.steps import NetnsAdd
from netloom.render.counted import counted
from netloom.render.text import plan_text, shown_steps, touches_host


def _load(file: str) -> Source:
    return load_stdin() if file == "-" else load(file)


@verb(
    "up",
    FILE,
    Option("-v", "--verbose", says="Tell every change."),
    QUIET,
    Option(
        "--timeout",
        value="SECONDS",
        read=seconds,
        default=TIMEOUT,
        says=f"How long commands may take to become ready; {TIMEOUT:g} unless said.",
    ),
)
def up_command(file: str, *, verbose: bool, quiet: bool, timeout: float) -> None:
    """Make it so; twice does nothing."""
    with refusals(), untouched():
        source = _load(file)
        with progress("up") as shown:
            waiting = None if quiet else tell
            report = up(source, progress=shown, timeout=timeout, waiting=waiting)
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
    lines = []
    if added and added == {name for name, one in desired.netns.items() if not is_kept(name, one)}:
        lines.append(f"{report.lab}  up in {took}: {contents(report.lab, desired)}")
    else:
        number = len(shown_steps(report.plan))
        lines.append(f"{report.lab}  {counted(number, 'change')} in {took}")
    width = max(len(report.lab), 4)
    things = list(_host_things(desired))
    if things and any(touches_host(step) for step in report.plan):
        lines.append(f"{'host':{width}}  + {' · '.join(things)}")
    if attempt := _attempt(report.lab, desired):
        lines.append(f"{'try':{width}}  {attempt}")
    return lines


def _host_things(desired: Desired) -> Iterator[str]:
    """Yield what a lab has on the host, and what it has changed there."""
    host = desired.netns.get(HOST, NetnsState())
    if host.links:
        yield ", ".join(_host_thing(desired, name) for name in host.links)
    settings = [*host.sysctls, *host.claims]
    if forwarding := [key.split(".")[3] for key in settings if key.endswith(".forwarding")]:
        yield f"forwarding on {', '.join(name.replace('/', '.') for name in forwarding)}"
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


def _attempt(lab: str, desired: Desired) -> str | None:
    """Return a command to try, a ping from one namespace to another; None without any."""
    own = unwritten(lab, desired)
    inside = [(name, n) for name, n in desired.netns.items() if name not in own]
    for name, _ in inside:
        for other, netns in [*inside, (HOST, desired.netns[HOST])]:
            addrs = [a for link in netns.links.values() for a in link.addrs]
            if other != name and addrs:
                target = other if other != HOST else addrs[0].ip
                return f"netloom exec {name} ping -c1 {target}"
    return f"netloom shell {inside[0][0]}" if inside else None


@verb(
    "plan",
    FILE,
    Option("--as", key="form", value="ip", choices=["ip"], says="Print a script of ip and sysctl."),
    JSON,
)
def plan_command(file: str, *, form: str, as_json: bool) -> None:
    """Show what `up` would change."""
    with refusals(), untouched():
        found = plan(_load(file))
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
