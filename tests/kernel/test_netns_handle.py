"""Handles: open files that hold a namespace, or a refusal that says why not."""

import os
import threading
from pathlib import Path

import pytest

from netloom.errors import KernelError
from netloom.kernel import syscalls
from netloom.namespaces import registry
from netloom.namespaces.enter import cookie, cookie_here, enter, in_thread
from netloom.namespaces.handle import (
    Handle,
    NoSuchNetns,
    Stale,
    open_name,
    open_path,
    open_pid,
    open_self,
)
from tests.hosts.machine import on_a_machine
from tests.hosts.programs import in_own_root, plainly, ran, says


def made(name: str) -> str:
    """Make a namespace with our own means, and return its name."""
    registry.prepare()
    registry.create(name)
    return name


@on_a_machine
def test_a_handle_holds_its_namespace_when_the_name_is_gone() -> None:
    """As long as a handle is open, what it leads to lives."""
    with open_name(made("web")) as web:
        before = cookie(web)
        registry.remove("web")

        assert cookie(web) == before


@on_a_machine
def test_a_cookie_tells_namespaces_apart_where_inodes_do_not() -> None:
    """Inodes are reused at once; a cookie never is, so it is the identity."""
    found = []
    for _ in range(5):
        with open_name(made("web")) as web:
            found.append(cookie(web))
        registry.remove("web")

    assert len(set(found)) == 5


@on_a_machine
def test_name_path_process_and_thread_lead_to_the_same_namespace() -> None:
    """However it is named, it is one namespace."""
    made("web")

    def seen() -> list[int]:
        handles = (open_path("/run/netns/web"), open_self(), open_pid(threading.get_native_id()))
        return [cookie(handle) for handle in handles]

    with open_name("web") as web:
        assert enter(web, seen) == [cookie(web)] * 3


@on_a_machine
def test_inside_is_where_the_interfaces_are() -> None:
    """`ip` agrees with what a call on a thread inside sees."""
    says("ip", "netns", "add", "web")
    says("ip", "-n", "web", "link", "add", "v0", "type", "veth", "peer", "name", "v1")

    with open_name("web") as web:
        links = enter(web, lambda: Path("/proc/thread-self/net/dev").read_text())

    assert "v0" in links
    assert "v0" not in Path("/proc/thread-self/net/dev").read_text()


@on_a_machine
def test_what_is_raised_inside_is_raised_outside() -> None:
    """The thread is thrown away, its exception is not."""
    with open_name(made("web")) as web, pytest.raises(ZeroDivisionError):
        enter(web, lambda: 1 // 0)


@on_a_machine
def test_each_entry_is_a_thread_of_its_own() -> None:
    """A thread that moved is never used again: three entries leave this thread where it was."""
    here = cookie_here()
    with open_name(made("web")) as web:
        threads = {enter(web, threading.get_ident): None for _ in range(3)}
        assert threading.get_ident() not in threads

    assert cookie_here() == here
    assert in_thread(cookie_here) == here


@on_a_machine
def test_a_name_that_is_not_there_is_told() -> None:
    """The refusal keeps the name, for a face that knows what was meant."""
    with pytest.raises(NoSuchNetns) as refusal:
        open_name("wbe")

    assert refusal.value.name == "wbe"
    assert str(refusal.value) == "no namespace `wbe`"


@on_a_machine
def test_a_stale_name_is_told_from_a_namespace() -> None:
    """A file without a mount is what a killed `add` leaves; `ip` says `Invalid argument` there."""
    registry.prepare()
    Path("/run/netns/old").touch(mode=0)

    with pytest.raises(Stale, match="no namespace is mounted on it"):
        open_name("old")
    assert not registry.is_netns("/run/netns/old")


@on_a_machine
def test_a_namespace_of_another_kind_is_none() -> None:
    """A mount or UTS namespace comes from the same file system, and is refused all the same."""
    with pytest.raises(NoSuchNetns, match="leads to no network namespace"):
        open_path("/proc/thread-self/ns/uts")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../run", "x" * 256, "é" * 128, "a\0b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    """The rule is `ip netns`'s: one path component of at most 255 bytes."""
    with pytest.raises(NoSuchNetns, match="is no name of a namespace"):
        open_name(name)


def test_a_process_that_is_gone_is_told() -> None:
    """Processes vanish while they are looked at; that is an answer, not a crash."""
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)

    with pytest.raises(NoSuchNetns, match=f"no process {gone}"):
        open_pid(gone)


def test_closing_twice_closes_nothing_else() -> None:
    """A descriptor that is free may be somebody else's by then."""
    handle = open_self()
    fd = handle.fileno()
    handle.close()
    other = os.open(os.devnull, os.O_RDONLY)
    handle.close()

    assert other == fd
    os.close(other)


def test_entering_leaves_no_descriptor_open() -> None:
    """A thousand entries would otherwise end at the limit of open files."""
    with open_self() as here:
        before = len(list(Path("/proc/self/fd").iterdir()))
        cookies = {cookie(here) for _ in range(20)}
        after = len(list(Path("/proc/self/fd").iterdir()))

    assert (len(cookies), after) == (1, before)


def test_a_refusal_names_the_command_that_it_equals() -> None:
    """Not an errno alone: what was asked, as somebody would have typed it."""
    with Path("/dev/null").open("rb") as nothing, pytest.raises(KernelError) as refusal:
        in_thread(syscalls.setns, nothing.fileno())

    assert str(refusal.value) == "nsenter --net: Invalid argument"


@pytest.mark.needs("userns")
def test_a_plain_user_tells_a_stale_name_too() -> None:
    """The file has mode 0, so it cannot even be opened; a look at it is enough."""
    code = """
import os, pathlib
from netloom.namespaces import handle
from netloom.namespaces import registry
registry.prepare()
pathlib.Path('/run/netns/old').touch(mode=0)
try:
    handle.open_name('old')
except handle.Stale:
    print('stale')
"""
    assert ran(*in_own_root(plainly(code))).stdout == "stale\n"


def test_a_handle_is_a_small_thing() -> None:
    """Thousands of them are held at once."""
    with open_self() as here:
        assert isinstance(here, Handle)
        assert not hasattr(here, "__dict__")
