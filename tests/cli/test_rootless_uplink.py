"""Ways out of a plain user's labs: by a program outside, where the user's own network is."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.internet import (
    HOST4,
    HOST6,
    WEB4,
    WEB6,
    ask,
    ask_udp,
    on_the_internet,
    server,
    swallow,
    upload,
)
from tests.hosts.plain import Plain, kill_and_wait, may_make_a_tap, plain_user
from tests.hosts.programs import pids, says
from tests.hosts.witness import no_trace

pytestmark = pytest.mark.needs("pasta")

SUBNETS = 'subnets: [10.100.0.0/24, "fd00:100::/64"], '
SHOP = f"""\
networks:
  lan: {{{SUBNETS}uplink: user}}
namespaces: {{web: {{networks: [lan], publish: ["8080:80"]}}, db: {{networks: [lan]}}}}
"""


@contextmanager
def plain_on_the_internet(*, tun: bool = True) -> Iterator[Plain]:
    """Make the folder a plain user's who may make a tap; a file with a way out is there."""
    may_make_a_tap(may=tun)
    folder = Path("/run/here/plain")
    folder.mkdir()
    (folder / "shop.yaml").write_text(SHOP)
    with plain_user(folder) as user:
        yield user


@pytest.mark.parametrize("mode", ["user", "nat"])
@on_the_internet()
def test_members_get_out_and_a_published_port_leads_in(mode: str) -> None:
    """TCP and UDP, both families; from the host and from a neighbour; and all goes with `down`."""
    with plain_on_the_internet() as plain, server("beyond", 80), no_trace():
        Path("plain/shop.yaml").write_text(SHOP.replace("uplink: user", f"uplink: {mode}"))
        before = says("ip", "-o", "link"), says("nft", "list", "ruleset")
        plain.says("up", "-q", "shop.yaml")
        assert (says("ip", "-o", "link"), says("nft", "list", "ruleset")) == before
        db, web = plain.netns("db"), plain.netns("web")
        assert ask(db, WEB4) == ask_udp(db, WEB4) == HOST4
        assert ask(db, WEB6) == ask_udp(db, WEB6) == HOST6
        with server(web, 80, swallow), server(web, 81):
            for where in ("host", "beyond"):
                assert upload(where, HOST4, 1000, 8080) == 1000
                assert not ask(where, HOST4, 8081)
        assert plain.says("verify", "shop") == "shop  is as it was applied\n"
        assert plain.says("up", "shop.yaml") == "shop  is up; nothing to do\n"
        plain.says("down", "-q", "shop")
        assert not ask("host", HOST4, 8080)


@on_the_internet()
def test_a_program_that_ended_is_told_and_started_again() -> None:
    """`verify` says so, `up` mends it."""
    with plain_on_the_internet() as plain, server("beyond", 80):
        plain.says("up", "-q", "shop.yaml")
        (note,) = Path(f"{plain.root}/run/netloom/labs/shop/run").glob("*/supervisor")
        supervisor = json.loads(note.read_text())["pid"]
        (program,) = (
            int(pid) for pid in says("ps", "-o", "pid=", "--ppid", str(supervisor)).split()
        )
        kill_and_wait(program, supervisor)
        verified = plain("verify", "shop")
        assert (verified.returncode, "run host shop.out" in verified.stdout) == (3, True), verified
        plain.says("up", "-q", "shop.yaml")
        assert ask(plain.netns("db"), WEB4) == HOST4
        plain.says("down", "-q", "shop")


@pytest.mark.parametrize("which", [0, 1], ids=["holder", "outer agent"])
@on_the_internet()
def test_who_is_killed_takes_the_way_out_along(which: int) -> None:
    """Nothing of it runs, no port is open, and the next `up` has it again."""
    with plain_on_the_internet() as plain:
        plain.says("up", "-q", "shop.yaml")
        both, programs = plain.both(), pids("^[^ ]*pasta.*shop[.]out")
        assert programs
        kill_and_wait(both[which], both[1 - which], *programs)
        plain.says("up", "-q", "shop.yaml")
        with server(plain.netns("web"), 80, swallow):
            assert upload("beyond", HOST4, 1000, 8080) == 1000
        plain.says("down", "-q", "shop")


@on_the_internet()
def test_a_port_that_is_taken_outside_is_told() -> None:
    """By whom is known of the user's own; and what is taken inside is nobody's business."""
    with plain_on_the_internet() as plain, server("host", 8080):
        refused = plain("up", "shop.yaml")
        assert refused.returncode == 2, refused
        assert "shop.yaml:3:47: port 8080 of the host is taken: " in refused.stderr
        assert "without root" not in refused.stderr  # it is the machine's own host that was asked
        assert os.listdir("plain/run") == []


