"""`exec shell run ls add del`, as they are typed."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from netloom.namespaces import registry
from netloom.namespaces.enter import cookie
from netloom.namespaces.handle import open_name
from tests.hosts.machine import etc_file, mount_points, on_a_machine
from tests.hosts.programs import in_own_root, plainly, python, ran, says

MAIN = "from netloom.__main__ import main; main()"


def netloom(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    """Return how netloom ended, and what it printed."""
    return ran(*python(MAIN, *words), check=check)


def ended(*words: str) -> tuple[int, str]:
    """Return the status of netloom and what it said on standard error."""
    done = netloom(*words)
    return done.returncode, done.stderr


@on_a_machine
def test_add_makes_namespaces_that_ip_knows() -> None:
    """As `ip netns add`, but several at once and with `lo` up."""
    netloom("add", "red", "blue", check=True)

    assert set(says("ip", "netns", "list").splitlines()) == {"blue", "red"}
    assert "LOOPBACK,UP" in says("ip", "-n", "red", "link", "show", "lo")


@on_a_machine
def test_a_folder_in_the_place_of_a_name_is_told_with_what_removes_it() -> None:
    """It is nobody's name, and no other user could unlink it."""
    Path("/run/netns/web").mkdir(parents=True)

    assert ended("del", "web") == (
        1,
        "cannot change /run/netns/web: Is a directory\nhint: rmdir /run/netns/web\n",
    )


@on_a_machine
def test_add_touches_nothing_when_a_name_is_taken() -> None:
    """All names are looked at before the first is made; there is a way out in the hint."""
    says("ip", "netns", "add", "blue")
    with open_name("blue") as blue:
        before = cookie(blue)

    assert ended("add", "red", "blue") == (
        2,
        "there is a namespace `blue` already\nhint: netloom del blue\n",
    )
    with open_name("blue") as blue:
        assert cookie(blue) == before
    assert registry.names() == ["blue"]


@on_a_machine
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("host", "`host` is a word of netloom's own language, not a name"),
        ("a/b", "`a/b` is no name of a namespace"),
        ("..", "`..` is no name of a namespace"),
        ("", "`` is no name of a namespace"),
        ("x" * 256, "is no name of a namespace"),
    ],
)
def test_add_refuses_what_is_no_name(name: str, said: str) -> None:
    """Before anything is touched: there is not even a directory."""
    status, error = ended("add", "good", name)

    assert status == 2
    assert said in error
    assert not Path(registry.NETNS_DIR).exists()


@on_a_machine
def test_add_tells_a_stale_name() -> None:
    """It is not taken by a namespace, but taken it is."""
    netloom("add", "web", check=True)
    Path("/run/netns/old").touch(mode=0)

    assert ended("add", "old")[1].startswith("there is a stale name `old` already\n")
    assert ended("add", "new", "new") == (2, "`new` is named twice\n")


@on_a_machine
def test_add_says_that_its_names_are_not_seen_outside() -> None:
    """As under `ip netns exec`, whose mounts end with it."""
    assert "not shared with the machine" in netloom("add", "web", check=True).stderr


@on_a_machine
def test_names_may_begin_with_a_hyphen() -> None:
    """After `--`, as everywhere."""
    netloom("add", "--", "-x", "ö ü", "x" * 200, check=True)

    assert registry.names() == ["-x", "x" * 200, "ö ü"]
    assert netloom("exec", "--", "-x", "echo", "in").stdout == "in\n"
    assert netloom("exec", "ö ü", "--", "echo", "in").stdout == "in\n"
    netloom("del", "--", "-x", "ö ü", "x" * 200, check=True)
    assert registry.names() == []


@on_a_machine
def test_del_deletes_what_ip_made_and_stale_names() -> None:
    """Nothing remains: no file, no mount."""
    says("ip", "netns", "add", "web")
    Path("/run/netns/old").touch(mode=0)

    netloom("del", "web", "old", check=True)

    assert registry.names() == []
    assert mount_points("/run/netns/") == []


@on_a_machine
def test_del_touches_nothing_when_a_name_is_unknown() -> None:
    """It says which was perhaps meant."""
    says("ip", "netns", "add", "web")

    assert ended("del", "web", "wbe") == (2, "no namespace `wbe`: did you mean `web`?\n")
    assert registry.names() == ["web"]


def lab_namespace(name: str, lab: str) -> None:
    """Make a namespace that bears the mark of a lab, by `ip` alone."""
    says("ip", "netns", "add", name)
    says("ip", "-n", name, "link", "set", "lo", "alias", f"netloom:{lab}/{name}")


@on_a_machine
def test_del_leaves_a_namespace_of_a_lab_to_the_lab() -> None:
    """Otherwise `down` would find half of it; with --force it is deleted."""
    says("ip", "netns", "add", "mine")
    lab_namespace("web", "shop")

    assert ended("del", "mine", "web") == (
        2,
        "`web` belongs to lab `shop`\nhint: netloom down shop, or netloom del --force web\n",
    )
    assert registry.names() == ["mine", "web"]
    netloom("del", "--force", "web", check=True)
    assert registry.names() == ["mine"]


@on_a_machine
def test_ls_tells_whose_each_name_is() -> None:
    """In order; those of nobody bare, stale ones as such."""
    lab_namespace("web", "shop")
    says("ip", "netns", "add", "mine")
    Path("/run/netns/old").touch(mode=0)

    assert netloom("ls", check=True).stdout == "mine\nold   stale\nweb   shop\n"
    assert json.loads(netloom("ls", "--json", check=True).stdout) == [
        {"name": "mine", "lab": "", "stale": False},
        {"name": "old", "lab": "", "stale": True},
        {"name": "web", "lab": "shop", "stale": False},
    ]


