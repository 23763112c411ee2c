"""TARGET: whatever has a network namespace on this machine, in one word.

    web            a name in /run/netns               host           where netloom runs
    shop/web       the same, of this lab              pid:1234       where a process lives
    docker:web     a container                        /path/to/ns    what is mounted there
    unit:sshd      a systemd unit

A bare integer is a name where there is one, else a process (as iproute2 does since 2026). With
`:IF` behind it, a word means an interface in there.

Docker is asked over its socket, a unit is found by the control groups of its processes; no program
of theirs is run.
"""

import os
import socket
from collections.abc import Callable
from typing import NamedTuple, Self

import msgspec

from netloom.errors import KernelError, Unavailable, quoted
from netloom.kernel.files import lexists
from netloom.kernel.process import process
from netloom.model.objects import HOST
from netloom.namespaces import handle
from netloom.namespaces.enter import enter
from netloom.namespaces.handle import Handle, NoSuchNetns
from netloom.namespaces.lab_here import lab_here

_DOCKER = "/var/run/docker.sock"
_PATIENCE = 10.0
_ANSWER_LIMIT = 1 << 24
_UNITS = (".service", ".scope", ".slice")
_ELSEWHERE = {
    "podman": "pid:$(podman inspect -f '{{.State.Pid}}' NAME)",
    "lxc": "pid:$(lxc-info -p -H -n NAME)",
}
"""What is known by a program alone, and how to ask it."""


class Target(NamedTuple):
    """An open namespace, and how people call it.

    `text` is the word that was said, `label` what an interface that leads there is named by, `ip`
    the beginning of a command that speaks of its inside.
    """

    text: str
    label: str
    ip: str
    netns: Handle

    def __enter__(self) -> Self:
        """Return the target itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the namespace."""
        self.netns.close()


def split(text: str) -> tuple[str, str]:
    """Return the target of `NS[:IF]`, and the interface, empty where none is said."""
    kind, colon, rest = text.partition(":")
    if colon and kind in _KINDS:
        name, _, link = rest.partition(":")
        return f"{kind}:{name}", link
    if text.startswith(("/", ".")):
        path, _, link = text.rpartition(":")
        return (path, link) if path and "/" not in link else (text, "")
    return kind, rest


def open_target(text: str) -> Target:
    """Open the namespace that a TARGET means; raises `Unavailable` with the reason."""
    kind, colon, rest = text.partition(":")
    if colon and kind in _KINDS:
        return _KINDS[kind](text, rest)
    if text == HOST:
        return Target(text, text, "ip", handle.open_self())
    if text.startswith(("/", ".")):
        label = text.rstrip("/").rpartition("/")[2]
        return Target(text, label, f"nsenter --net={quoted(text)} ip", handle.open_path(text))
    lab, slash, name = text.rpartition("/")
    if slash:
        return _of_lab(text, lab, name)
    if text.isascii() and text.isdigit() and not lexists(handle.path_of(text)):
        return _process(f"pid:{text}", text)
    return Target(text, text, f"ip -n {quoted(text)}", handle.open_name(text))


def _of_lab(text: str, lab: str, name: str) -> Target:
    netns = handle.open_name(name)
    try:
        found = enter(netns, lab_here)
    except KernelError as error:
        netns.close()
        raise Unavailable(f"cannot look into `{name}`: {error}", "run it as root") from error
    if found != lab:
        netns.close()
        whose = f"belongs to lab `{found}`" if found else "belongs to no lab"
        raise NoSuchNetns(text, f"no namespace `{text}`: `{name}` {whose}")
    return Target(text, name, f"ip -n {quoted(name)}", netns)


# ── processes ─────────────────────────────────────────────────────────────────────────────


def _process(text: str, rest: str) -> Target:
    if not (rest.isascii() and rest.isdigit()):
        raise Unavailable(f"`{rest}` is no number of a process", "pid:1234")
    return _at(int(rest), text, f"pid{int(rest)}")


def _at(pid: int, text: str, label: str) -> Target:
    return Target(text, label, f"nsenter --net=/proc/{pid}/ns/net ip", handle.open_pid(pid))


def _unit(text: str, rest: str) -> Target:
    unit = rest if rest.endswith(_UNITS) else f"{rest}.service"
    found = [
        seen
        for entry in os.listdir("/proc")
        if entry.isdecimal() and unit in _groups(entry) and (seen := process(entry))
    ]
    living = [seen for seen in found if not seen.dead]
    if not living:
        raise NoSuchNetns(text, f"no process of `{unit}` runs", f"systemctl start {unit}")
    eldest = min(living, key=lambda seen: (seen.start, seen.pid))
    return _at(eldest.pid, text, unit.rpartition(".")[0])


def _groups(pid: str) -> list[str]:
    """Return the names of the control groups that a process is in, in all hierarchies."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return [name for line in file for name in line.rstrip("\n").split("/")[1:]]
    except OSError:  # it has ended
        return []


# ── containers ────────────────────────────────────────────────────────────────────────────


class _State(msgspec.Struct, rename="pascal"):
    pid: int


class _Container(msgspec.Struct, rename="pascal"):
    state: _State


def _docker(text: str, rest: str) -> Target:
    """Ask Docker for a container's process (Docker Engine API, `GET /containers/NAME/json`)."""
    if not rest or not all(letter.isalnum() or letter in "_.-" for letter in rest):
        raise Unavailable(f"`{rest}` is no name of a container", "docker ps")
    place = os.environ.get("DOCKER_HOST", "")
    path = place.removeprefix("unix://") if place.startswith("unix://") else _DOCKER
    try:
        answer = _ask(path, f"/containers/{rest}/json")
    except OSError as error:
        reason = f"Docker does not answer at {path}: {error.strerror or error}"
        denied = isinstance(error, PermissionError)
        raise Unavailable(reason, "run it as root" if denied else "is dockerd running?") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status == [b"404"]:
        raise NoSuchNetns(text, f"Docker has no container `{rest}`", "docker ps -a")
    try:
        pid = msgspec.json.decode(body, type=_Container).state.pid
    except msgspec.MsgspecError as error:
        first = head.partition(b"\r\n")[0].decode(errors="replace")
        raise Unavailable(f"Docker gave no process for `{rest}`: {first}") from error
    if not pid:
        raise NoSuchNetns(text, f"container `{rest}` is not running", f"docker start {rest}")
    return _at(pid, text, rest)


def _ask(path: str, what: str) -> bytes:
    # HTTP/1.0: the answer comes in one piece, and ends where the connection does.
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_PATIENCE)
        sock.connect(path)
        sock.sendall(f"GET {what} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        parts: list[bytes] = []
        while sum(map(len, parts)) < _ANSWER_LIMIT and (part := sock.recv(1 << 16)):
            parts.append(part)
    return b"".join(parts)


def _unread(text: str, rest: str) -> Target:
    kind = text.partition(":")[0]
    remedy = _ELSEWHERE[kind].replace("NAME", rest or "NAME")
    raise Unavailable(f"`{text}`: netloom does not ask {kind} itself", remedy)


_KINDS: dict[str, Callable[[str, str], Target]] = {
    "pid": _process,
    "docker": _docker,
    "unit": _unit,
    "podman": _unread,
    "lxc": _unread,
}