@on_the_internet()
def test_what_a_plain_user_may_not_have_is_refused() -> None:
    """Before anything is touched: no tun, no program, `routed`, no interface of that name."""
    with plain_on_the_internet(tun=False) as plain:
        refused = plain("up", "shop.yaml")
        assert refused.returncode == 2
        assert refused.stderr.startswith(
            "shop.yaml:2:60: `/usr/bin/pasta` could not open /dev/net/tun: "
        )
        assert "^^^^ sudo chmod 666 /dev/net/tun\n" in refused.stderr
        Path("plain/empty").mkdir()
        refused = plain("up", "shop.yaml", before="import os; os.environ['PATH'] = 'empty'")
        assert refused.stderr.startswith(
            "shop.yaml:2:60: no program for user-mode networking is here\n"
        )
        for mode, said in (("routed", "the host is not the machine's"), ("{via: eth7}", "eth7")):
            Path("plain/shop.yaml").write_text(SHOP.replace("uplink: user", f"uplink: {mode}"))
            refused = plain("up", "shop.yaml")
            assert (refused.returncode, said in refused.stderr) == (2, True), refused
            assert ("with `lo` alone: sudo /" in refused.stderr) == (mode == "routed"), refused
        assert os.listdir("plain/run") == []


@on_the_internet()
def test_several_labs_and_one_that_goes() -> None:
    """Each has a program of its own; one that goes leaves the other's way open."""
    with plain_on_the_internet() as plain, server("beyond", 80):
        other = SHOP.replace("8080", "8081").replace("web", "api").replace("db", "dc")
        Path("plain/other.yaml").write_text(other)
        plain.says("up", "-q", "shop.yaml")
        plain.says("up", "-q", "other.yaml")
        plain.says("down", "-q", "shop")
        assert ask(plain.netns("dc"), WEB4) == HOST4
        plain.says("down", "-q", "other")


@on_the_internet()
def test_a_subnet_beside_the_way_out_is_nobody_else_s() -> None:
    """One that is said is refused, since the program shows the host's; derived ones avoid it."""
    says("ip", "address", "add", "10.64.0.2/12", "dev", "eth0")
    with plain_on_the_internet() as plain:
        Path("plain/shop.yaml").write_text(SHOP.replace("10.100.0.0/24", "10.65.0.0/24"))
        refused = plain("plan", "shop.yaml")
        assert refused.returncode == 2, refused
        assert "10.65.0.0/24 of network `lan` overlaps 10.64.0.0/12 on host:eth0" in refused.stderr
        Path("plain/shop.yaml").write_text(SHOP.replace(SUBNETS, ""))
        planned = plain("plan", "shop.yaml").stdout
        assert "10.80.0.2/24" in planned
        assert "10.64." not in planned


@pytest.mark.needs("slirp4netns")
@on_the_internet(ipv6=False)
def test_slirp4netns_does_where_pasta_is_missing() -> None:
    """It leads out all the same."""
    with plain_on_the_internet() as plain, server("beyond", 80):
        Path("plain/programs").mkdir()
        Path("plain/programs/slirp4netns").symlink_to(str(shutil.which("slirp4netns")))
        Path("plain/shop.yaml").write_text(SHOP.replace(', publish: ["8080:80"]', ""))
        path = "import os; os.environ['PATH'] = '/run/here/plain/programs'"
        done = plain("up", "-q", "shop.yaml", before=path)
        assert done.returncode == 0, done
        assert ask(plain.netns("db"), WEB4) == HOST4
        plain.says("down", "-q", "shop")


@on_the_internet()
def test_a_port_that_is_not_for_plain_users_is_a_mistake_in_its_line() -> None:
    """The program outside ended as it could not open it, and the lab stayed up without."""
    with plain_on_the_internet() as plain, no_trace():
        Path("plain/shop.yaml").write_text(SHOP.replace("8080:80", "80:80"))
        for verb in ("plan", "up"):
            told = plain(verb, "shop.yaml")
            assert told.returncode == 2
            assert told.stderr.startswith(
                "shop.yaml:3:47: port 80 of the host is not for plain users to open\n"
            )
            assert "sysctl net.ipv4.ip_unprivileged_port_start=80" in told.stderr
        says("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=80")
        plain.says("up", "-q", "shop.yaml")
        plain.says("down", "-q", "shop")
        says("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024")
