"""The rulesets of a lab: a table of nftables of its own, and texts of iptables.

The table is `inet netloom-LAB`, with a body that a person wrote, and is replaced as a whole in one
transaction. Its comment is the mark of its owner. What is there is told by its *listing*, without
what changes by itself: values of counters, and elements that packets add or time takes away. What
a text will look like is known by loading it in a namespace without a name, which checks it, too.

The body is a person's, so nothing in it may reach beyond the table: its braces close within it, and
it includes no file. That it is so is seen in the text, and once more in what was loaded.

Should: be called on a thread that is in the namespace it is about.
Mustn't: put iptables texts into a namespace that is not the lab's: they replace all rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from netloom.errors import Unavailable
from netloom.kernel import iptables, nft, syscalls
from netloom.kernel.closing import Closing
from netloom.kernel.libnftables import Library
from netloom.kernel.netlink import Rtnetlink
from netloom.kernel.nft import Nft, NftError, Wrong
from netloom.model.marks import RulesetKind, ruleset_of
from netloom.model.objects import End, Link, Veth
from netloom.namespaces import mounts
from netloom.namespaces.enter import in_thread
from netloom.values import Family, blake2b
from netloom.wire.links import VethPeer, link_add
from netloom.wire.message import Message
from netloom.wire.nfnetlink import Table

_FAMILIES: dict[RulesetKind, Family] = {"iptables": 4, "ip6tables": 6}
_HEAD_LINES = 2
_SPARE = "netloom-spare"


class RulesetText(Struct, frozen=True):
    """A text as a person wrote it: the body of a lab's table, or one of `iptables-restore`.

    `own`: netloom wrote it itself, so it is about no host's name, and no interface by its index.
    """

    kind: RulesetKind
    text: str
    own: bool = False


class Ruleset(Struct, frozen=True):
    """What a text has come to: its listing, a digest of that, and whether it bears our mark.

    The listing of a text of iptables is empty where it does nothing, and `observe` has none then.
    """

    listing: str
    digest: str
    ours: bool = True


def table_of(lab: str) -> Table:
    """Return the table of a lab."""
    return Table(*ruleset_of(lab).split())


def key_of(lab: str, kind: RulesetKind) -> str:
    """Return what a ruleset is known by in `observe`: `inet netloom-LAB`, `iptables`."""
    return ruleset_of(lab) if kind == "nft" else kind


def _mark(lab: str) -> str:
    """Return the comment of a lab's table; one of 127 bytes is the longest (libnftnl, udata.h)."""
    return f"netloom:{table_of(lab).name.removeprefix('netloom-')}"


_SYNTAX = r'(?a:"[^"]*"|#[^\n]*|[A-Za-z_.][\w./-]*|[{}"])'
"""What can hide a brace, as libnftables has it (scanner.l): strings without escapes, comments."""


def outside(body: str) -> tuple[Wrong, ...]:
    """Return the places where a body would leave its table, and where it does not end."""
    opened: list[int] = []
    found: list[Wrong] = []
    for hit in re.finditer(_SYNTAX, body):
        word, place = hit[0], hit.start()
        if word == "{":
            opened.append(place)
        elif word == "}" and opened:
            opened.pop()
        elif word == "}":
            found.append(_at(body, place, 1, "this `}` would end the lab's own table"))
        elif word == '"':
            found.append(_at(body, place, 1, "this quote is never closed"))
        elif word == "include":
            found.append(_at(body, place, len(word), "no file can be included here"))
    found += [_at(body, place, 1, "this `{` is never closed") for place in opened]
    return tuple(sorted(found))


def _at(body: str, place: int, length: int, message: str) -> Wrong:
    line = body.count("\n", 0, place) + 1
    return Wrong(line, place - body.rfind("\n", 0, place), length, message)


def _wrapped(lab: str, body: str, *, anew: bool) -> str:
    """Return the transaction that makes a body the lab's table, in the place of one that is there.

    To delete a table costs its user 15 ms, sooner or later: the kernel waits for RCU before the
    socket is closed (nft_rcv_nl_event). So it is deleted only where it is there.
    """
    table = table_of(lab)
    away = "" if anew else f"delete table {table}"
    return f'{away}\ntable {table} {{ comment "{_mark(lab)}";\n{body}\n}}\n'


def _within(body: str, wrong: Wrong) -> Wrong:
    """Return a mistake in a wrapped body with its place in the body."""
    line = wrong.line - _HEAD_LINES
    lines = body.split("\n")
    if line < 1:
        return Wrong(0, 0, 0, wrong.message)
    if line > len(lines):
        return Wrong(len(lines), len(lines[-1]) + 1, 1, wrong.message)
    return wrong._replace(line=line)


