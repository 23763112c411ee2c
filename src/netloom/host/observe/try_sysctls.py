"""Which settings a namespace takes here: they are written in one without a name.

Whether there is such a setting, whether a namespace has one of its own, and what values it takes
only this kernel knows, with the modules that it has loaded.
"""

from collections.abc import Iterable, Mapping
from errno import EINVAL, ENOENT, EROFS

from netloom.errors import FAILURES, KernelError
from netloom.host import sysctl
from netloom.host.observe.cannot_look import cannot_look
from netloom.kernel import syscalls
from netloom.kernel.files import exists
from netloom.namespaces.enter import in_thread
from netloom.namespaces.rights import read_only_sysctls
from netloom.plan.sysctls import default_of, link_of, to_set

Settings = frozenset[tuple[str, str]]

_TAKEN: set[Settings] = set()
"""What was taken once: that does not change while a program runs."""


def refused_sysctls(asked: Iterable[Settings]) -> Mapping[Settings, Mapping[str, KernelError]]:
    """Return what of each of some sets of settings is refused; raises `Unavailable`.

    Those of an interface are tried where new ones get theirs from.
    """
    wanted = [each for each in asked if each not in _TAKEN]
    try:
        found = in_thread(lambda: {each: _refused(each) for each in wanted}) if wanted else {}
    except FAILURES as error:
        raise cannot_look(error) from error
    _TAKEN.update(each for each, errors in found.items() if not errors)
    return found


def _refused(asked: Settings) -> dict[str, KernelError]:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    found: dict[str, KernelError] = {}
    for key, value in to_set(dict(asked), {}):
        tried = _tried(key)
        try:
            sysctl.write(tried, value)
        except KernelError as error:
            if error.errno == EROFS and (nothing := read_only_sysctls(key)):
                raise nothing from error
            of_value = error.errno == ENOENT and exists(sysctl.path_of(tried))
            found[key] = KernelError(EINVAL, error.asked) if of_value else error
    return found


def _tried(key: str) -> str:
    """Return the setting to try for one of an interface: that of `default`, or else `lo` has it.

    Of neighbours only the initial namespace has a `default` (neigh_sysctl_register), of MPLS none.
    """
    usual, link = default_of(key), link_of(key)
    if not link or exists(sysctl.path_of(usual)):
        return usual
    return usual.replace(".default.", ".lo.", 1)
