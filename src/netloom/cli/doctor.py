"""`doctor`: what this machine allows; so far, whether labs can be made without root."""

import json

import msgspec

from netloom.cli.grammar import Option, Verb, verb
from netloom.cli.output import NO, REFUSED, Stop, answer, write
from netloom.host.rootless.trials import USER, TrialOutcome, Who, allow_labs, try_all, whom


@verb(
    "doctor",
    Option("--rootless", says="Whether labs can be made without root, by trying."),
    Option("--json", key="as_json", says="Print JSON."),
)
def doctor_command(rootless: bool, as_json: bool) -> None:
    """Find out what this machine allows to plain users, who refuses, and the mildest remedy."""
    if not rootless:
        message = "doctor tells only what a plain user may have here, so far"
        raise Stop(f"{message}\nhint: netloom doctor --rootless", REFUSED)
    who = whom()
    outcomes = try_all(who)
    if as_json:
        write(json.dumps(_facts(who, outcomes), indent=2) + "\n")
    else:
        for text in _lines(who, outcomes):
            answer(text)
    if not allow_labs(outcomes):
        message = "labs cannot be made without root"
        raise Stop(message, NO)


def _facts(who: Who, outcomes: list[TrialOutcome]) -> dict[str, object]:
    user = {"uid": who.uid, "name": who.name}
    trials = [msgspec.to_builtins(each) for each in outcomes]
    return {"user": user, "labs": allow_labs(outcomes), "trials": trials}


def _lines(who: Who, outcomes: list[TrialOutcome]) -> list[str]:
    """Return who tried, a line for each trial with its remedy, and that labs work if they do."""
    name = f"{who.name} ({who.uid})" if who.name else str(who.uid)
    lines = [f"tried as {name}, who has no rights" if who.other else f"tried as {name}"]
    for each in outcomes:
        lines += _line(each)
    if allow_labs(outcomes):
        without = "" if allow_labs(outcomes, USER) else f"; {USER} does not"
        lines.append(f"labs work without root{without}")
    return lines


def _line(outcome: TrialOutcome) -> list[str]:
    only = f"only for {outcome.serves}" if outcome.serves and outcome.result != "ok" else ""
    says = "; ".join(filter(None, (outcome.says, only)))
    head = f"{outcome.result:4}  {outcome.trial:16}  {says}".rstrip()
    words = ("hint:", *[" " * 5] * len(outcome.hints))
    return [
        head,
        *(f"      {word} {hint}" for word, hint in zip(words, outcome.hints, strict=False)),
    ]


COMMANDS: tuple[Verb, ...] = (doctor_command,)
"""The verbs of this file, to be hung into the command line."""
