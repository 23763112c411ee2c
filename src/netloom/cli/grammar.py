"""The grammar of the command line: a verb, its options and arguments, read from words.

As GNU has it: options stand anywhere, `--name VALUE` or `--name=VALUE`, `-qv`, `-oFILE`, and `--`
ends them. Where a command follows, it begins with the first word that is no option, and all from
there on is its own. No beginning of an option is the option: what is added later breaks no script.

Should: import nothing, since every start comes through here.
Mustn't: print, or end anything; a mistake is raised, and shown by `main.py`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    Complete = Callable[[Sequence[str], str], Iterable[str]]
    """Returns what a word may become, given the arguments before it."""

HELP = ("-h", "--help")

MISTAKE = 2
"""Exit status: the words of a call are wrong; nothing was touched."""


class UsageError(Exception):
    """The words of a call are wrong."""


class Option:
    """An option, known by its last name; `value` is what follows it, empty for a flag.

    `read` makes of that what the verb is given, and raises `ValueError` with a sentence; it is one
    of `choices` if there are any. Without the option the verb is given `default`; `several`: it is
    given a tuple of all that were said.
    """

    __slots__ = ("choices", "default", "key", "names", "read", "says", "several", "value")

    def __init__(  # noqa: PLR0913 - the facts of an option, each with a name
        self,
        *names: str,
        says: str,
        value: str = "",
        read: "Callable[[str], object]" = str,
        choices: "Sequence[str]" = (),
        default: object = "",
        several: bool = False,
        key: str = "",
    ) -> None:
        """Keep the facts; `key` is the name of the verb's parameter, if that is another."""
        self.names = names
        self.says = says
        self.value = value
        self.read = read
        self.choices = choices
        self.several = several
        self.key = key or names[-1].lstrip("-")
        self.default = default if value else False

    @property
    def words(self) -> str:
        """How it is written: `-o, --output FILE`."""
        return " ".join(filter(None, (", ".join(self.names), self.value)))


class Argument:
    """What a verb is about: one word, or `many`, which may be `default` if that is given."""

    __slots__ = ("choices", "complete", "default", "is_file", "key", "many", "shown")

    def __init__(  # noqa: PLR0913 - the facts of an argument, each with a name
        self,
        key: str,
        shown: str = "",
        *,
        default: str | None = None,
        many: bool = False,
        choices: "Sequence[str]" = (),
        complete: "Complete | None" = None,
        is_file: bool = False,
    ) -> None:
        """Keep the facts; `shown` is how it stands in the usage, if not as the key in capitals."""
        self.key = key
        self.default = default
        self.many = many
        self.choices = choices
        self.complete = complete
        self.is_file = is_file
        self.shown = shown or key.upper()


class Verb:
    """A verb of the command line, and what is called for it, whose docstring is the help.

    `passes_on`: its last words are a command's. `verbatim`: all of its words are somebody else's.
    `mistake` is the exit status where its words are wrong.
    """

    def __init__(  # noqa: PLR0913 - the facts of a verb, each with a name
        self,
        name: str,
        call: "Callable[..., int | None]",
        parts: "Sequence[Option | Argument]",
        *,
        passes_on: bool = False,
        verbatim: bool = False,
        mistake: int = MISTAKE,
    ) -> None:
        """Keep the facts."""
        self.name = name
        self.call = call
        self.options = [part for part in parts if isinstance(part, Option)]
        self.arguments = [part for part in parts if isinstance(part, Argument)]
        self.passes_on = passes_on
        self.verbatim = verbatim
        self.mistake = mistake

    @property
    def usage(self) -> str:
        """What follows the verb: `[OPTIONS] NS [CMD]...`."""
        return " ".join(["[OPTIONS]", *(argument.shown for argument in self.arguments)])

    def option(self, name: str) -> "Option | None":
        """Return the option of a name."""
        return next((each for each in self.options if name in each.names), None)

    def read(self, words: "Sequence[str]") -> "dict[str, Any] | None":
        """Return what the verb is called with, None where help is asked for.

        Raises `UsageError`.
        """
        if self.verbatim:
            return None if len(words) == 1 and words[0] in HELP else {self.arguments[0].key: words}
        values = {each.key: [] if each.several else each.default for each in self.options}
        given = _Reader(self, words, values).arguments()
        if given is None:
            return None
        found = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return found | _assigned(self.arguments, given)


