"""What netloom reads for a user: files up to a size that is told, and pipes handed over."""

import os
import shlex
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.programs import ran

LAB = "name: x\nlinks:\n  - [red, blue]\n"
LARGE = 17 << 20
TOO_LARGE = "more than 16 MiB are not read"
MEMORY = 400_000
"""KiB of memory that netloom may have, in which all that is allowed fits."""


def a_fifo() -> tuple[str, str]:
    """Have a FIFO, of which nobody reads or writes the other end."""
    os.mkfifo("fifo")
    return "fifo", "it is a FIFO, and no file"


def a_device() -> tuple[str, str]:
    """Have a file that has no end."""
    return "/dev/zero", "it is a device, and no file"


def a_socket() -> tuple[str, str]:
    """Have what a server left behind."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    return "socket", "it is a socket, and no file"


def a_large_file() -> tuple[str, str]:
    """Have a file with a hole, which takes no room until it is read."""
    with Path("large").open("wb") as file:
        file.truncate(LARGE)
    return "large", TOO_LARGE


def no_text() -> tuple[str, str]:
    """Have a file that is no text."""
    Path("bytes").write_bytes(b"\xff\xfe\0")
    return "bytes", "it is no text"


STRANGE = pytest.mark.parametrize("make", [a_fifo, a_device, a_socket, a_large_file])


def briefly(*words: str) -> subprocess.CompletedProcess[str]:
    """Return how netloom ended, with little memory and time."""
    limited = f"ulimit -v {MEMORY}; exec {shlex.join(command(*words))}"
    done = subprocess.run(
        ["timeout", "20", "sh", "-c", limited],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "bug" not in done.stderr
    return done


@STRANGE
@pytest.mark.parametrize("verb", ["plan", "up", "enable"])
@on_a_host
def test_a_topology_is_a_file(verb: str, make: Callable[[], tuple[str, str]]) -> None:
    """A FIFO, a device, a socket, one without end: told at once, and nothing was touched."""
    path, why = make()

    done = briefly(verb, path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cannot read `{path}`: {why}\nnothing was touched\n"


@pytest.mark.parametrize("key", ["etc: {motd: WHAT}", "firewall: WHAT"])
@pytest.mark.parametrize("make", [a_fifo, a_device, a_socket, a_large_file, no_text])
@on_a_host
def test_what_a_topology_names_is_a_file(key: str, make: Callable[[], tuple[str, str]]) -> None:
    """In whatever key it is named: told in its line."""
    path, why = make()
    write("x.yaml", f"namespaces: {{a: {{{key.replace('WHAT', f'{{file: {path}}}')}}}}}\n")

    done = briefly("plan", "x.yaml")

    assert done.returncode == 2
    assert done.stderr.startswith("x.yaml:1:")
    assert f"`: {why}" in done.stderr


@on_a_host
def test_all_files_of_a_topology_have_a_size_together() -> None:
    """Two of 9 MiB are too many, and so is a folder of them, or a tree of names without end."""
    Path("conf").mkdir()
    for name in ("conf/one", "conf/two"):
        with Path(name).open("wb") as file:
            file.truncate(9 << 20)
    write("a.yaml", "namespaces: {a: {etc: {x: {file: conf/one}, y: {file: conf/two}}}}\n")
    write("b.yaml", "namespaces: {a: {etc: {x: {file: conf}}}}\n")
    write("c.yaml", "namespaces: {a: {etc: {x: {file: conf/one}}}}\n")

    for name, which in (("a.yaml", "conf/two"), ("b.yaml", "conf/")):
        done = briefly("plan", name)
        assert done.returncode == 2
        assert f"cannot read `{which}" in done.stderr
        assert f"{TOO_LARGE}, all files of a topology together" in done.stderr
    assert briefly("plan", "c.yaml").returncode == 0


@on_a_host
def test_a_pipe_is_read_to_its_end() -> None:
    """As `-`, as /dev/stdin, and as `<(…)` of a shell: whoever handed it over writes into it."""
    program = shlex.join(command())
    write("x.yaml", LAB)
    expected = ended("plan", "x.yaml").stdout
    assert expected.count("+ netns") == 2

    for text in (
        f"(sleep 0.1; cat x.yaml) | {program} plan -",
        f"(sleep 0.1; cat x.yaml) | {program} plan /dev/stdin",
        f"{program} plan <(sleep 0.1; cat x.yaml)",
        f"{program} plan - <x.yaml",
        f"{program} plan /dev/stdin <x.yaml",
    ):
        assert ran("bash", "-c", text).stdout == expected, text


@on_a_host
def test_a_pipe_without_end_is_not_read_without_end() -> None:
    """After 16 MiB it is told; so is a device on standard input."""
    program = shlex.join(command())
    for text, name in (
        (f"yes | {program} plan -", "standard input"),
        (f"{program} plan - </dev/zero", "standard input"),
        (f"yes | {program} plan /dev/stdin", "`/dev/stdin`"),
    ):
        done = ran("bash", "-c", f"ulimit -v {MEMORY}; {text}", check=False)
        assert done.returncode == 2, text
        assert done.stderr.startswith(f"cannot read {name}: {TOO_LARGE}\n"), text


@STRANGE
@on_a_host
def test_the_file_of_a_tunnel_is_a_file(make: Callable[[], tuple[str, str]]) -> None:
    """`run --vpn` reads as carefully."""
    path, why = make()

    done = briefly("run", "--vpn", path, "true")

    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(f"cannot read `{path}`: {why}")


@on_a_host
def test_what_waits_for_the_kernel_is_not_waited_for() -> None:
    """A file of /proc may give nothing yet; a program of the kernel's own, of no size, is read."""
    write("x.yaml", "namespaces: {a: {etc: {motd: {file: /proc/version}}}}\n")

    assert netloom("plan", "x.yaml").ended.returncode == 0
    write("x.yaml", "namespaces: {a: {etc: {motd: {file: /proc/kmsg}}}}\n")
    assert briefly("plan", "x.yaml").returncode in {0, 2}
