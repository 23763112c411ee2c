"""Settings of the host that several share: who holds them, and what was there before.

Two labs need forwarding on the uplink; whoever goes first must not take it from the other, and what
somebody else has come to rely on stays. So each such sysctl has a file of its own,
/run/netloom/claims/KEY: what was found, what was set, and the labs that hold it. The last holder
restores what was found, if the value is still ours and nobody else relies on it now.

The one switch for IPv6 (`conf.all.forwarding`) rewrites every interface's, so what stood there is
kept with it.

Rule 1: the file is written before the setting, and goes after it is restored.
Rule 2: all of it happens under one lock, the folder's; no lab waits long for another.
"""

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.errors import KernelError
from netloom.host import sysctl
from netloom.host.notes import decode, encode
from netloom.host.store.rundir import NO_NOTE, RUN_DIR, check_own
from netloom.host.store.rundir import remove as remove_any
from netloom.kernel import modes
from netloom.kernel.files import is_dir, read
from netloom.kernel.procfs import boot_id

CLAIMS_DIR = f"{RUN_DIR}/claims"
_FORWARD = "net.ipv4.ip_forward"
_ALL_IPV6 = "net.ipv6.conf.all.forwarding"
_UNFINISHED = ".new"


class Claim(Struct, frozen=True):
    """One shared setting: `found` before the first lab came, `value` since, `holders` the labs.

    `beside` are settings that hang together with it, as they were then.
    """

    key: str
    boot: str
    found: str
    value: str
    holders: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)

    def is_relied_on(self, ip_forward: str) -> bool:
        """Whether somebody switched forwarding on for the whole host after us (Docker does)."""
        before = self.beside.get(_FORWARD)
        return before is not None and before != "1" == ip_forward


def claims() -> dict[str, Claim]:
    """Return the settings that labs hold, by their keys."""
    found = {}
    for path in _files():
        if claim := _read(path):
            found[claim.key] = claim
    return found


def held_by(lab: str) -> dict[str, str]:
    """Return the settings that a lab holds, with the values that they have now."""
    keys = [claim.key for claim in claims().values() if lab in claim.holders]
    values = sysctl.read(keys)
    return {key: values.get(key, "") for key in keys}


def add(lab: str, key: str, value: str) -> None:
    """Hold a setting at a value; raises `KernelError` where the kernel refuses it."""
    with _locked():
        path = _path(key)
        now = sysctl.read((key,)).get(key, "")
        claim = _read(path)
        if claim is None:
            remove_any(path)
            claim = Claim(key, boot_id(), now, value, beside=_beside(key, now))
        holders = tuple(sorted({*claim.holders, lab}))
        _write(path, replace(claim, value=value, holders=holders))
        if now != value:
            sysctl.write(key, value)


def remove(lab: str, key: str) -> None:
    """Hold it no more; the last holder restores what was found, where that harms nobody."""
    with _locked():
        path = _path(key)
        claim = _read(path)
        if claim is None or lab not in claim.holders:
            return
        others = tuple(holder for holder in claim.holders if holder != lab)
        if others:
            _write(path, replace(claim, holders=others))
            return
        now = sysctl.read((key,)).get(key)
        whole = sysctl.read((_FORWARD,)).get(_FORWARD, "")
        if now == claim.value != claim.found and not claim.is_relied_on(whole):
            _restore(claim)
        os.unlink(path)


def lost() -> list[str]:
    """Return the settings whose files cannot be read: what was found is not known any more."""
    found = []
    for path in _files():
        try:
            _decoded(path)
        except FileNotFoundError:
            continue  # another lab let go of it
        except NO_NOTE:
            found.append(os.path.basename(path).replace("%", "/"))
    return sorted(found)


def tidy() -> None:
    """Remove what holds nothing: what somebody was killed over, what is lost, an earlier boot's.

    And the folder, where nothing is held.
    """
    if not is_dir(CLAIMS_DIR):
        return
    with _locked():
        held = {path for path in _files() if _read(path)}
        there = {f"{CLAIMS_DIR}/{name}" for name in os.listdir(CLAIMS_DIR)}
        for path in there - held:
            remove_any(path)
        if not held:
            os.rmdir(CLAIMS_DIR)


def _files() -> list[str]:
    """Return the paths of all claims; of what is half written nothing."""
    with suppress(FileNotFoundError):
        names = os.listdir(CLAIMS_DIR)
        return [f"{CLAIMS_DIR}/{name}" for name in names if not name.endswith(_UNFINISHED)]
    return []


def _beside(key: str, found: str) -> dict[str, str]:
    """Return the settings that tell later who relies on one, or that are rewritten with it."""
    if key.startswith("net.ipv4.conf.") and key.endswith(".forwarding"):
        return sysctl.read((_FORWARD,))
    if key != _ALL_IPV6:
        return {}
    links = (name.replace(".", "/") for name in os.listdir("/proc/sys/net/ipv6/conf"))
    each = sysctl.read(f"net.ipv6.conf.{name}.forwarding" for name in links if name != "all")
    return {other: value for other, value in each.items() if value != found}


def _restore(claim: Claim) -> None:
    rewritten = {key: old for key, old in claim.beside.items() if key != _FORWARD}
    kept = sysctl.read(rewritten)
    for key, value in {claim.key: claim.found, **{key: rewritten[key] for key in kept}}.items():
        try:
            sysctl.write(key, value)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise  # else the interface went meanwhile


@contextmanager
def _locked() -> Iterator[None]:
    while True:
        modes.make_dirs(RUN_DIR, modes.PUBLIC_DIR)
        modes.make_dirs(CLAIMS_DIR, modes.PRIVATE_DIR)
        check_own(RUN_DIR, CLAIMS_DIR)
        try:
            folder = os.open(CLAIMS_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # another lab has just tidied up
            continue
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if _is_still(folder):
                yield
                return
        finally:
            os.close(folder)


def _is_still(folder: int) -> bool:
    """Whether it is the folder that was opened which stands there."""
    try:
        return os.stat(CLAIMS_DIR).st_ino == os.fstat(folder).st_ino
    except FileNotFoundError:
        return False


def _path(key: str) -> str:
    return f"{CLAIMS_DIR}/{key.replace('/', '%')}"


def _read(path: str) -> Claim | None:
    """Return a claim, unless it is none of this boot."""
    try:
        claim = _decoded(path)
    except (FileNotFoundError, *NO_NOTE):
        return None
    return claim if claim.boot == boot_id() else None


def _decoded(path: str) -> Claim:
    return decode(read(path), Claim)


def _write(path: str, claim: Claim) -> None:
    modes.replace(path, encode(claim), modes.PRIVATE)
