"""A shell inside a namespace, whose prompt says where it is: `[web] $`."""

import os

from netloom.namespaces import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

VARIABLE = "NETLOOM_NETNS"
"""Bears the name in the shell's environment, for prompts that people make themselves."""

_PROMPT = f"[${VARIABLE}] "

_BASHRC = """exec {fd}<&-
[ -f ~/.bashrc ] && . ~/.bashrc
_netloom_prompt() {{
  case $PS1 in '{prompt}'*) ;; *) PS1='{prompt}'$PS1 ;; esac
}}
PROMPT_COMMAND="${{PROMPT_COMMAND:+$PROMPT_COMMAND
}}_netloom_prompt"
"""
"""Reads the user's own file, then puts the name before the prompt, whoever sets that and when."""


def shell_in(name: str, *, tell: "Callable[[str], None]") -> "NoReturn":
    """Become the user's shell ($SHELL, else /bin/sh) inside the namespace of a name.

    Should: leave the user's own settings as they are, but for the name before the prompt.
    Mustn't: leave a file behind: bash gets its start file through a pipe.
    """
    shell = os.environ.get("SHELL") or "/bin/sh"
    env = {VARIABLE: name}
    argv = [shell]
    if os.path.basename(shell) == "bash":
        argv += ["--rcfile", _start_file(), "-i"]
    else:
        env["PS1"] = f"{_PROMPT}{'#' if os.geteuid() == 0 else '$'} "
    run.exec_at(name, argv, tell=tell, env=env)


def _start_file() -> str:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)  # noqa: FBT003 - the only parameter it has
    os.write(writing, _BASHRC.format(fd=reading, prompt=_PROMPT).encode())
    os.close(writing)
    return f"/dev/fd/{reading}"
