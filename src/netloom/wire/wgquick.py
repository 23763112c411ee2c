"""The file of a WireGuard tunnel, as wg-quick(8) has it: text to a `Tunnel`.

What is wg(8)'s own is handed on to it; addresses, MTU and resolvers are the link's. Commands in the
file are not run, and it names no table: the network is one command's alone.
"""

import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from netloom import values
from netloom.errors import Mark, Problem, TopologyError

_KEY_SIZE = 32
_LAST_PORT = 65535
_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\[\]\s]+):(\d{1,5})")
_SECTION = re.compile(r"\[\s*(\w+)\s*\]")


class WireGuardPeer(Struct, frozen=True):
    """The other side: what wg(8) is told, what leads to it, where it is (empty: it calls us)."""

    settings: tuple[tuple[str, str], ...]
    allowed: tuple[str, ...]
    endpoint: str


class Tunnel(Struct, frozen=True):
    """A tunnel: what wg(8) is told of our side, and what the link has; `mtu` 0: WireGuard's own.

    `resolvers` are addresses, `search` are domains; both stand under `DNS`.
    """

    settings: tuple[tuple[str, str], ...]
    addresses: tuple[str, ...]
    resolvers: tuple[str, ...]
    search: tuple[str, ...]
    mtu: int
    peers: tuple[WireGuardPeer, ...]

    @property
    def routes(self) -> tuple[str, ...]:
        """What leads through the tunnel, each once."""
        return tuple(dict.fromkeys(prefix for peer in self.peers for prefix in peer.allowed))


def read_tunnel(text: str, file: str) -> Tunnel:
    """Return the tunnel of a file; raises `TopologyError` with every mistake at its place."""
    reader = _Reader(file)
    sections = [(name, reader.section(name, lines)) for name, lines in reader.sections(text)]
    ours = [section for name, section in sections if name == "interface"]
    theirs = [section for name, section in sections if name == "peer"]
    for count, what in ((ours, "[Interface]"), (theirs, "[Peer]")):
        if not count:
            reader.problems.append(Problem(f"{file} has no {what}"))
    for section, key in (
        *((one, "PrivateKey") for one in ours),
        *((p, "PublicKey") for p in theirs),
    ):
        if key not in section:
            reader.problems.append(Problem(f"{file} lacks a {key}"))
    if reader.problems:
        raise TopologyError(reader.problems)
    own = {
        key: [value for section in ours for value in section.get(key, ())]
        for key in _INTERFACE_KEYS
    }
    return Tunnel(
        settings=_settings(own, ("PrivateKey", "ListenPort", "FwMark")),
        addresses=tuple(own["Address"]),
        resolvers=tuple(values.ip(name) for name in own["DNS"] if _is_ip(name)),
        search=tuple(name for name in own["DNS"] if not _is_ip(name)),
        mtu=int(own["MTU"][-1]) if own["MTU"] else 0,
        peers=tuple(map(_peer, theirs)),
    )


def _peer(section: Mapping[str, Sequence[str]]) -> WireGuardPeer:
    return WireGuardPeer(
        settings=_settings(section, ("PublicKey", "PresharedKey", "PersistentKeepalive")),
        allowed=tuple(section.get("AllowedIPs", ())),
        endpoint=next(iter(section.get("Endpoint", ())), ""),
    )


def _settings(
    section: Mapping[str, Sequence[str]], keys: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key in keys for value in section.get(key, ()))


# ── values, each in its canonical form ────────────────────────────────────────────────────


def _key(text: str) -> str:
    try:
        size = len(binascii.a2b_base64(text, strict_mode=True))
    except binascii.Error:
        size = 0
    if size != _KEY_SIZE:
        msg = f"no key of {_KEY_SIZE} bytes in base64, such as `wg genkey` prints"
        raise ValueError(msg)
    return text


def _address(text: str) -> str:
    return "{}/{}".format(*values.ip_and_length(_with_length(text)))


def _prefix(text: str) -> str:
    return values.network_of(*values.ip_and_length(_with_length(text)))


def _with_length(text: str) -> str:
    return text if "/" in text else f"{text}/{values.width(text)}"