class _Reader:
    """Words on their way to a verb: options are put where they belong, arguments are returned."""

    def __init__(self, verb: Verb, words: "Sequence[str]", values: "dict[str, Any]") -> None:
        self.verb = verb
        self.left = list(reversed(words))
        self.values = values

    def arguments(self) -> list[str] | None:
        """Return the words that belong to no option, None where help is asked for."""
        given: list[str] = []
        while self.left:
            word = self.left.pop()
            if word in HELP:
                return None
            if word == "--":
                return given + self.left[::-1]
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._short(word)
            else:
                given.append(word)
                if self.verb.passes_on:
                    return given + self.left[::-1]
        return given

    def _long(self, word: str) -> None:
        name, equals, value = word.partition("=")
        option = self._option(name)
        if equals and not option.value:
            message = f"option `{name}` takes no value"
            raise UsageError(message)
        self._put(option, name, value if equals else None)

    def _short(self, word: str) -> None:
        """Take letters, the last of which a value may follow."""
        for place, letter in enumerate(word[1:], 2):
            option = self._option(f"-{letter}")
            if option.value:
                self._put(option, f"-{letter}", word[place:] or None)
                return
            self._put(option, f"-{letter}", None)

    def _option(self, name: str) -> Option:
        option = self.verb.option(name)
        if option is None:
            raise UsageError(_with_meant(f"no such option `{name}`", name, self.verb))
        return option

    def _put(self, option: Option, name: str, value: str | None) -> None:
        if not option.value:
            self.values[option.key] = True
            return
        if value is None and not self.left:
            message = f"option `{name}` needs {option.value}"
            raise UsageError(message)
        try:
            found = option.read(_chosen(option, self.left.pop() if value is None else value))
        except ValueError as error:
            message = f"`{name}`: {error}"
            raise UsageError(message) from error
        if option.several:
            self.values[option.key].append(found)
        else:
            self.values[option.key] = found


def _with_meant(message: str, name: str, verb: Verb) -> str:
    from netloom.language.suggest import did_you_mean

    meant = did_you_mean(name, [each for option in verb.options for each in option.names])
    return f"{message}: {meant}" if meant else message


def _assigned(arguments: "Sequence[Argument]", words: "Sequence[str]") -> "dict[str, Any]":
    """Return which argument each word is; the last of them may have many."""
    found: dict[str, Any] = {}
    left = list(words)
    for argument in arguments:
        if not left and argument.default is None:
            message = f"`{argument.shown.removesuffix('...')}` is missing"
            raise UsageError(message)
        if argument.many:
            found[argument.key], left = tuple(left), []
        else:
            found[argument.key] = _chosen(argument, left.pop(0)) if left else argument.default
    if left:
        message = f"too many words: {' '.join(f'`{word}`' for word in left)}"
        raise UsageError(message)
    return found


def _chosen(part: Option | Argument, word: str) -> str:
    if part.choices and word not in part.choices:
        message = f"`{word}` is not {' or '.join(f'`{each}`' for each in part.choices)}"
        raise UsageError(message)
    return word


# ── making verbs ──────────────────────────────────────────────────────────────────────────


def verb(
    name: str,
    *parts: Option | Argument,
    passes_on: bool = False,
    verbatim: bool = False,
    mistake: int = MISTAKE,
) -> "Callable[[Callable[..., int | None]], Verb]":
    """Make a function a verb, called by the keys of its options and arguments."""

    def made(call: "Callable[..., int | None]") -> Verb:
        return Verb(name, call, parts, passes_on=passes_on, verbatim=verbatim, mistake=mistake)

    return made


def number(least: int) -> "Callable[[str], int]":
    """Return what reads a whole number; it raises `ValueError` for one that is too small."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            message = f"`{text}` is no whole number from {least} on"
            raise ValueError(message)
        return int(text)

    return read


def seconds(text: str) -> float:
    """Read a time in seconds; raises `ValueError` for what is none."""
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found < float("inf"):
        message = f"`{text}` is no number of seconds"
        raise ValueError(message)
    return found
