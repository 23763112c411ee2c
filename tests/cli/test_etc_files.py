"""`dns` and `etc`: what a namespace sees in /etc, whatever becomes of the host's own files."""

import subprocess
from pathlib import Path

import pytest

from tests.hosts.internet import on_the_internet
from tests.hosts.netloom import Warm, command, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

SHOP = """\
name: shop
networks:
  lan: {subnet: 10.100.0.0/24, uplink: nat}
namespaces:
  web: {networks: [lan]}
  db: {networks: [lan], dns: [web, 192.0.2.99]}
  plain: {networks: [lan], dns: none}
  alone: {}
"""
STUB = "/run/systemd/resolve/stub-resolv.conf"


def resolv_conf(netns: str) -> str:
    """Return the resolv.conf that a command sees there."""
    return netloom("exec", netns, "cat", "/etc/resolv.conf").ended.stdout


def systemd_resolved(link: str = "../run/systemd/resolve/stub-resolv.conf") -> None:
    """Have the host's /etc/resolv.conf as systemd-resolved leaves it."""
    Path("/run/systemd/resolve").mkdir(parents=True)
    Path(STUB).write_text("nameserver 127.0.0.53\noptions edns0\n")
    Path("/run/systemd/resolve/resolv.conf").write_text("nameserver 192.0.2.53\nsearch lan\n")
    Path("/etc/resolv.conf").unlink()
    Path("/etc/resolv.conf").symlink_to(link)


