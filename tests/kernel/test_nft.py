"""nftables: what the library does, what it refuses and where, and whom it may end."""

import errno
import json
import os
import select
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.errors import KernelError
from netloom.kernel import nft, syscalls
from netloom.kernel.nft import Nft, NftBroke, NftError, Wrong, delete, tables
from netloom.wire.nfnetlink import Table
from tests.hosts.machine import on_a_machine
from tests.hosts.programs import in_own_root, plainly, python, ran, says

pytestmark = pytest.mark.needs("nft")

FILTER = """
table inet red {
  chain input { type filter hook input priority 0; policy accept; tcp dport 22 drop
  }
}
"""

BREAKING = """
table inet x {
  map m { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 1.1.1.1-1.1.1.9 }
  }
  map m { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/8 : drop }
  }
  set i { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 1-5 }
  }
}
"""
"""A map without values that stands there twice: libnftables 1.0.6 dies."""


def ruleset() -> list[dict[str, Any]]:
    """Return what `nft -j` lists, without what it says of itself."""
    things: list[dict[str, Any]] = json.loads(says("nft", "-j", "list", "ruleset"))["nftables"]
    return [each for each in things if "metainfo" not in each]


def refused(text: str) -> tuple[Wrong, ...]:
    """Return the mistakes of a text."""
    with Nft() as context, pytest.raises(NftError) as refusal:
        context.run(text)
    return refusal.value.wrong


@on_a_machine
def test_a_text_is_carried_out_in_the_namespace_of_the_thread() -> None:
    """`nft -j` sees the table and its chain, hook and rule."""
    with Nft() as context:
        context.run(FILTER)

    kinds = [next(iter(each)) for each in ruleset()]
    assert kinds == ["table", "chain", "rule"]
    assert ruleset()[1]["chain"]["hook"] == "input"


@on_a_machine
def test_a_table_is_listed_as_nft_lists_it() -> None:
    """The listing is that of `nft -s list table`; a table that is not there is none."""
    with Nft() as context:
        context.run(FILTER)
        listing = context.list_table(Table("inet", "red"))
        missing = context.list_table(Table("ip", "red"))
        there = tables()

    assert listing is not None
    assert listing.strip() == says("nft", "-s", "list", "table", "inet", "red").strip()
    assert missing is None
    assert there == {Table("inet", "red"): ""}


@on_a_machine
def test_looking_changes_nothing() -> None:
    """An empty namespace is as empty as before, and has seen no transaction."""
    with Nft() as context:
        assert tables() == {}
        assert context.list_table(Table("inet", "red")) is None

    assert ruleset() == []


@on_a_machine
def test_a_table_has_its_comment_and_goes_with_all_that_is_in_it() -> None:
    """Without the library; one that is not there, or has gone, is refused as the kernel has it."""
    for family in ("ip", "ip6", "inet", "arp", "bridge", "netdev"):
        says("nft", "add", "table", family, "red", '{ comment "of red, blå" ; }')
    says("nft", "add", "chain", "inet", "red", "c", "{ type filter hook input priority 0; }")
    says("nft", "add", "rule", "inet", "red", "c", "tcp", "dport", "22", "drop")
    there = tables()

    assert {table.family for table in there} == {"ip", "ip6", "inet", "arp", "bridge", "netdev"}
    assert set(there.values()) == {"of red, blå"}
    for table in there:
        delete(table)
    assert (tables(), ruleset()) == ({}, [])
    with pytest.raises(KernelError) as refusal:
        delete(Table("inet", "red"))
    assert refusal.value.errno == errno.ENOENT


@on_a_machine
def test_a_refused_text_changes_nothing() -> None:
    """What stands in front of the mistake is not done either."""
    wrong = refused("add table inet one\nadd chain inet two c\n")

    assert [each.line for each in wrong] == [2]
    assert ruleset() == []


@on_a_machine
def test_a_checked_text_changes_nothing() -> None:
    """The kernel looks at it, and forgets it."""
    with Nft() as context:
        context.check(FILTER)
        with pytest.raises(NftError):
            context.check("add chain inet none c\n")
        assert tables() == {}


@on_a_machine
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("\nfoo;", Wrong(2, 4, 1, "syntax error, unexpected semicolon")),
        ("table ip a {\n chain é", Wrong(2, 8, 1, "syntax error, unexpected junk")),
        (
            'table ip a {\n chain c { comment "é\té"; iif\tnone9 accept\n}\n}',
            Wrong(2, 31, 5, "Interface does not exist"),
        ),
        (
            'table ip a {\n chain c { comment "a\nb"; jump no\n}\n}',
            Wrong(3, 10, 2, "Could not process rule: No such file or directory"),
        ),
    ],
)
def test_a_mistake_has_its_place_in_characters(text: str, wrong: Wrong) -> None:
    """Bytes, tabs and ends of lines within quotes do not move it."""
    places = [each[:3] for each in refused(text)]
    messages = [each.message.partition(",")[0] for each in refused(text)]

    assert wrong[:3] in places
    assert wrong.message.partition(",")[0] in messages


@on_a_machine
def test_a_refusal_has_the_errno_of_the_kernel() -> None:
    """It is a `KernelError`: what was not there is ENOENT."""
    with Nft() as context, pytest.raises(KernelError) as refusal:
        context.run("delete table inet none")

    assert refusal.value.errno == errno.ENOENT
    assert "delete" not in str(refusal.value)


