"""The closed family of refusals: facts in fields, one sentence each, printed at the edge.

    NetloomError
    ├─ TopologyError   the file or the words of a call are wrong: every problem, each with its place
    ├─ Unavailable     this machine cannot do it, or not now: the reason and the remedy
    ├─ Refused         a step was refused by the kernel; what had been done is undone
    └─ NotReady        something did not become ready in time

`KernelError` is the one below: what a single system call or netlink request was answered. It is an
`OSError`, and becomes `Refused` when a step was being applied.
"""

import errno
import os


def printable(text: str) -> str:
    r"""Return a name that somebody else chose as it may stand in a sentence.

    It stays on one line, and no terminal obeys it: what cannot be printed is shown as Python
    writes it, `\x1b`; so is each byte of a file's name that is no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    byte = ord(one) - 0xDC00  # as os.fsdecode has it
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(one)[1:-1]


def harmless(text: str) -> str:
    """Return a text of lines of which no terminal obeys any; what was printable is as it was.

    Names that may hold a line's end went through `printable` before they became part of it.
    """
    if text.isprintable():
        return text
    lines = ("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    return "\n".join(lines)


def quoted(word: str) -> str:
    r"""Return a word as a shell reads it in a command that is shown: `'my lab.yaml'`, `$'a\x1bb'`.

    (`shlex` takes 2 ms to load, and hands on what a terminal obeys.)
    """
    if word and all(one.isalnum() or one in "@%+=:,./_-" for one in word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_in_quotes, word)) + "'"


def _in_quotes(one: str) -> str:
    """Return a character between `$'` and `'` (bash, zsh, POSIX.1-2024)."""
    if one in "'\\":
        return f"\\{one}"
    if one.isprintable():
        return one
    kept = "surrogateescape" if 0x80 <= ord(one) - 0xDC00 <= 0xFF else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in one.encode(errors=kept))


class Mark:
    """A place in a text: `line` and `column` from 1, `length` in characters, the whole line."""

    __slots__ = ("column", "file", "length", "line", "text")

    def __init__(self, file: str, line: int, column: int, length: int, text: str) -> None:
        """Keep the place."""
        self.file = file
        self.line = line
        self.column = column
        self.length = length
        self.text = text

    def __eq__(self, other: object) -> bool:
        """Whether it is the same place of the same text."""
        return isinstance(other, Mark) and all(
            getattr(self, fact) == getattr(other, fact) for fact in self.__slots__
        )

    def __hash__(self) -> int:
        """Return a number that equal places share."""
        return hash((self.file, self.line, self.column))

    def __repr__(self) -> str:
        """Return the place, without the line."""
        return f"Mark({self.file}:{self.line}:{self.column}+{self.length})"


Path = tuple[str | int, ...]
"""A place in a topology: `("networks", "lan", "subnet")`, `("links", 0, "ends", 1)`."""


class Problem:
    """One mistake: what is wrong, where, and what would be right.

    `at_key`: whether the key at `path` is meant, and not its value.
    """

    __slots__ = ("at_key", "hint", "mark", "message", "path")

    def __init__(
        self,
        message: str,
        path: Path = (),
        hint: str = "",
        mark: Mark | None = None,
        *,
        at_key: bool = False,
    ) -> None:
        """Keep the facts."""
        self.message = harmless(message)
        self.path = path
        self.hint = harmless(hint)
        self.mark = mark
        self.at_key = at_key

    def at(self, mark: Mark) -> "Problem":
        """Return the same mistake, with its place in the text."""
        return Problem(self.message, self.path, self.hint, mark, at_key=self.at_key)

    def __repr__(self) -> str:
        """Return message and path."""
        return f"Problem({self.message!r}, {self.path!r})"

    def __str__(self) -> str:
        """Return `file:line:column: message`, the line, and a caret with the hint."""
        if self.mark is None:
            place = printable(".".join(str(part) for part in self.path))
            head = f"{place}: {self.message}" if place else self.message
            return f"{head}\n  hint: {self.hint}" if self.hint else head
        mark = self.mark
        margin = " " * len(str(mark.line))
        shown, before, length = _clipped(mark)
        under = " " * before + "^" * max(1, length)
        return (
            f"{printable(mark.file)}:{mark.line}:{mark.column}: {self.message}\n"
            f"  {mark.line} | {shown}\n"
            f"  {margin} | {under}{' ' if self.hint else ''}{self.hint}"
        )


_SHOWN = 100
"""How much of a line is shown, in characters."""


def _clipped(mark: Mark) -> tuple[str, int, int]:
    """Return the part of a line around a mark, how far in the mark begins, and how long it is."""
    before = mark.column - 1
    if len(mark.text) <= _SHOWN:
        return mark.text, before, mark.length
    start = max(0, before - _SHOWN // 3)
    end = start + _SHOWN
    head, tail = "…" if start else "", "…" if end < len(mark.text) else ""
    length = min(mark.length, end - before)
    return f"{head}{mark.text[start:end]}{tail}", before - start + len(head), length


class NetloomError(Exception):
    """Anything that netloom refuses or could not do."""


class TopologyError(NetloomError):
    """A topology (file, text or call) has mistakes; nothing was touched."""

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        """Keep all the problems, in the order of their places."""
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Unavailable(NetloomError):
    """The machine refuses, nothing is touched: a right, a module, a limit, a name in use."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        """Say what is missing, and what to do about it."""
        self.reason = harmless(reason)
        self.remedy = harmless(remedy)
        super().__init__(f"{self.reason}\nhint: {self.remedy}" if remedy else self.reason)


class KernelError(OSError):
    """One request that the kernel refused.

    `asked` says what it was (`ip -n red addr add 10.0.0.1/24 dev eth0` or `mount …`), `extack`
    what the kernel said beyond the errno (NLMSGERR_ATTR_MSG, linux/netlink.h), empty where it
    said nothing. `index` is the place of the refused message in the batch that was sent.
    """

    def __init__(self, errno: int, asked: str, extack: str = "", index: int = 0) -> None:
        """Keep the facts; `errno` is positive."""
        super().__init__(errno, os.strerror(errno))
        self.asked = asked
        self.extack = extack
        self.index = index

    @property
    def words(self) -> str:
        """What the kernel answered: its own words first, and the errno where there is one."""
        if not self.extack:
            return str(self.strerror)
        return f"{self.extack} ({self.strerror})" if self.errno else self.extack

    def __str__(self) -> str:
        """Return what was asked and what the kernel answered."""
        return f"{self.asked}: {self.words}" if self.asked else self.words


FAILURES = (OSError, MemoryError, ImportError)
"""What any call may raise at any moment: a limit, no memory, a disk or a module that breaks."""


class Suppress:
    """Goes on behind its block after errors of some kinds: contextlib's takes 3 ms to import."""

    def __init__(self, *kinds: type[BaseException]) -> None:
        """Say which errors are none here."""
        self._kinds = kinds

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Return whether the block ended by one of them."""
        return kind is not None and issubclass(kind, self._kinds)


def failure(error: BaseException) -> KernelError:
    """Return one of `FAILURES` as what the kernel answered."""
    if isinstance(error, KernelError):
        return error
    if isinstance(error, OSError):
        file = error.filename if isinstance(error.filename, str) else ""
        number = error.errno or 0
        return KernelError(number, "", file if number else str(error))
    if isinstance(error, MemoryError):
        return KernelError(errno.ENOMEM, "")
    return KernelError(0, "", f"netloom is not whole: {error}" if not_whole(error) else str(error))


def not_whole(error: BaseException) -> bool:
    """Whether a module is missing, or has not what another asks of it, which no machine refuses.

    What the loader of libraries refuses (no memory, no more files) names the library.
    """
    return isinstance(error, ImportError) and not (error.path or "").endswith(".so")


_SPENT = frozenset({errno.ENOMEM, errno.ENOBUFS, errno.EMFILE, errno.ENFILE, errno.ENOSPC})


def prevented(error: BaseException) -> "Unavailable":
    """Return one of `FAILURES` as what keeps anything from beginning, with what to do about it."""
    if not_whole(error):
        return Unavailable(str(failure(error)), REINSTALL)
    refused = failure(error)
    hint = "is the machine out of memory, of open files, or of room below /run?"
    return Unavailable(f"the machine refused: {refused}", hint if refused.errno in _SPENT else "")


REINSTALL = "install netloom anew; if that does not help, please report it"
"""What to do about an installation that is not whole."""


def errno_of(words: str) -> int | None:
    """Return the errno whose words end a text, None where it ends otherwise."""
    return next((n for n in sorted(errno.errorcode) if words.endswith(os.strerror(n))), None)


class Refused(NetloomError):
    """A step of a plan was refused.

    `step` is the refused step as a plan prints it, `asked` the command it equals, `undone`
    whether all that had been done before it is undone, `left` what could not be undone.
    """

    def __init__(  # noqa: PLR0913 - the facts of a refusal, each with a name
        self,
        step: str,
        cause: KernelError,
        *,
        asked: str = "",
        remedy: str = "",
        undone: bool = True,
        left: tuple[str, ...] = (),
    ) -> None:
        """Keep the facts of the refusal."""
        self.step = step
        self.cause = cause
        self.asked = asked
        self.errno = cause.errno
        self.extack = cause.extack
        self.remedy = remedy
        self.undone = undone
        self.left = left
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the step, the kernel's answer, what became of the rest, and what to do."""
        lines = [f"`{self.step}` was refused: {self.cause.words}"]
        if self.asked:
            lines.append(f"  as a command: {self.asked}")
        if self.undone and not self.left:
            lines.append("  all that was done before it has been undone")
        else:
            lines += [f"  left behind: {thing}" for thing in self.left]
        if self.remedy:
            lines.append(f"hint: {self.remedy}")
        return harmless("\n".join(lines))


class NotReady(NetloomError):
    """Something that was waited for did not happen before its deadline."""

    def __init__(self, waiting_for: str, timeout: float) -> None:
        """Say what was waited for, and how long, in seconds."""
        self.waiting_for = waiting_for
        self.timeout = timeout
        super().__init__(harmless(f"not ready after {round(timeout, 2):g} s: {waiting_for}"))


class Interrupted(NetloomError):
    """The user interrupted (Ctrl-C, SIGTERM); what had been done is undone."""
