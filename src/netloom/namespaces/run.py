"""Running a command inside a namespace, by becoming it: no process of ours waits around it.

So signals, the terminal, job control and the exit status are the command's own. What it is shown is
`mounts.py`'s. `netloom exec` starts through this file alone, so nothing heavy may be imported here.
"""

import errno
import os

from netloom.errors import KernelError, Unavailable, printable
from netloom.kernel import procfs, syscalls
from netloom.kernel.files import lexists
from netloom.namespaces import handle, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

TROUBLE = 125
"""Exit status for trouble of our own, as docker and env have it."""

_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


class NotStarted(Unavailable):
    """The command could not be run; `status` is what a shell would return: 126 or 127."""

    def __init__(self, error: KernelError) -> None:
        """Take the kernel's answer apart."""
        missing = error.errno in {errno.ENOENT, errno.ENOTDIR}
        self.status = _NOT_FOUND if missing else _NOT_EXECUTABLE
        super().__init__(f"cannot run `{printable(error.asked)}`: {error.strerror}")


HOST = "host"


def exec_at(
    name: str,
    argv: "Sequence[str]",
    *,
    tell: "Callable[[str], None]",
    env: "dict[str, str] | None" = None,
) -> "NoReturn":
    """Become `argv` in a namespace of a name, or in `host`, if that is nobody's name.

    That is where netloom runs: for a plain user the outer namespace of the user's own labs, with
    the mounts in which names stand, so that those which are made there last.
    """
    if name != HOST or lexists(handle.path_of(name)):
        exec_in(name, argv, tell=tell, env=env)
    become(argv, env or {})


def exec_in(
    name: str,
    argv: "Sequence[str]",
    *,
    tell: "Callable[[str], None]",
    env: "dict[str, str] | None" = None,
) -> "NoReturn":
    """Become `argv` inside the namespace of a name, with `env` added to the environment.

    `tell` gets a line for each file that could not be laid over /etc, as `ip netns exec` prints it.

    Should: be the last thing that a process does.
    Mustn't: be called in a process that lives on: it has moved even if the command is not found.
    """
    with handle.open_name(name) as netns:
        _move(netns, name)
    for line in mounts.bind_etc(name):
        tell(line)
    become(argv, env or {})


def _move(netns: handle.Handle, name: str) -> None:
    try:
        syscalls.setns(netns.fd, syscalls.CLONE_NEWNET)
        mounts.own_mounts(name)
    except KernelError as error:
        reason = f"cannot enter namespace `{printable(name)}`: {error.strerror}"
        remedy = "run it as root" if error.errno == errno.EPERM else ""
        raise Unavailable(reason, remedy) from error


def become(argv: "Sequence[str]", env: "dict[str, str]") -> "NoReturn":
    """Replace this process by a command, looked for in PATH, with its environment and `env`.

    Should: hand on the environment as if Python had never been there: in the C locale it puts an
    LC_CTYPE into its own (PEP 538).
    Mustn't: return; it raises `NotStarted`.
    """
    if b"LC_CTYPE" not in procfs.initial_environment():
        os.environ.pop("LC_CTYPE", None)
    os.environ.update(env)
    try:
        syscalls.become(list(argv))
    except KernelError as error:
        raise NotStarted(error) from error
