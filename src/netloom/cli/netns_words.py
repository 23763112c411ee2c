"""What the verbs of `netloom netns` share: what was asked, how they speak, how they read numbers.

Bytes go through as they are: a name is a file's, and need be no text.
"""

import os
import sys

from netloom.namespaces.handle import NETNS_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_INT_MAX = (1 << 31) - 1
_ESCAPES = str.maketrans(
    {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\b": "\\b", "\\": "\\\\", '"': '\\"'}
)
_USAGE = """\
Usage:	ip netns list
	ip netns add NAME
	ip netns attach NAME PID
	ip netns set NAME NETNSID
	ip [-all] netns delete [NAME]
	ip netns identify [PID]
	ip netns pids NAME
	ip [-all] netns exec [NAME] cmd ...
	ip netns monitor
	ip netns list-id [target-nsid POSITIVE-INT] [nsid POSITIVE-INT]
NETNSID := auto | POSITIVE-INT"""


class NetnsExit(Exception):
    """The end of the program, with a status."""

    def __init__(self, status: int) -> None:
        """Keep the status."""
        self.status = status
        super().__init__(status)


class NetnsRequest:
    """What the options say, and what is known for the length of a batch."""

    __slots__ = ("batch", "everything", "force", "json", "looked", "pretty")

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.batch: str | None = None
        self.everything = False
        self.force = False
        self.json = False
        self.pretty = False
        self.looked = False


def say(text: str) -> None:
    """Print an answer: the bytes of a name are printed as they are."""
    sys.stdout.buffer.write(os.fsencode(text))


def complain(line: str) -> None:
    """Print a line on standard error."""
    os.write(2, os.fsencode(f"{line}\n"))


def flush() -> None:
    """Let go of what was said; others write now."""
    sys.stdout.flush()


def invalid(word: str, reason: str) -> NetnsExit:
    """Complain of a word, and return the end that follows."""
    complain(f'Error: argument "{word}" is wrong: {reason}')
    return NetnsExit(255)


def whole_number(text: str) -> int | None:
    """Return what strtol(3) with base 0 reads, None where anything is left over."""
    body = text.lstrip(" \t\n\v\f\r")
    sign, body = (body[0], body[1:]) if body[:1] in {"+", "-"} else ("+", body)
    if not (body.isascii() and body.isalnum()):
        return None
    base = 16 if body[:2] in {"0x", "0X"} else 8 if body[0] == "0" else 10
    try:
        return int(f"{sign}{body[2:] if base == 16 else body}", base)
    except ValueError:
        return None


def small_number(text: str) -> int | None:
    """Return the same where it fits 32 bits, as an id or a process id has to."""
    number = whole_number(text)
    return number if number is not None and -_INT_MAX - 1 <= number <= _INT_MAX else None


def entries() -> list[str]:
    """Return all names as the directory has them, none where it is missing; raises `NetnsExit`."""
    try:
        return os.listdir(NETNS_DIR)
    except FileNotFoundError:
        return []
    except OSError as error:
        complain(f"Failed to open directory {NETNS_DIR}: {error.strerror}")
        raise NetnsExit(255) from None


def usage(asked: NetnsRequest, words: "Sequence[str]") -> int:  # noqa: ARG001 - a verb
    """Say what there is: the verb `help`; raises `NetnsExit`."""
    complain(_USAGE)
    raise NetnsExit(255)


def listing(items: "Sequence[dict[str, str | int]]", *, pretty: bool) -> str:
    """Return what ip's json_writer makes of a list: names as their bytes, unchecked."""
    fields = ([f'"{key}":{" " * pretty}{_value(item[key])}' for key in item] for item in items)
    if not pretty:
        return f"[{','.join('{' + ','.join(field) + '}' for field in fields)}]\n"
    between = ",\n        "
    inner = ",".join(f"{{\n        {between.join(field)}\n    }}" for field in fields)
    return f"[ {inner} ]\n" if inner else "[ ]\n"


def _value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f'"{value.translate(_ESCAPES)}"'