def _port(text: str) -> str:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        msg = f"`{text}` is no port number: 0 to {_LAST_PORT}"
        raise ValueError(msg)
    return text


def _endpoint(text: str) -> str:
    found = _ENDPOINT.fullmatch(text)
    if not found:
        msg = f"`{text}` is no host with a port, such as `vpn.example.org:51820`"
        raise ValueError(msg)
    _port(found[2])
    return text


def _keepalive(text: str) -> str:
    return text if text == "off" else _port(text)


def _mtu(text: str) -> str:
    return str(values.mtu(text))


def _word(text: str) -> str:
    if not text or len(text.split()) != 1:
        msg = f"`{text}` is not one word"
        raise ValueError(msg)
    return text


def _is_ip(text: str) -> bool:
    try:
        values.ip(text)
    except ValueError:
        return False
    return True


def _not_run(text: str) -> str:  # noqa: ARG001 - the shape of a value
    msg = "not carried out here: the network is the command's alone; take the line out"
    raise ValueError(msg)


_INTERFACE_KEYS: dict[str, Callable[[str], str]] = {
    "PrivateKey": _key,
    "ListenPort": _port,
    "FwMark": _word,
    "Address": _address,
    "DNS": _word,
    "MTU": _mtu,
    "SaveConfig": _word,
    **dict.fromkeys(("Table", "PreUp", "PostUp", "PreDown", "PostDown"), _not_run),
}
_PEER_KEYS: dict[str, Callable[[str], str]] = {
    "PublicKey": _key,
    "PresharedKey": _key,
    "AllowedIPs": _prefix,
    "Endpoint": _endpoint,
    "PersistentKeepalive": _keepalive,
}
_LISTS = frozenset({"Address", "DNS", "AllowedIPs"})
_KEYS = {"interface": _INTERFACE_KEYS, "peer": _PEER_KEYS}


class _Line(Struct):
    """One `key = value`, and its place."""

    key: str
    value: str
    mark: Mark


class _Reader:
    """Takes a text apart, and keeps what is wrong with it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def sections(self, text: str) -> Iterator[tuple[str, list[_Line]]]:
        """Yield each section by its name in lower case, with its lines."""
        name, lines = "", list[_Line]()
        for number, whole in enumerate(text.splitlines(), 1):
            line = whole.partition("#")[0].rstrip()
            word = line.strip()
            mark = Mark(self.file, number, len(line) - len(word) + 1, len(word), whole)
            if section := _SECTION.fullmatch(word):
                yield name, lines
                name, lines = section[1].lower(), []
                if name not in _KEYS:
                    message = f"no section is called `{section[1]}`"
                    self.problems.append(Problem(message, hint="Interface or Peer", mark=mark))
            elif word:
                key, equals, value = word.partition("=")
                if not equals or not name:
                    hint = "see wg-quick(8)"
                    self.problems.append(Problem("no `Key = value`", hint=hint, mark=mark))
                    continue
                lines.append(_Line(key.strip(), value.strip(), mark))
        yield name, lines

    def section(self, name: str, lines: Sequence[_Line]) -> dict[str, list[str]]:
        """Return what a section says, by the names of its keys as wg-quick(8) spells them."""
        found: dict[str, list[str]] = {}
        keys = _KEYS.get(name, {})
        spelt = {key.lower(): key for key in keys}
        for line in lines if keys else ():
            key = spelt.get(line.key.lower())
            if key is None:
                message = f"no key of a section `{name}` is called `{line.key}`"
                self.problems.append(Problem(message, mark=line.mark))
                continue
            for word in line.value.split(",") if key in _LISTS else [line.value]:
                try:
                    found.setdefault(key, []).append(keys[key](word.strip()))
                except ValueError as error:
                    mark = _masked(line.mark) if keys[key] is _key else line.mark
                    self.problems.append(Problem(f"{key}: {error}", mark=mark))
        return found


def _masked(mark: Mark) -> Mark:
    """Return a place whose line is shown without its value: a key nearly right is a secret, too."""
    key = mark.text.partition("=")[0]
    return Mark(mark.file, mark.line, mark.column, len(key.strip()), f"{key}= …")
