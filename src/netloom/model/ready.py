"""When a command of a lab is ready: what is waited for, as the topology file has it after `ready:`.

tcp/80  udp/53      something listens on that port in the command's namespace
unix/PATH           something listens on that socket; `@NAME` is an abstract one (unix(7))
log/TEXT            the command has printed TEXT
exit                it has ended with status 0: it sets something up
"""

from typing import Literal, NamedTuple, cast

Kind = Literal["tcp", "udp", "unix", "log", "exit"]

EXIT: Literal["exit"] = "exit"

PORT_MAX = 65535


class Ready(NamedTuple):
    """What is waited for; `port` is 0 and `text` a path or what is printed where that is it."""

    kind: Kind
    port: int = 0
    text: str = ""

    def __str__(self) -> str:
        """Return it as it is written."""
        return EXIT if self.kind == EXIT else f"{self.kind}/{self.text or self.port}"


def parse_ready(text: str) -> Ready:
    """Return what `text` (`tcp/80`, `log/TEXT`, `exit`) waits for, or raise `ValueError`."""
    if text == EXIT:
        return Ready(EXIT)
    kind, slash, rest = text.partition("/")
    port, colon, number = text.partition(":")
    if colon and port in {"tcp", "udp"}:  # `tcp:80` is read too
        kind, slash, rest = port, "/", number
    if not slash or kind not in {"tcp", "udp", "unix", "log"}:
        msg = f"`{text}` cannot be waited for: write `tcp/80`, `unix/PATH`, `log/TEXT` or `exit`"
        raise ValueError(msg)
    if kind in {"unix", "log"}:
        return _text(text, cast("Kind", kind), rest)
    if not (rest.isascii() and rest.isdecimal()) or not 0 < int(rest) <= PORT_MAX:
        msg = f"`{rest}` is no port: a number from 1 to {PORT_MAX}"
        raise ValueError(msg)
    return Ready(cast("Kind", kind), port=int(rest))


def _text(text: str, kind: Kind, rest: str) -> Ready:
    if not rest or rest == "@" or "\0" in rest:
        msg = f"`{text}` says nothing to wait for"
        raise ValueError(msg)
    if kind == "unix" and rest[0] not in "/@":
        msg = f"`{rest}` is no socket: write `unix//run/PATH`, or `unix/@NAME` for an abstract one"
        raise ValueError(msg)
    return Ready(kind, text=rest)