_BLANKED = r"[^\n]"
_COMMENT = r'("[^"]*")|[ \t]*#[^\n]*'
_SET = r"(?ms:^\t(?:set|map) .*?^\t\}$)"
_CHANGING = r"(?m:^\t\tflags .*\b(?:dynamic|timeout)\b)"
_ELEMENTS = r"(?ms:^\t\telements = \{.*(?=^\t\}$))"


def canonical(listing: str) -> str:
    """Return the listing of a table without what changes by itself."""
    plain = re.sub(_COMMENT, lambda hit: hit[1] or "", listing)
    steady = re.sub(_SET, _steady, plain)
    return steady.strip("\n") + "\n"


def _steady(hit: re.Match[str]) -> str:
    """Return a set without its elements where packets add them or time takes them away."""
    return re.sub(_ELEMENTS, "", hit[0]) if re.search(_CHANGING, hit[0]) else hit[0]


def _ruleset(listing: str, *, ours: bool = True) -> Ruleset:
    return Ruleset(listing, blake2b(listing.encode(), digest_size=12).hexdigest(), ours)


class Rulesets(Closing):
    """The rulesets of a lab in one namespace after another: wherever the calling thread is.

    One process of libnftables speaks to all of them; it is there once it is needed.
    """

    __slots__ = ("_library", "_nft", "lab")

    def __init__(self, lab: str, library: Library | None = None) -> None:
        """Remember which lab, and own a library that waits to be asked."""
        self.lab = lab
        self._library = library
        self._nft: Nft | None = None

    def close(self) -> None:
        """Let go of the namespaces; at most 15 ms, where something has just been replaced."""
        for each in (self._library, self._nft):
            if each:
                each.close()

    def here(self) -> Nft:
        """Return the conversation, which is about the namespace that the thread is in."""
        if self._nft and not self._nft.is_over:
            self._nft.here()
        else:
            library, self._library = self._library or nft.begin(), None
            self._nft = Nft(library)
        return self._nft

    def observe(self, *, of_iptables: bool = True, listed: bool = True) -> dict[str, Ruleset]:
        """Return what is there, each by its `key_of`.

        `of_iptables`: whether all rules of iptables there are the lab's, and shall be told;
        `listed`: whether it matters what is in the lab's table, and not only that it is there.
        """
        found: dict[str, Ruleset] = {}
        there = nft.tables()
        table = table_of(self.lab)
        if table in there:
            ours = there[table] == _mark(self.lab)
            listing = self.here().list_table(table) if listed else ""
            if listing is not None:
                found[str(table)] = _ruleset(canonical(listing), ours=ours)
        if of_iptables:
            for kind, family in _FAMILIES.items():
                if text := _saved(there, family):
                    found[kind] = _ruleset(text)
        return found

    def put(self, text: RulesetText) -> None:
        """Make a text all that there is of its kind.

        Raises `NftError` or `IptablesError` for its mistakes, `Unavailable` where a table of that
        name is somebody else's; then nothing has changed.
        """
        if text.kind != "nft":
            iptables.restore(text.text, _FAMILIES[text.kind], iptables.flavour())
            return
        if wrong := outside(text.text):
            raise NftError(wrong)
        is_there = self._is_there()
        _load(self.here(), self.lab, text.text, anew=not is_there)

    def remove(self, kind: RulesetKind) -> None:
        """Take away what there is of a kind; none is no harm.

        Raises as `put` does, where it cannot be.
        """
        if kind != "nft":
            _remove_iptables(_FAMILIES[kind])
        elif self._is_there():
            nft.delete(table_of(self.lab))

    def _is_there(self) -> bool:
        """Return whether the lab's table is there; refuse where one of its name is not ours."""
        table = table_of(self.lab)
        comment = nft.tables().get(table)
        if comment not in {None, _mark(self.lab)}:
            reason = f"a table `{table}` is there that netloom has not made"
            raise Unavailable(reason, f"nft delete table {table}")
        return comment is not None


def _load(context: Nft, lab: str, body: str, *, anew: bool) -> None:
    try:
        context.run(_wrapped(lab, body, anew=anew))
    except NftError as error:
        raise NftError(tuple(_within(body, each) for each in error.wrong)) from None


def _saved(there: Iterable[Table], family: Family) -> str:
    text = ""
    with suppress(Unavailable):  # nobody has put rules there by a program that is not there
        if iptables.tables_among(there, family):
            text = iptables.save(family, "nft")
        if not text and iptables.tables(family, "legacy"):
            text = iptables.save(family, "legacy")
    return text


def _remove_iptables(family: Family) -> None:
    for flavour in iptables.FLAVOURS:
        if iptables.tables(family, flavour):
            iptables.restore("", family, flavour)


DryRun = Ruleset | tuple[Wrong, ...]
"""What a text will be listed as, or what is wrong with it."""

