"""A kernel without bridges, or without veth, is found out before anything is touched.

A shim before libc's `send` misspells the kind in the messages that make links, so that the real
kernel answers as one that has no such kind.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import Ended, Netloom, command, write
from tests.hosts.witness import no_trace

pytestmark = pytest.mark.needs("cc")

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void misspell(char *message, size_t length, const char *kind)
{
    struct nlmsghdr *header = (struct nlmsghdr *)message;
    size_t size = strlen(kind) + 1;
    struct rtattr attribute = {RTA_LENGTH(size), IFLA_INFO_KIND};
    char *at, wanted[RTA_LENGTH(size)];

    if (header->nlmsg_type != RTM_NEWLINK)
        return;
    memcpy(wanted, &attribute, sizeof attribute);
    memcpy(wanted + RTA_LENGTH(0), kind, size);
    at = memmem(message, length, wanted, sizeof wanted);
    if (at)
        at[sizeof wanted - 2] = 'X';
}

ssize_t send(int socket, const void *bytes, size_t length, int flags)
{
    ssize_t (*libc)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    const char *kind = getenv("LACKING");
    char *copy = memcpy(malloc(length), bytes, length);
    ssize_t sent;

    for (size_t at = 0; kind && at + sizeof(struct nlmsghdr) <= length;) {
        size_t size = ((struct nlmsghdr *)(copy + at))->nlmsg_len;
        if (size < sizeof(struct nlmsghdr) || at + size > length)
            break;
        misspell(copy + at, size, kind);
        at += NLMSG_ALIGN(size);
    }
    sent = libc(socket, copy, length, flags);
    free(copy);
    return sent;
}
"""

LABS = {
    "bridge": "name: loom\nnetworks: {lan: 10.7.0.0/24}\nnamespaces: {a: {networks: lan}}\n",
    "veth": "name: loom\nnamespaces: [a, b]\nlinks: [[a:w 10.7.0.1/24, b:w 10.7.0.2/24]]\n",
}


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shim, compiled."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    argv = ("gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl")
    made = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder / "shim.so"


def lacking(kind: str, shim: Path, *words: str) -> Netloom:
    """Run netloom on a kernel without a kind of links."""
    run = subprocess.run(
        command(*words),
        env={**os.environ, "LD_PRELOAD": str(shim), "LACKING": kind},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Netloom(Ended(run.returncode, run.stdout, run.stderr))


@pytest.mark.parametrize("verb", ["up", "plan"])
@pytest.mark.parametrize("kind", LABS)
@on_a_host
def test_a_kernel_without_a_kind_of_links_is_told_before_anything_is_touched(
    kind: str, verb: str, shim: Path
) -> None:
    """The kernel's word, and which module or option has the kind."""
    file = str(write("loom.yaml", LABS[kind]))

    with no_trace():
        lacking(kind, shim, verb, file).stderr(
            f"this kernel makes no links of the kind `{kind}`: Operation not supported\n"
            f"hint: modprobe {kind}, or CONFIG_{kind.upper()}\n"
            "nothing was touched\n"
        ).status(2)


@on_a_host
def test_a_kernel_without_bridges_makes_wires(shim: Path) -> None:
    """What a lab has no need of it does not ask for."""
    file = str(write("loom.yaml", LABS["veth"]))

    with no_trace():
        lacking("bridge", shim, "up", "-q", file).status(0)
        lacking("bridge", shim, "verify", "loom").stdout("loom  is as it was applied\n").status(0)
        lacking("bridge", shim, "down", "-q", "loom").status(0)
