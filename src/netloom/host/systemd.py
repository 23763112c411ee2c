"""Labs that start at boot: one template unit of systemd, and a link for each lab.

`netloom@.service` holds no lab: the instance is the path of the topology file, escaped as
`systemd-escape --path` does (systemd.unit(5)), and `%f` in the template is that path again. A lab
is enabled by a link in multi-user.target.wants, as `systemctl enable` makes it.

Rule 1: the template bears our mark in its first line; one that does not is somebody else's.
Rule 2: where systemd does not run (a container, a chroot, an image that is being built), the link
alone is the whole deed, as it is for systemctl(1) there.
"""

import errno
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from netloom.errors import Unavailable
from netloom.kernel import modes
from netloom.kernel.files import is_dir, is_link

UNITS = "/etc/systemd/system"
TEMPLATE = f"{UNITS}/netloom@.service"
WANTS = f"{UNITS}/multi-user.target.wants"

_BOOTED = "/run/systemd/system"  # sd_booted(3)
_MARK = "# Written by `netloom enable`, and removed by the last `netloom disable`.\n"
_PLAIN = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_.")
_UNSAFE = frozenset("\"'\\\x7f")
_LONGEST = 255  # UNIT_NAME_MAX - 1
_PATIENCE = 60
_TEXT = """\
[Unit]
Description=netloom lab %f
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target
# Whoever rewrites the firewall comes first: a lab adds its exceptions to what is there.
After=nftables.service netfilter-persistent.service ufw.service firewalld.service
After=docker.service libvirtd.service
RequiresMountsFor=%f

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=:{command} up %f
ExecStop=:{command} down %f
# A lab whose command was not ready in time stays up, as it does by hand, and the unit has failed.
# By default systemd would then end all processes that the lab started, and not call ExecStop=: half
# a lab. So netloom alone ends them; to start the unit again starts those that have ended.
KillMode=process

[Install]
WantedBy=multi-user.target
"""


class UnitChange(NamedTuple):
    """Whether something was changed, and in a sentence why systemctl had no part in it."""

    changed: bool
    note: str | None = None


# ── names ─────────────────────────────────────────────────────────────────────────────────


def escaped(path: str) -> str:
    """Return an absolute path as `systemd-escape --path` does."""
    raw = os.fsencode(path).strip(b"/")
    if not raw:
        return "-"
    words = (word for word in raw.split(b"/") if word not in {b"", b"."})
    plain = b"/".join(words)
    return "".join(_letter(byte, first=not at) for at, byte in enumerate(plain))


def _letter(byte: int, *, first: bool) -> str:
    if byte == ord("/"):
        return "-"
    if byte in _PLAIN and not (first and byte == ord(".")):
        return chr(byte)
    return f"\\x{byte:02x}"


def unescaped(text: str) -> str:
    """Return the absolute path that `escaped` had."""
    if text == "-":
        return "/"
    raw = bytearray(b"/")
    place = 0
    while place < len(text):
        if text.startswith("\\x", place):
            with suppress(ValueError):
                raw.append(int(text[place + 2 : place + 4], 16))
            place += 4
            continue
        raw += b"/" if text[place] == "-" else text[place].encode()
        place += 1
    return os.fsdecode(bytes(raw))


def unit_of(path: str) -> str:
    """Return the name of the unit that starts a file; raises `Unavailable` if it is too long."""
    unit = f"netloom@{escaped(path)}.service"
    if len(unit) > _LONGEST:
        reason = f"the unit of `{path}` would have a name of {len(unit)} bytes, and {_LONGEST} fit"
        raise Unavailable(reason, "put the file at a shorter path, or link it there")
    return unit


def enabled() -> list[str]:
    """Return the files that are started at boot."""
    try:
        entries = sorted(os.listdir(WANTS))
    except OSError:
        return []
    head, tail = "netloom@", ".service"
    found = [name for name in entries if name.startswith(head) and name.endswith(tail)]
    return [unescaped(name[len(head) : -len(tail)]) for name in found]


