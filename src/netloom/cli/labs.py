"""The verbs of labs: `up down plan verify labs`, and what belongs to their files."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import assert_never

from netloom import engine as front
from netloom.cli.grammar import Argument, Option, Verb, seconds, verb
from netloom.cli.output import NO, REFUSED, TRIED, Stop, answer, progress, refusals, tell, write
from netloom.host.brake import held_back
from netloom.host.this import ThisMachine
from netloom.model.objects import (
    HOST,
    Borrowed,
    Bridge,
    Desired,
    End,
    Loopback,
    Netns,
    Other,
    Veth,
    is_kept,
)
from netloom.namespaces.holder import is_needed
from netloom.plan.steps import NetnsAdd, Plan
from netloom.render.shell import script
from netloom.render.text import counted, plan_text, told, touches_host
from netloom.topology.expand import out_of
from netloom.topology.lower import switch_of
from netloom.topology.parse import Source
from netloom.topology.suggest import did_you_mean

_FILE = Argument("file", "[FILE]", default=front.DEFAULT_FILE, is_file=True)
_QUIET = Option("-q", "--quiet", says="Say nothing.")
_JSON = Option("--json", key="as_json", says="Print JSON.")


def _labs(before: Sequence[str], incomplete: str) -> list[str]:  # noqa: ARG001 - a completion
    """Return the labs that a word may become."""
    return [name for name in ThisMachine().labs() if name.startswith(incomplete)]


LAB = Argument("lab", "[LAB]", default="", complete=_labs)


def _load(file: str) -> Source:
    if file == "-":
        return front.load_stdin()
    return front.load(file)


@verb(
    "up",
    _FILE,
    Option("-v", "--verbose", says="Tell every change."),
    _QUIET,
    Option(
        "--timeout",
        value="SECONDS",
        read=seconds,
        default=front.TIMEOUT,
        says=f"How long commands may take to become ready; {front.TIMEOUT:g} unless said.",
    ),
)
def up_command(file: str, *, verbose: bool, quiet: bool, timeout: float) -> None:
    """Make it so; twice does nothing."""
    with refusals():
        source = _load(file)
        with progress("up") as shown:
            waiting = None if quiet else tell
            report = front.up(source, progress=shown, timeout=timeout, waiting=waiting)
    if quiet:
        return
    if verbose and report.plan:
        tell(plan_text(report.plan))
    if not report.plan:
        answer(f"{report.lab}  is up; nothing to do")
        return
    for text in _summary(report):
        answer(text)
    for note in report.notes:
        tell(f"note: {note}")


def _summary(report: front.Report) -> list[str]:
    """Return what `up` tells: what there is, what of it is on the host, a command to try."""
    desired = report.desired
    added = {step.netns for step in report.plan if isinstance(step, NetnsAdd)}
    took = f"{report.seconds * 1000:.0f} ms"
    lines = []
    if added and added == {name for name, one in desired.netns.items() if not is_kept(name, one)}:
        lines.append(f"{report.lab}  up in {took}: {contents(report.lab, desired)}")
    else:
        number = len(told(report.plan))
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
    host = desired.netns.get(HOST, Netns())
    if host.links:
        yield ", ".join(_host_thing(desired, name) for name in host.links)
    settings = [*host.sysctls, *host.claims]
    if forwarding := [key.split(".")[3] for key in settings if key.endswith(".forwarding")]:
        yield f"forwarding on {', '.join(name.replace('/', '.') for name in forwarding)}"
    yield from (f"nft table {name}" for name in host.rulesets)
    owners = Counter(passage.owner for passage in host.passages)
    for owner, number in sorted(owners.items()):
        yield f"{counted(number, 'exception')} in {owner}"
    for digest in host.commands.values():
        yield Path(desired.commands[digest].argv[0]).name


def _host_thing(desired: Desired, name: str) -> str:
    link = desired.netns[HOST].links[name]
    if link.kind.word is None:
        return f"{name} a port of {link.master}"
    return " ".join([link.kind.word, name, *map(str, link.addrs)])


def _own(lab: str, desired: Desired) -> set[str]:
    """Return the namespaces of a lab that nobody wrote down."""
    kept = (name for name, one in desired.netns.items() if is_kept(name, one))
    return {*kept, switch_of(lab), out_of(lab)}


def contents(lab: str, desired: Desired) -> str:
    """Return what a lab is made of: `2 namespaces, 1 network, 1 wire`."""
    own = _own(lab, desired)
    namespaces = sum(name not in own for name in desired.netns)
    bridges = trunks = ends = 0
    for netns in desired.netns.values():
        for link in netns.links.values():
            match link.kind:
                case Bridge():
                    bridges += 1
                case Veth() if link.master and _is_port(link.kind.peer, desired):
                    trunks += 1
                case Veth():
                    ends += 1
                case Loopback() | Borrowed() | Other():
                    continue
                case _:
                    assert_never(link.kind)
    networks, wires = bridges - trunks // 2, ends // 2
    parts = [
        counted(namespaces, "namespace"),
        counted(networks, "network") if networks else "",
        counted(wires, "wire") if wires else "",
    ]
    return ", ".join(part for part in parts if part)


def _is_port(end: End, desired: Desired) -> bool:
    """Whether an end of a wire, if it is there, is the port of a bridge."""
    link = desired.netns.get(end.netns, Netns()).links.get(end.link)
    return bool(link and link.master)


def _attempt(lab: str, desired: Desired) -> str | None:
    """Return a command to try, a ping from one namespace to another; None without any."""
    own = _own(lab, desired)
    inside = [(name, n) for name, n in desired.netns.items() if name not in own]
    for name, _ in inside:
        for other, netns in [*inside, (HOST, desired.netns[HOST])]:
            addrs = [a for link in netns.links.values() for a in link.addrs]
            if other != name and addrs:
                target = other if other != HOST else addrs[0].ip
                return f"netloom exec {name} ping -c1 {target}"
    return f"netloom shell {inside[0][0]}" if inside else None


@verb(
    "down",
    LAB,
    Option("--all", key="every", says="Take every lab down."),
    Option("--force", says="Also what others put into the lab's namespaces."),
    _QUIET,
)
def down_command(lab: str, *, every: bool, force: bool, quiet: bool) -> None:
    """Take a lab down, and leave nothing."""
    with refusals():
        names = front.dependents_first(ThisMachine()) if every else [lab_meant(lab)]
    troubles = []
    for name in names:
        try:
            with refusals():
                report = None if _is_down(name) else front.down(name, force=force)
        except Stop as stop:
            if not every:
                raise
            troubles.append(stop)
            continue
        if not quiet:
            _tell_down(name, report)
    if troubles:
        message = "\n".join(stop.message for stop in troubles)
        raise Stop(message, max(stop.status for stop in troubles))


def _is_down(name: str) -> bool:
    """Whether nothing need be looked for: a plain user without namespaces has made no lab."""
    return is_needed() and name not in ThisMachine().labs()


def _tell_down(name: str, report: front.Report | None) -> None:
    if report is None:
        answer(f"{name} is not up")
        return
    answer(f"{name}  down: {contents(name, report.desired)}; the host is as it was")
    for note in report.notes:
        tell(f"note: {note}")


def lab_meant(text: str) -> str:
    """Return the lab that LAB means; raises `Stop` for a name or a file that nobody knows."""
    machine = ThisMachine()
    name = front.lab_name(text or f"./{front.DEFAULT_FILE}", machine)
    remembered = machine.labs()
    if name in remembered or machine.marked(name):
        return name
    if name == text:
        hint = did_you_mean(name, remembered)
        reason = f"no lab `{name}`" + (f": {hint}" if hint else "")
        message = f"{reason} (netloom labs)"
        raise Stop(message, REFUSED)
    if not Path(text or front.DEFAULT_FILE).exists():
        what = f"no file `{text}`" if text else f"no {front.DEFAULT_FILE} here"
        message = f"{what}, and no lab that was made from one (netloom labs)"
        raise Stop(message, REFUSED)
    return name


def _up_command(lab: str) -> str:
    """Return the command that makes a lab again."""
    source = next((row.source for row in front.labs() if row.lab == lab), "")
    place = os.path.relpath(source) if source else ""
    return f"netloom up {place}".removesuffix(f" {front.DEFAULT_FILE}").rstrip()


@verb(
    "plan",
    _FILE,
    Option("--as", key="form", value="ip", choices=["ip"], says="Print a script of ip and sysctl."),
    _JSON,
)
def plan_command(file: str, *, form: str, as_json: bool) -> None:
    """Show what `up` would change."""
    with refusals():
        found = front.plan(_load(file))
    if form == "ip":
        write(script(found.plan, found.lowered.desired.folders))
    elif as_json:
        _print_plan(found.plan)
    else:
        answer(plan_text(found.plan))
        for note in found.notes:
            tell(f"note: {note}")


def _print_plan(steps: Plan) -> None:
    import msgspec

    text = msgspec.json.format(msgspec.json.encode({"version": 1, "steps": steps}))
    write(text.decode() + "\n")


@verb("verify", LAB, _JSON)
def verify_command(lab: str, *, as_json: bool) -> None:
    """Ask whether it is still what was applied."""
    with refusals():
        name = lab_meant(lab)
        steps = None if _is_down(name) else front.verify(name)
        elsewhere = "" if steps is None else front.moved(name)
        shared = [] if steps is None else front.shared(name)
        bare = ThisMachine().uncovered(name) if steps else ()
    if steps is None:
        message = f"{name} is not up"
        raise Stop(message, NO)
    if as_json:
        _print_plan(steps)
    elif steps:
        answer(plan_text(steps))
    for reason in (*bare, *(shared if steps else ())):
        tell(f"note: {reason}")
    if steps:
        message = f"{name}  is not as it was applied; `{_up_command(name)}` would do the above"
        raise Stop(message, NO)
    if elsewhere:
        shared = [f"{elsewhere}; `{_up_command(name)}` follows", *shared]
    if shared:
        raise Stop("\n".join(shared), NO)
    if not as_json:
        answer(f"{name}  is as it was applied")


@verb("labs", _JSON)
def labs_command(*, as_json: bool) -> None:
    """List the labs that are up."""
    with refusals():
        rows = front.labs()
    if as_json:
        import json

        keys = ("lab", "state", "namespaces", "source")
        found = [{key: getattr(row, key) for key in keys} for row in rows]
        write(json.dumps(found, indent=2) + "\n")
        return
    width = max((len(row.lab) for row in rows), default=0)
    for row in rows:
        state = "" if row.state == "up" else f"{row.state}: netloom down {row.lab}  "
        place = os.path.relpath(row.source) if row.source else ""
        about = f"{counted(row.namespaces, 'namespace')}  {state}{place}".rstrip()
        answer(f"{row.lab:{width}}  {row.state if row.state == front.ANOTHERS else about}")


@verb("schema")
def schema_command() -> None:
    """Print the JSON Schema of topology files."""
    import json

    from netloom.topology.schema import json_schema

    write(json.dumps(json_schema(), indent=2) + "\n")


_STARTER = """\
# {name}: two namespaces and the wire between them.
# Make it so: `netloom up`. See what that would do: `netloom plan`. Leave no trace: `netloom down`.
links:
  - [red:eth0 10.10.0.1/24, blue:eth0 10.10.0.2/24]

# A network of three on a switch would be:
# networks:
#   lan: {{subnet: 10.20.0.0/24}}
# namespaces:
#   n: {{count: 3, networks: [lan]}}
"""


@verb("init", _FILE)
def init_command(file: str) -> None:
    """Write a commented starter file."""
    path = Path(file)
    try:
        with held_back(deadly=True), path.open("x", encoding="utf-8") as out:
            out.write(_STARTER.format(name=front.default_name(path)))
    except FileExistsError:
        message = f"`{file}` exists; nothing was touched"
        raise Stop(message, REFUSED) from None
    except OSError as error:
        message = f"cannot write `{file}`: {error.strerror}"
        raise Stop(message, TRIED) from error
    answer(
        f"wrote {file}; `netloom up{'' if file == front.DEFAULT_FILE else ' ' + file}` makes it so"
    )


COMMANDS: tuple[Verb, ...] = (
    up_command,
    down_command,
    plan_command,
    verify_command,
    labs_command,
    init_command,
    schema_command,
)
"""The verbs of this file, to be hung into the command line."""
