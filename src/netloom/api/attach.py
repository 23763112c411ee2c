"""What a Python program finds on the machine: `netloom.observe()` and `netloom.netns(TARGET)`.

Nothing is made and nothing marked. The names of a plain user are in namespaces of their own
(`host/rootless/entry.py`), so that is where these look.
"""

import os
from collections.abc import Callable, Mapping
from subprocess import Popen
from typing import Any, ParamSpec, TypeVar

from netloom.api.namespace import Netns
from netloom.engine.until_ready import TIMEOUT
from netloom.errors import KernelError, Unavailable
from netloom.host.observe.survey import observe_here, observe_host
from netloom.host.rootless.entry import Session
from netloom.kernel import syscalls
from netloom.model.lab_state import LabState
from netloom.model.objects import HOST, Link
from netloom.namespaces import mounts
from netloom.namespaces.context import NetnsContext, own_context, process_context
from netloom.namespaces.enter import in_thread
from netloom.namespaces.handle import NoSuchNetns
from netloom.namespaces.targets import open_target, split
from netloom.namespaces.userns_session import is_needed

_P = ParamSpec("_P")
_T = TypeVar("_T")


def observe() -> LabState:
    """Return what there is now in the namespace `host` and in every one with a name in /run/netns.

    `host` is the one that the program is in; for a plain user with labs, the one around these.
    Links are told with all kinds, addresses and routes whoever has set them; both ends of a wire
    name each other. What may not be entered is named in `foreign.names`.
    """
    return _inside(observe_host)


def netns(target: str) -> Netns:
    """Return a namespace of the machine that is there already, to run, call and listen in.

    `target` is a name in /run/netns, `LAB/NAME`, `host`, `docker:web`, `pid:1234`, `unit:sshd` or a
    path. It is held open as long as the `Netns` is, and nothing is ended with it. Raises
    `Unavailable` where there is none, or it may not be entered.
    """
    if target == HOST:
        return Netns(MachineOwner(NetnsContext(-1, -1) if is_needed() else own_context()), target)
    return Netns(MachineOwner(_inside(_opened, target)), target)


def _inside(call: Callable[..., _T], *args: str) -> _T:
    """Make a call where the names are: a plain user's are in the holder's namespaces."""
    holder = Session() if is_needed() else None
    pid = holder.find(start=False) if holder else 0
    if not holder or not pid:
        return in_thread(call, *args)
    try:
        with process_context(pid) as home:
            found = home.call(call, *args)
            if isinstance(found, NetnsContext):
                found.user = os.dup(home.user)
            return found
    finally:
        holder.tidy(used=True)


def _opened(target: str) -> NetnsContext:
    """Enter a namespace with what is seen in it, on a thread that is thrown away; return that."""
    with open_target(target) as found:
        try:
            syscalls.setns(found.netns.fd, syscalls.CLONE_NEWNET)
            mounts.own_mounts(found.label)
        except KernelError as error:
            raise Unavailable(
                f"cannot enter `{target}`: {error.strerror}", "run it as root"
            ) from error
        if found.ip.startswith("ip -n"):  # it has a name, and with it perhaps files for /etc
            mounts.bind_etc(found.label)
    return own_context()


class MachineOwner:
    """The home of a `Netns` that is no lab's: the machine, with this one open in it.

    Should: look anew whenever it is asked for links; they are not ours.
    Mustn't: end what is started there: it is the program's, as with `subprocess`.
    """

    def __init__(self, context: NetnsContext) -> None:
        """Own the context."""
        self.timeout = TIMEOUT
        self._context = context

    def __del__(self) -> None:
        """Let go of the context with the last that knows it."""
        self._context.close()

    def __getitem__(self, name: str) -> Netns:
        """Return another namespace of the machine."""
        return netns(name)

    def links_of(self, name: str) -> Mapping[str, Link]:  # noqa: ARG002 - there is one
        """Return the links that there are now."""
        return self._context.call(observe_here).links

    def address_of(self, target: str, viewer: Netns) -> str:
        """Return the address of a namespace of the machine that a viewer reaches, or of its `IF`.

        What is none is returned as it is; raises `KeyError` for an interface without addresses.
        """
        name, link = split(target)
        try:
            found = netns(name)
        except NoSuchNetns:
            return target
        if not link:
            return found.ip_for(viewer)
        seen = found.lab.links_of(name).get(link)
        if not seen or not seen.addrs:
            msg = f"no interface `{link}` with an address in `{name}`"
            raise KeyError(msg)
        return seen.addrs[0].ip

    def context_of(self, name: str) -> NetnsContext:  # noqa: ARG002
        """Return the context."""
        return self._context

    def probed(
        self,
        name: str,  # noqa: ARG002
        call: Callable[_P, _T],
        *args: _P.args,
        **keys: _P.kwargs,
    ) -> _T:
        """Return what a call there returns."""
        return self._context.call(call, *args, **keys)

    def spawns(self) -> None:
        """Note nothing: who starts a process ends it."""

    def start(self, name: str, argv: list[str], **keys: Any) -> "Popen[Any]":  # noqa: ARG002
        """Start a process there."""
        process: Popen[Any] = self._context.spawn(Popen, argv, **keys)
        return process
