"""Firewall rules, shared settings, commands: what must go, and what must come.

They have no cascades, only an order. What guards the host is there before there is anything to
guard, and goes after it; forwarding begins last and ends first. Inside a namespace the rules come
before its links are set up. Commands are the first to go and the last to come.
"""

from collections.abc import Iterator, Mapping

from netloom.model.firewall import FirewallException, FirewallState
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, Desired, NetnsState, command_key
from netloom.plan import steps
from netloom.plan.exception_commands import opening
from netloom.plan.firewall_exceptions import place
from netloom.plan.order import run_order
from netloom.plan.steps import Step


def unclaim(want: NetnsState, have: NetnsState) -> Iterator[Step]:
    """Give up what is not needed any more of the host's settings, and of others' firewalls."""
    gone = have.claims.keys() - want.claims.keys()
    for key in sorted(gone, key=lambda key: (not key.endswith(".forwarding"), key)):
        yield steps.ClaimDel(HOST, key)
    for exception in sorted(have.exceptions - want.exceptions):
        yield steps.ExceptionDel(HOST, exception)


def claim(want: NetnsState, have: NetnsState, firewall: FirewallState | None) -> Iterator[Step]:
    """Have what is needed of others' firewalls, and of the host's settings.

    A router's advertisements are kept first.
    """
    for exception in sorted(want.exceptions - have.exceptions):
        yield steps.ExceptionAdd(HOST, exception, _command(exception, firewall))
    for key in sorted(want.claims, key=lambda key: (key.endswith(".forwarding"), key)):
        if have.claims.get(key) != want.claims[key]:
            yield steps.ClaimAdd(HOST, key, want.claims[key])


def _command(exception: FirewallException, firewall: FirewallState | None) -> tuple[str, ...]:
    """Return what opens an exception where it belongs in the chain that it stands in."""
    at = place(firewall, exception) if firewall else None
    return opening(exception, at or (0, None))


def unguard(name: str, want: NetnsState, have: NetnsState) -> Iterator[Step]:
    """Take away the rules that a namespace shall not have."""
    for ruleset in sorted(have.rulesets.keys() - want.rulesets.keys()):
        yield steps.RulesetDel(name, ruleset)


def guard(
    name: str, want: NetnsState, have: NetnsState, texts: Mapping[str, str]
) -> Iterator[Step]:
    """Put the rules in place that a namespace lacks, or has otherwise."""
    for ruleset, digest in sorted(want.rulesets.items()):
        if have.rulesets.get(ruleset) != digest:
            yield steps.RulesetSet(name, ruleset, digest, texts.get(digest, ""))


def stop(desired: Desired, snapshot: LabState) -> Iterator[Step]:
    """End the commands that shall not run, or otherwise: before anything else goes."""
    for netns, name in sorted(snapshot.stray_commands):
        yield steps.RunStop(netns, name)
    for netns, have in snapshot.netns.items():
        want = desired.netns.get(netns)
        for name, digest in have.commands.items():
            same = want is not None and want.commands.get(name) == digest
            if not same or ((netns, name) in snapshot.done and not _may_end(desired, netns, name)):
                yield steps.RunStop(netns, name)


def _may_end(desired: Desired, netns: str, name: str) -> bool:
    return desired.commands[command_key(netns, name)].may_end


def start(desired: Desired, left: LabState) -> Iterator[Step]:
    """Start the commands that shall run: when all else is there, each after those it follows."""
    missing: dict[str, steps.RunStart] = {}
    for netns, want in desired.netns.items():
        have = left.netns.get(netns)
        for name, digest in want.commands.items():
            if have is None or name not in have.commands:
                key = command_key(netns, name)
                missing[key] = steps.RunStart(netns, name, digest, desired.commands[key])
    yield from run_order(missing)