# ── the deed ──────────────────────────────────────────────────────────────────────────────


def template(argv: Sequence[str]) -> str:
    """Return the template unit for a netloom that is run by these words.

    Raises `Unavailable` where systemd would take no such program (string_is_safe).
    """
    if not _UNSAFE.isdisjoint(argv[0]):
        reason = f"systemd runs no program with a quote or a backslash in its path: `{argv[0]}`"
        raise Unavailable(reason, "install netloom elsewhere")
    return _MARK + _TEXT.format(command=" ".join(map(_quoted, argv)))


def _quoted(word: str) -> str:
    """Return a word as ExecStart= reads it (systemd.service(5), systemd.syntax(7))."""
    word = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"' if word.split() != [word] or '"' in word else word


def check_may_write() -> None:
    """Raise `Unavailable` where units are not the caller's to write."""
    folder = Path(UNITS)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        reason = f"cannot write `{UNITS}`: {os.strerror(errno.EACCES)}"
        raise Unavailable(reason, "run it as root")


def enable(path: str, argv: Sequence[str]) -> UnitChange:
    """Have a file started at boot, by a netloom that is run by `argv`; all of it or nothing.

    Raises `Unavailable` with the reason.
    """
    unit = unit_of(path)
    link = f"{WANTS}/{unit}"
    before = _template()
    text = template(argv)
    if before is not None and not before.startswith(_MARK):
        reason = f"`{TEMPLATE}` is not netloom's own"
        raise Unavailable(reason, "move it away; netloom writes one by this name")
    if before == text and is_link(link):
        return UnitChange(changed=False)
    try:
        _write(text)
        note = _linked(unit, link)
    except OSError as error:
        with suppress(OSError):
            if before is None:
                os.unlink(TEMPLATE)
            else:
                _write(before)
        where = error.filename or UNITS
        reason = f"cannot write `{where}`: {error.strerror}"
        raise Unavailable(reason, "run it as root" if _denied(error) else "") from error
    return UnitChange(changed=True, note=note)


def disable(path: str) -> UnitChange:
    """Have a file started no more; the template goes with the last one.

    Raises `Unavailable` with the reason.
    """
    unit = unit_of(path)
    link = f"{WANTS}/{unit}"
    if not is_link(link):
        return UnitChange(changed=False)
    note = _systemctl("disable", unit)
    try:
        with suppress(FileNotFoundError):
            os.unlink(link)
        own = (_template() or "").startswith(_MARK)
        if own and not enabled():
            os.unlink(TEMPLATE)
        with suppress(OSError):  # others' links are in it
            os.rmdir(WANTS)
    except OSError as error:
        reason = f"cannot remove `{error.filename}`: {error.strerror}"
        raise Unavailable(reason, "run it as root" if _denied(error) else "") from error
    return UnitChange(changed=True, note=note)


def _denied(error: OSError) -> bool:
    return isinstance(error, PermissionError)


def _template() -> str | None:
    try:
        with open(TEMPLATE, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(text: str) -> None:
    modes.make_dirs(UNITS, modes.PUBLIC_DIR)
    modes.replace(TEMPLATE, text.encode(errors="surrogateescape"), modes.PUBLIC)


def _linked(unit: str, link: str) -> str | None:
    """Make the link by systemctl, or else by hand; return why it was by hand, if it was."""
    note = _systemctl("enable", unit)
    if not is_link(link):
        modes.make_dirs(WANTS, modes.PUBLIC_DIR)
        os.symlink(TEMPLATE, link)
    return note


def _systemctl(verb: str, unit: str) -> str | None:
    """Run systemctl; return why it could not do it, None if it did."""
    if not is_dir(_BOOTED):
        return "systemd does not run here"
    program = shutil.which("systemctl")
    if program is None:
        return "there is no systemctl here"
    try:
        done = subprocess.run(
            [program, verb, unit],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"systemctl {verb} did not end in {_PATIENCE} s"
    said = done.stderr.strip().splitlines()
    return f"systemctl {verb}: {said[-1] if said else done.returncode}" if done.returncode else None