@on_a_machine
def test_a_mistake_that_breaks_the_library_breaks_no_process_of_ours() -> None:
    """It is told; later libraries than 1.0.6 may refuse it as they should."""
    with Nft() as context, pytest.raises(NftError) as refusal:
        context.run(BREAKING)

    if isinstance(refusal.value, NftBroke):
        assert "breaks down" in refusal.value.wrong[0].message
        assert context.is_over
    assert ruleset() == []


ASKS = """
from netloom.errors import KernelError
from netloom.kernel.nft import Nft
for _ in range(2):
    try:
        with Nft() as nft:
            print(nft.run("add table inet red\\nlist tables"), end="")
    except KernelError as error:
        print(error.strerror)
"""


@on_a_machine
@pytest.mark.needs("strace")
def test_a_library_that_gets_no_socket_ends_no_program() -> None:
    """It calls exit(3) then; what it was asked is refused, and the program goes on."""
    inject = "inject=socket:error=EMFILE:when=1"  # the first of each process
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=socket", "-e", inject)
    said = ran(*strace, *python(ASKS), check=False)

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "Too many open files\n" * 2


@on_a_machine
@pytest.mark.needs("strace")
def test_a_library_that_ends_netloom_itself_is_told() -> None:
    """Its own words, what that means, what to do; and a status that is not that of a `no`."""
    code = """
from netloom import kernel
from netloom.kernel import nft
kernel.in_program = False
nft.Nft(nft.begin())
"""
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=socket:error=EMFILE:when=1")

    said = ran(*strace, *python(code), check=False)

    assert said.returncode == 1
    assert "Unable to initialize Netlink socket: Too many open files\n" in said.stderr
    assert "netloom was ended by libnftables" in said.stderr
    assert "hint: netloom labs" in said.stderr


@on_a_machine
def test_the_process_of_the_library_ends_with_its_program() -> None:
    """Killed or not: nobody is left who could change a ruleset."""
    code = """
import os
from netloom.kernel.nft import Nft
nft = Nft()
print(nft._library._pid, flush=True)
os.read(0, 1)
"""
    pipe = subprocess.PIPE
    with subprocess.Popen(python(code), stdin=pipe, stdout=pipe) as program:
        assert program.stdout is not None
        child = os.pidfd_open(int(program.stdout.readline()))
        program.kill()

    assert select.select([child], [], [], 10)[0] == [child]
    os.close(child)


@on_a_machine
def test_contexts_leave_no_file_and_no_memory_behind() -> None:
    """A hundred contexts, each of which has listed something."""

    def look() -> tuple[int, int]:
        for _ in range(50):
            with Nft() as context:
                context.list_table(Table("inet", "red"))
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return len(os.listdir("/proc/self/fd")), pages

    with Nft() as context:
        context.run(FILTER)
    (files, pages), (files_after, pages_after) = look(), look()

    assert files_after <= files
    assert pages_after - pages < 100  # of 4 KiB: two for each


@on_a_machine
@pytest.mark.needs("bridge")
def test_threads_in_different_namespaces_see_their_own_interfaces() -> None:
    """All contexts keep names of interfaces together; each call has its own all the same."""
    failures: list[str] = []

    def inside(name: str) -> None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        says("ip", "link", "add", name, "type", "bridge")
        table = Table("inet", "t")
        for _ in range(30):
            with Nft() as context:
                context.run(f"table {table} {{\n chain c {{ iif {name} accept\n}}\n}}\n")
                listing = context.list_table(table) or ""
            if listing.count("iif") != listing.count(f'iif "{name}"'):
                failures.append(listing)

    threads = [threading.Thread(target=inside, args=(f"link{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


@on_a_machine
def test_no_descriptor_left_is_an_answer() -> None:
    """Not even a process for the library can be begun."""
    code = """
import os, resource
from netloom.kernel.nft import Nft
Nft().close()
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1,) * 2)
try:
    Nft()
except OSError as error:
    print(error.strerror)
"""
    assert says(*python(code)) == "Too many open files\n"


@on_a_machine
def test_a_machine_without_the_library_is_told_what_to_install() -> None:
    """The reason, and the package."""
    found = says("ldconfig", "-p").splitlines()
    path = next(line.split()[-1] for line in found if "libnftables.so.1" in line)
    syscalls.bind("/dev/null", path)
    code = """
from netloom.errors import Unavailable
from netloom.kernel.nft import Nft
try:
    Nft()
except Unavailable as error:
    print(error)
"""
    assert says(*python(code)).startswith("no nft library\nhint: apt-get install libnftables1")


@pytest.mark.needs("userns")
def test_a_plain_user_is_root_of_his_own_namespace() -> None:
    """In a user namespace all of it works."""
    code = f"""
from netloom.kernel.nft import Nft, tables
with Nft() as context:
    context.run({FILTER!r})
    print(*tables())
"""
    said = ran(*in_own_root(plainly(code))).stdout

    assert said == "inet red\n"


@given(st.binary(max_size=300))
def test_whatever_the_library_says_can_be_read(said: bytes) -> None:
    """A message is parsed, or none of it."""
    path = b"/proc/self/fd/4"
    text = b"a\nb\xff\n"
    told = nft._mistakes(path + b":" + said + b"\nError: x\n" + said, path, text)

    assert Wrong(0, 0, 0, "x") in told
    assert all(0 <= each.line <= 3 and each.column >= 0 for each in told)