@on_a_machine
def test_ls_prints_a_name_that_is_no_text() -> None:
    """A file name is bytes; whatever they are, the list goes on."""
    says("ip", "netns", "add", "web")
    Path(os.fsdecode(b"/run/netns/\xff")).touch(mode=0)

    assert netloom("ls", check=True).stdout == "web\n\\xff  stale\n"
    assert json.loads(netloom("ls", "--json", check=True).stdout)[1]["stale"]


@on_a_machine
def test_ls_of_nothing_is_nothing() -> None:
    """And changes nothing."""
    assert (netloom("ls").stdout, netloom("ls", "--json").stdout) == ("", "[]\n")
    assert not Path(registry.NETNS_DIR).exists()


@on_a_machine
@pytest.mark.needs("userns")
def test_a_plain_user_sees_the_names() -> None:
    """But not whose they are: for that one must enter."""
    lab_namespace("web", "shop")

    said = ran(*plainly(MAIN, "ls", "--json")).stdout

    assert json.loads(said) == [{"name": "web", "lab": None, "stale": False}]


@on_a_machine
def test_exec_hands_on_every_word() -> None:
    """Options of the command are the command's; one `--` before it is ours, the next is not."""
    says("ip", "netns", "add", "web")

    for words in (("echo", "-n", "--", "x"), ("--", "echo", "-n", "--", "x")):
        assert netloom("exec", "web", *words).stdout == "-- x"
    assert netloom("exec", "web", "--", "--").returncode == 127


@on_a_machine
@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("kill -KILL $$", -signal.SIGKILL), ("true", 0)]
)
def test_exec_ends_as_its_command(script: str, status: int) -> None:
    """Its status is the command's, and so is its death."""
    says("ip", "netns", "add", "web")

    assert netloom("exec", "web", "sh", "-c", script).returncode == status


@on_a_machine
def test_trouble_of_our_own_has_statuses_of_its_own() -> None:
    """125 for ours, 126 and 127 for a command that could not be run, as docker and env have it."""
    says("ip", "netns", "add", "web")
    Path("/run/netns/old").touch(mode=0)

    assert ended("exec", "wbe", "true") == (125, "no namespace `wbe`: did you mean `web`?\n")
    assert ended("shell", "wbe") == (125, "no namespace `wbe`: did you mean `web`?\n")
    assert ended("exec", "old", "true")[0] == 125
    assert ended("exec", "web") == (
        125,
        "no command was given\nhint: netloom exec web COMMAND, or netloom shell web\n",
    )
    assert ended("exec", "web", "nothing-such") == (
        127,
        "cannot run `nothing-such`: No such file or directory\n",
    )
    assert ended("exec", "web", "/etc") == (126, "cannot run `/etc`: Permission denied\n")
    assert ended("run", "/etc") == (126, "cannot run `/etc`: Permission denied\n")


@on_a_machine
def test_exec_says_what_ip_netns_exec_says_of_files_without_a_target() -> None:
    """On standard error, and goes on."""
    says("ip", "netns", "add", "web")
    etc_file("web", "nowhere", "")

    its = ran("ip", "netns", "exec", "web", "echo", "on")

    assert ran(*python(MAIN, "exec", "web", "echo", "on")).stderr == its.stderr
    assert ran(*python(MAIN, "exec", "web", "--", "--", "on"), check=False).stderr != its.stderr


@on_a_machine
@pytest.mark.needs("userns")
def test_a_plain_user_is_told_what_it_takes() -> None:
    """Not an errno: what cannot be done, and how it could be."""
    says("ip", "netns", "add", "web")

    entered = ran(*plainly(MAIN, "exec", "web", "true"), check=False)

    assert entered.returncode == 125
    assert "cannot enter namespace `web`" in entered.stderr
    assert "hint: sudo " in entered.stderr


@pytest.mark.needs("userns")
def test_in_a_user_namespace_a_plain_user_may_do_it_all() -> None:
    """`add`, `exec`, `ls` and `del` inside `unshare -Urnm`; the real /run is not touched."""
    before = sorted(Path("/run").iterdir())
    script = """
    "$@" add web && "$@" exec web -- ip -br link show lo && "$@" ls && "$@" del web && "$@" ls
    """
    argv = plainly(MAIN)
    at = argv.index("--clear-groups") + 1 if "--clear-groups" in argv else 0

    said = ran(*in_own_root([*argv[:at], "sh", "-c", script, "sh", *argv[at:]]))

    assert said.stdout.split()[:2] == ["lo", "UNKNOWN"]
    assert said.stdout.splitlines()[1:] == ["web"]
    assert "not shared with the machine" in said.stderr
    assert sorted(Path("/run").iterdir()) == before


@on_a_machine
def test_run_is_a_network_for_one_command() -> None:
    """Nothing but `lo`, and nothing left."""
    before = mount_points()

    done = netloom("run", "--", "sh", "-c", "ls /sys/class/net; exit 4")

    assert (done.stdout, done.returncode) == ("lo\n", 4)
    assert mount_points() == before
    assert netloom("run").returncode == 125


def test_exec_starts_with_little() -> None:
    """What it imports is what it costs: a plain `exec` needs no click, no msgspec, no sockets."""
    heavy = {
        "click",
        "msgspec",
        "socket",
        "subprocess",
        "threading",
        "ipaddress",
        "pathlib",
        "yaml",
    }

    said = says(
        *python("import netloom.namespaces.run, netloom.namespaces.shell\nprint(*sys.modules)")
    )

    assert heavy & set(said.split()) == set()
