"""Completion for bash, zsh and fish: a short script for each shell, which asks netloom itself.

The script calls `netloom` with the words so far in its environment; each line of the answer is
`plain,WORD`, or `file,` where the shell shall offer files.
"""

import os
import shlex
from collections.abc import Iterable

from netloom.cli.grammar import HELP, Argument, Option, Verb, verb
from netloom.cli.output import write
from netloom.cli.verbs import MODULES, VERBS, command

_BASH = """\
# eval "$(netloom completion bash)"    in ~/.bashrc
_netloom_completion() {
    local IFS=$'\\n' line
    COMPREPLY=()
    for line in $(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
            _NETLOOM_COMPLETE=bash_complete "$1" 2>/dev/null); do
        case $line in
            file,*) compopt -o default ;;
            *) COMPREPLY+=("${line#*,}") ;;
        esac
    done
}
complete -o nosort -F _netloom_completion netloom
"""
_ZSH = """\
#compdef netloom
# eval "$(netloom completion zsh)"    in ~/.zshrc
_netloom_completion() {
    local line
    local -a found
    for line in ${(f)"$(env COMP_WORDS="${(pj:\\n:)words}" COMP_CWORD=$((CURRENT-1)) \\
            _NETLOOM_COMPLETE=zsh_complete $words[1] 2>/dev/null)"}; do
        case $line in
            file,*) _files ;;
            *) found+=("${line#*,}") ;;
        esac
    done
    compadd -a found
}
compdef _netloom_completion netloom
"""
_FISH = """\
# netloom completion fish | source    in ~/.config/fish/config.fish
function _netloom_completion
    set -l before (commandline -opc)
    set -l all (string join \\n -- $before (commandline -ct) | string collect --allow-empty)
    for line in (env COMP_WORDS=$all COMP_CWORD=(count $before) _NETLOOM_COMPLETE=fish_complete \\
            $before[1] 2>/dev/null)
        switch $line
            case 'file,*'
                __fish_complete_path (commandline -ct)
            case '*'
                string replace -r '^[^,]*,' '' -- $line
        end
    end
end
complete --no-files --command netloom --arguments '(_netloom_completion)'
"""
_SCRIPTS = {"bash": _BASH, "fish": _FISH, "zsh": _ZSH}


@verb("completion", Argument("shell", "bash|fish|zsh", choices=tuple(_SCRIPTS)))
def completion_command(shell: str) -> None:
    """Print the completion script of a shell."""
    write(_SCRIPTS[shell])


# ── what a word may become ────────────────────────────────────────────────────────────────


def answer() -> int:
    """Print what the word that a shell asks for may become; return the exit status."""
    words = _split(os.environ.get("COMP_WORDS", ""))[1:]
    place = int(os.environ.get("COMP_CWORD", "1")) - 1
    before, word = words[:place], words[place] if place < len(words) else ""
    write("".join(f"{line}\n" for line in _lines(before, word)))
    return 0


def _split(text: str) -> list[str]:
    """Return the words of a line, be a quotation open in the last one."""
    if "\n" in text:
        return [_unquoted(word) for word in text.split("\n")]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word.lstrip("'\"")


def _lines(before: list[str], word: str) -> list[str]:
    if not before:
        options = [*HELP, "--version"] if word.startswith("-") else []
        verbs = sorted(verb for group in VERBS.values() for verb in group)
        return _plain([*verbs, *options], word)
    if before[0] not in MODULES:
        return []
    asked = command(before[0])
    given, option = _walked(asked, before[1:])
    if option:
        return ["file,"] if option.value == "FILE" else _plain(option.choices, word)
    if word.startswith("-") and not (asked.verbatim or (asked.passes_on and given)):
        return _plain([*(o.names[-1] for o in asked.options), HELP[-1]], word)
    return _argument(asked, given, word)


def _walked(asked: Verb, words: list[str]) -> tuple[list[str], Option | None]:
    """Return the arguments among words, and the option that waits for its value, if one does."""
    given: list[str] = []
    waiting = None
    for word in words:
        if waiting:
            waiting = None
        elif asked.verbatim or not word.startswith("-") or (asked.passes_on and given):
            given.append(word)
        else:
            option = asked.option(word)
            waiting = option if option and option.value else None
    return given, waiting


def _argument(asked: Verb, given: list[str], word: str) -> list[str]:
    """Return what the next argument of a verb may be."""
    if not asked.arguments:
        return []
    place = min(len(given), len(asked.arguments) - 1)
    argument = asked.arguments[place]
    if place < len(given) and not argument.many:
        return []
    if argument.is_file:
        return ["file,"]
    if argument.choices:
        return _plain(argument.choices, word)
    return _plain(argument.complete(given, word), word) if argument.complete else []


def _plain(words: Iterable[str], begun: str) -> list[str]:
    return [f"plain,{word}" for word in words if word.startswith(begun) and word.isprintable()]


COMMANDS: tuple[Verb, ...] = (completion_command,)
"""The verbs of this file, to be hung into the command line."""
