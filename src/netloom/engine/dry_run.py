"""What only the machine can judge of a file: it is tried in a namespace without a name.

Firewall rules are checked, and their listing predicted; settings are written. So a mistake is told
with its line in the topology, before anything is touched.
"""

import errno
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from netloom.compile.lower import Lowered
from netloom.compile.settings import dotted, settings
from netloom.errors import KernelError, Path, Problem, Unavailable
from netloom.host.firewall.rulesets import DryRun, RulesetText
from netloom.host.machine import Machine
from netloom.kernel.nft import Wrong
from netloom.language.parse import Source
from netloom.model.marks import kind_of
from netloom.model.names import out_of
from netloom.model.objects import HOST


def normalized(source: Source, lowered: Lowered, machine: Machine) -> Lowered:
    """Return what is desired, with firewall rules known by the digests of their listings.

    Raises `TopologyError` for mistakes in a text, and where the machine lacks what carries it out.
    """
    desired = lowered.desired
    texts: dict[tuple[str, str], RulesetText] = {}
    own = {HOST, out_of(source.topology.name)}  # whose rules nobody has written
    for name, netns in desired.netns.items():
        for key, digest in netns.rulesets.items():
            text = RulesetText(kind_of(key), desired.texts[digest], own=name in own)
            texts.setdefault((key, digest), text)
    if not texts:
        return lowered
    links = {name for netns in desired.netns.values() for name in netns.links}
    try:
        answers = machine.dry_run(source.topology.name, texts.values(), sorted(links))
    except Unavailable as error:
        path = _needing(source, lowered, texts, machine)
        raise source.error([Problem(error.reason, path, error.remedy)]) from error
    problems = list(_mistakes(source, lowered, texts, answers))
    if problems:
        raise source.error(problems)
    digests: dict[tuple[str, str], str] = {}
    known: dict[str, str] = {}
    for place, text in texts.items():
        answer = answers[text]
        assert not isinstance(answer, tuple)
        if not answer.listing:  # rules of iptables that are none
            continue
        digests[place] = answer.digest
        known[answer.digest] = text.text
    every = {
        name: replace(one, rulesets=_found(one.rulesets, digests)) if one.rulesets else one
        for name, one in desired.netns.items()
    }
    return replace(lowered, desired=replace(desired, netns=every, texts=known))


def _found(rulesets: Mapping[str, str], digests: Mapping[tuple[str, str], str]) -> dict[str, str]:
    return {key: digests[key, d] for key, d in rulesets.items() if (key, d) in digests}


def _needing(
    source: Source,
    lowered: Lowered,
    texts: Mapping[tuple[str, str], RulesetText],
    machine: Machine,
) -> Path:
    """Return the place of the first rules that this machine cannot take, whatever they say."""
    for name, netns in lowered.desired.netns.items():
        for place in netns.rulesets.items():
            try:
                machine.dry_run(source.topology.name, [texts[place]], ())
            except Unavailable:
                return _place(source, lowered, name, place[0])
    return ()


def _place(source: Source, lowered: Lowered, name: str, ruleset: str) -> Path:
    """Return where the rules of a namespace are asked for; a gateway's are by an `uplink`."""
    if name in (HOST, out_of(source.topology.name)):
        networks = source.topology.networks.items()
        return next((("networks", each, "uplink") for each, one in networks if one.uplink), ())
    return (*lowered.places.get(name, ("namespaces", name)), _key(ruleset))


def _mistakes(
    source: Source,
    lowered: Lowered,
    texts: Mapping[tuple[str, str], RulesetText],
    answers: Mapping[RulesetText, DryRun],
) -> Iterator[Problem]:
    told = set()
    for name, netns in lowered.desired.netns.items():
        for place in netns.rulesets.items():
            answer = answers[texts[place]]
            if not isinstance(answer, tuple) or place in told:
                continue
            told.add(place)
            path = _place(source, lowered, name, place[0])
            for wrong in answer:
                yield _mistake(name, path, wrong)


def _mistake(name: str, path: Path, wrong: Wrong) -> Problem:
    """Return a mistake with its place in the topology; in a file beside it, the line is told."""
    where = f"line {wrong.line}: " if wrong.line else ""
    place = ("text", "at", wrong.line, wrong.column, wrong.length) if wrong.line else ()
    message = f"the rules of `{name}`: {where}{wrong.message}"
    return Problem(message, (*path, *place))


def _key(ruleset: str) -> str:
    return ruleset if kind_of(ruleset) != "nft" else "firewall"


# ── settings ──────────────────────────────────────────────────────────────────────────────

_MODULES = {
    "net.bridge.": "br_netfilter",
    "net.netfilter.nf_conntrack": "nf_conntrack",
    "net.mpls.": "mpls_router",
}
"""Modules that bring settings along, by how the names of these begin."""


def try_sysctls(source: Source, machine: Machine) -> None:
    """Raise `TopologyError` for settings that namespaces do not take on this machine."""
    members = (source.topology.namespaces or {}).items()
    asked = {name: spec.sysctls for name, spec in members if spec.sysctls and name != HOST}
    sets = {name: frozenset(settings(said).items()) for name, said in asked.items()}
    refused = machine.refused_sysctls(set(sets.values()))
    problems = [
        _refused(("namespaces", name, "sysctls", key), error)
        for name, said in asked.items()
        for key in said
        if (error := refused.get(sets[name], {}).get(dotted(key)))
    ]
    if problems:
        raise source.error(problems)


def _refused(path: Path, error: KernelError) -> Problem:
    """Return the mistake that a setting is which the kernel refused."""
    key = dotted(str(path[-1]))
    if error.errno == errno.ENOENT:
        module = next((one for start, one in _MODULES.items() if key.startswith(start)), "")
        hint = f"modprobe {module}" if module else "sysctl -aN lists those that there are"
        return Problem(f"no namespace here has a setting `{key}`", path, hint, at_key=True)
    if error.errno == errno.EACCES:
        message = f"`{key}` is the machine's: a namespace has none of its own to set"
        return Problem(message, path, f"sysctl -w {key}=… sets it for all", at_key=True)
    value = error.asked.partition("=")[2]
    why = "" if error.errno == errno.EINVAL else f": {error.strerror}"
    return Problem(f"the kernel takes no `{value}` for `{key}`{why}", path)