@on_the_internet()
def test_members_ask_the_resolvers_that_the_file_names() -> None:
    """By address or by the name of a member; without any they ask the host's."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert resolv_conf("web") == "nameserver 192.0.2.53\n"
        assert resolv_conf("db") == "nameserver 10.100.0.2\nnameserver 192.0.2.99\n"
        assert resolv_conf("plain") == resolv_conf("alone") == "nameserver 192.0.2.53\n"
        netloom("down", "-q", "shop.yaml").status(0)


@on_the_internet()
def test_a_resolver_on_the_loopback_is_answered_with_what_is_behind_it() -> None:
    """And when systemd-resolved replaces its file, what a namespace sees stays.

    For a process that runs by then as for one that comes later (failure causes D01 and D04).
    """
    systemd_resolved()
    write("shop.yaml", SHOP)
    seen = "nameserver 192.0.2.53\nsearch lan\n"
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        waiting = "cat /etc/resolv.conf; read go; cat /etc/resolv.conf"
        pipe = subprocess.PIPE
        argv = command("exec", "web", "sh", "-c", waiting)
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as running:
            assert running.stdout
            assert [running.stdout.readline() for _ in range(2)] == seen.splitlines(keepends=True)

            Path(f"{STUB}.new").write_text("nameserver 127.0.0.53\noptions edns0\n")
            Path(f"{STUB}.new").rename(STUB)

            assert running.communicate("go\n")[0] == seen
        assert resolv_conf("web") == seen
        assert Path("/etc/resolv.conf").read_text() == Path(STUB).read_text()
        netloom("down", "-q", "shop.yaml").status(0)


@on_the_internet()
def test_a_link_that_leads_nowhere_is_covered_all_the_same() -> None:
    """Resolved is not running, but the file says who is asked (D08)."""
    Path("/etc/resolv.conf").unlink()
    Path("/etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    write("shop.yaml", SHOP)
    said = netloom("up", "shop.yaml").ended
    assert said.returncode == 0
    assert said.stderr == (
        "note: the host has no resolver that `web` could ask; "
        "`dns: 9.9.9.9` in the network names one\n"
    )
    assert resolv_conf("db") == "nameserver 10.100.0.2\nnameserver 192.0.2.99\n"


@on_the_internet()
def test_names_of_the_lab_resolve_in_it() -> None:
    """By the hosts file, for whatever asks the C library."""
    write("shop.yaml", SHOP)
    with Warm() as warm:
        warm("up", "shop.yaml")
        said = netloom("exec", "web", "getent", "ahostsv4", "db").ended.stdout
        assert said.startswith("10.100.0.3")


@on_the_internet()
def test_files_and_folders_land_in_etc() -> None:
    """A text as it stands, a file, a folder with all below it; a file that is not there is told."""
    Path("conf/sub").mkdir(parents=True)
    Path("conf/a").write_text("one\n")
    Path("conf/sub/b").write_text("two\n")
    Path("/etc/motd").write_text("the host's\n")
    Path("/etc/skel/sub").mkdir(parents=True)
    write("shop.yaml", "namespaces: {web: {etc: {motd: hello, skel: {file: conf}}}}\n")
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        words = ("cat", "/etc/motd", "/etc/skel/a", "/etc/skel/sub/b")
        netloom("exec", "web", *words).stdout("hello\none\ntwo\n").status(0)
        assert Path("/etc/motd").read_text() == "the host's\n"
        netloom("down", "-q", "shop.yaml").status(0)
    write("shop.yaml", "namespaces: {web: {etc: {motd: {file: nowhere}}}}\n")
    said = netloom("up", "shop.yaml").ended
    assert said.returncode == 2
    assert said.stderr.startswith("shop.yaml:1:")
    assert "cannot read `nowhere`: No such file or directory" in said.stderr


@on_the_internet()
def test_what_has_nothing_to_lie_over_is_told_with_what_helps() -> None:
    """A host without /etc/resolv.conf: by `plan`, by `up`, and no more once it is there (D08)."""
    Path("/etc/resolv.conf").unlink()
    write("shop.yaml", "namespaces: {a: {dns: 9.9.9.9}, b: {dns: 9.9.9.9, etc: {skel/x: y}}}\n")
    told = (
        "note: the host has no /etc/resolv.conf for that of `a` and 1 more to lie over, so nobody "
        "sees it; touch /etc/resolv.conf\n"
        "note: the host has no /etc/skel for that of `b` to lie over, so nobody sees it; "
        "mkdir /etc/skel\n"
    )
    assert netloom("plan", "shop.yaml").ended.stderr == told
    said = netloom("up", "shop.yaml").ended
    assert (said.returncode, said.stderr) == (0, told)

    Path("/etc/resolv.conf").touch()
    Path("/etc/skel").mkdir()

    assert resolv_conf("a") == "nameserver 9.9.9.9\n"
    netloom("up", "shop.yaml").stdout("shop  is up; nothing to do\n").status(0)
    netloom("down", "-q", "shop.yaml").status(0)


RUNNING = """\
name: shop
namespaces: {web: {dns: 192.0.2.99, run: {command: [sleep, "1001"]}}}
"""


def seen_by_the_command() -> str:
    """Return the resolv.conf of the command that runs in `web`; the witness is nsenter(1)."""
    pid = says("ip", "netns", "pids", "web").strip()
    return says("nsenter", "-t", pid, "-m", "cat", "/etc/resolv.conf")


@pytest.mark.parametrize("kind", ["plain file", "symbolic link"])
@on_the_internet()
def test_a_command_whose_file_was_replaced_is_told_and_started_anew(kind: str) -> None:
    """The kernel takes away what lay over it, so the command sees the host's: that is drift (D04).

    One that comes later sees its own, and so does the command after `up`.
    """
    if kind == "symbolic link":
        systemd_resolved()
    write("shop.yaml", RUNNING)
    own = "nameserver 192.0.2.99\n"
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        assert seen_by_the_command() == own
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)

        replace_resolv_conf(kind)

        assert seen_by_the_command() != own
        netloom("verify", "shop").stdout(
            "- run web sleep\n+ run web sleep: sleep 1001\n2 changes\n"
        ).stderr(
            "note: `sleep` in `web` sees the host's /etc/resolv.conf, which was replaced: what lay "
            "over it is gone\n"
            "shop  is not as it was applied; `netloom up shop.yaml` would do the above\n"
        ).status(3)
        assert resolv_conf("web") == own
        netloom("up", "-q", "shop.yaml").status(0)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        assert seen_by_the_command() == own
        netloom("down", "-q", "shop.yaml").status(0)


@on_the_internet()
def test_a_file_that_is_written_anew_in_its_place_is_no_drift() -> None:
    """What lies over it stays."""
    write("shop.yaml", RUNNING)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        Path("/etc/resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
        assert seen_by_the_command() == "nameserver 192.0.2.99\n"
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("down", "-q", "shop.yaml").status(0)


def replace_resolv_conf(kind: str) -> None:
    """Put another in the place of the host's resolv.conf, as programs do: by rename(2)."""
    new = Path("/etc/resolv.conf.new")
    if kind == "symbolic link":
        new.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    else:
        new.write_text("nameserver 192.0.2.53\n")
    new.rename("/etc/resolv.conf")
