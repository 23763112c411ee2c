"""ufw's own files (/etc/ufw/user.rules, user6.rules): they alone know the comment of a rule.

Before each rule stands a line that ufw reads itself:

    ### tuple ### route:allow tcp 80 10.0.0.2 any 0.0.0.0/0 in_eth0!out_lan comment=6e65…

with protocol, port and address of the destination, those of the source, interfaces, and the comment
in hexadecimal.
"""

from typing import Literal

from netloom.model.firewall import Traffic, UfwRule
from netloom.wire.iptsave import prefix_of

_HEAD = "### tuple ### "
_ANY = {"any", "0.0.0.0/0", "::/0"}


def noted(text: str, family: Literal[4, 6]) -> tuple[UfwRule, ...]:
    """Return the rules of a file that accept and have a comment."""
    lines = (line.removeprefix(_HEAD).split() for line in text.splitlines() if _HEAD in line)
    found = (_noted(words, family) for words in lines)
    return tuple(note for note in found if note is not None)


def _noted(words: list[str], family: Literal[4, 6]) -> UfwRule | None:
    comments = [word.removeprefix("comment=") for word in words if word.startswith("comment=")]
    if len(words) < 6 or not comments or words[0].removeprefix("route:") != "allow":
        return None
    proto, port, dst, _, src = words[1:6]
    try:
        comment = bytes.fromhex(comments[0]).decode()
        near, far = _prefix(src), _prefix(dst)
    except ValueError:
        return None
    links = [part.partition("_") for word in words[6:] for part in word.split("!")]
    names = {way: name for way, _, name in links if way in {"in", "out"}}
    flow = Traffic(
        family,
        iif=names.get("in", ""),
        oif=names.get("out", ""),
        src=near,
        dst=far,
        proto="" if proto == "any" else proto,
        port=int(port) if port.isdecimal() else 0,
    )
    return UfwRule(comment, flow)


def _prefix(text: str) -> str:
    return "" if text in _ANY else prefix_of(text)
