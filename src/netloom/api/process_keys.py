"""What a command in a namespace takes besides its words: keywords of `subprocess.Popen`."""

from collections.abc import Collection, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypedDict

if TYPE_CHECKING:
    import os

Argv: TypeAlias = "Sequence[str | os.PathLike[str]]"
File: TypeAlias = "int | IO[Any] | None"


class ProcessKeys(TypedDict, total=False):
    """What `subprocess.Popen` takes besides, as far as it means the same inside."""

    stdin: File
    stdout: File
    stderr: File
    env: Mapping[str, str] | None
    cwd: "str | os.PathLike[str] | None"
    encoding: str | None
    errors: str | None
    bufsize: int
    pass_fds: Collection[int]
    start_new_session: bool
    umask: int
    user: str | int | None
    group: str | int | None