DryRuns = Mapping[RulesetText, DryRun]
"""What texts will be listed as, or what is wrong with each."""

_Pair = tuple[RulesetText, DryRun]


def dry_run(
    lab: str,
    texts: Iterable[RulesetText],
    links: Iterable[str] = (),
    library: Library | None = None,
) -> dict[RulesetText, DryRun]:
    """Return for each text what it will come to, or its mistakes; nothing is touched.

    `links` are the names of interfaces that rules may speak of by index (`iif eth0`); `library` is
    the caller's, for texts of our own. Raises `Unavailable` where this machine has none.
    """
    wanted, names = tuple(dict.fromkeys(texts)), tuple(links)

    def inside() -> dict[RulesetText, DryRun]:
        if library:
            return dict(_dry_runs(Rulesets(lab, library), wanted, names))
        mounts.without_host_names()  # looking changes nothing, and asks nobody
        with Rulesets(lab, nft.begin(apart=True)) as rulesets:
            return dict(_dry_runs(rulesets, wanted, names))

    return in_thread(inside)


def _dry_runs(
    rulesets: Rulesets, texts: tuple[RulesetText, ...], links: tuple[str, ...]
) -> Iterator[_Pair]:
    for text in texts:
        if text.kind == "nft":
            found = outside(text.text) or _try_nft(rulesets, text, links)
        else:
            found = _try_iptables(text)
        yield text, found if isinstance(found, Ruleset) else tuple(map(_plainly, found))


_NO_HOST = r"Could not resolve hostname: (?!Address family).*|host/network `[^']*' not found"
_NO_NAMES = "names of hosts are not looked up: write an address"


def _plainly(wrong: Wrong) -> Wrong:
    """Return a mistake in words that are true of what we let nft and iptables see."""
    return wrong._replace(message=re.sub(_NO_HOST, _NO_NAMES, wrong.message))


def _try_nft(rulesets: Rulesets, text: RulesetText, links: tuple[str, ...]) -> DryRun:
    lab, body = rulesets.lab, text.text
    _new_namespace([name for name in links if name in body] if not text.own else ())
    try:
        rulesets.here().run(_wrapped(lab, body, anew=True))
    except nft.NftBroke as error:
        return tuple(_found_alone(rulesets, body)) or error.wrong
    except NftError as error:
        return tuple(_within(body, each) for each in error.wrong)
    table, there = table_of(lab), nft.tables()
    listing = rulesets.here().list_table(table)
    if listing is None or there != {table: _mark(lab)}:
        return (Wrong(0, 0, 0, "it changes more than the lab's own table"),)
    ruleset = _ruleset(canonical(listing))
    if re.search(_OWNED, ruleset.listing) and (owner := re.search(r"\bowner\b", body)):
        message = "a table with an owner goes with the process that made it"
        return (_at(body, owner.start(), len("owner"), message),)
    return ruleset


_OWNED = r"(?m)^\tflags .*\bowner\b"


def _found_alone(rulesets: Rulesets, body: str) -> Iterator[Wrong]:
    """Yield the mistakes of grammar in each part of a body, where the whole breaks the library."""
    for begin, end in _parts(body):
        part = re.sub(_BLANKED, " ", body[:begin]) + body[begin:end]
        try:
            rulesets.here().run(_wrapped(rulesets.lab, part, anew=True))
        except NftError as error:
            found = (_within(body, each) for each in error.wrong)
            yield from (each for each in found if each.message.startswith("syntax error"))


def _parts(body: str) -> Iterator[tuple[int, int]]:
    """Yield where each chain, set and map of a body begins and ends."""
    begin = depth = 0
    for hit in re.finditer(_SYNTAX, body):
        depth += {"{": 1, "}": -1}.get(hit[0], 0)
        if hit[0] == "}" and depth == 0:
            yield begin, hit.end()
            begin = hit.end()


def _try_iptables(text: RulesetText) -> DryRun:
    family, flavour = _FAMILIES[text.kind], iptables.flavour()
    _new_namespace([])
    try:
        iptables.restore(text.text, family, flavour)
    except iptables.IptablesError as error:
        return error.wrong
    return _ruleset(iptables.save(family, flavour))


def _new_namespace(links: Sequence[str]) -> None:
    """Move the calling thread into a new namespace that has links of these names, all down."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    names = [name for name in dict.fromkeys(links) if name != "lo"]
    if len(names) % 2:
        names.append(_SPARE)
    if names:
        with Rtnetlink() as rt:
            rt.batch([_wire(names[at], names[at + 1]) for at in range(0, len(names), 2)])


def _wire(name: str, peer: str) -> Message:
    near = Link(Veth(End("", peer)), mac="", mtu=1500)
    return link_add(name, near, peer=VethPeer(peer, Link(Veth(End("", name)), mac="", mtu=1500)))
