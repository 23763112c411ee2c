"""`enable` and `disable`, on a machine with an /etc of its own; no systemd runs here.

The witnesses are systemd's own tools, which need none: `systemd-escape` and `systemd-analyze`.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.errors import Unavailable
from netloom.host.systemd import escaped, template, unescaped, unit_of
from tests.hosts.host import on_a_host
from tests.hosts.netloom import Warm, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

UNITS = Path("/etc/systemd/system")
TEMPLATE = UNITS / "netloom@.service"
WANTS = UNITS / "multi-user.target.wants"
SHOP = "links:\n  - [red, blue]\n"
PATHS = ["/srv/shop.yaml", "/a-b/ü/.x", "/.hidden", "/a b/c\\d", "/%f/$HOME/'q\"", "/", "/x/_:.y@z"]

parts = st.text(
    st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=8
).filter(lambda part: part not in {".", ".."})


@given(st.lists(parts, max_size=4).map(lambda found: "/" + "/".join(found)))
def test_an_escaped_path_is_that_path(path: str) -> None:
    """What is escaped is read back, and a unit may bear it as its name."""
    assert unescaped(escaped(path)) == path
    assert "/" not in escaped(path)


def test_systemd_escapes_a_path_the_same_way() -> None:
    """The witness is systemd-escape(1), both ways."""
    try:
        theirs = ran("systemd-escape", "--path", *PATHS).stdout.split()
        back = ran("systemd-escape", "--path", "--unescape", *theirs).stdout
    except FileNotFoundError:
        pytest.skip("needs systemd-escape (apt-get install systemd)")

    assert [escaped(path) for path in PATHS] == theirs
    assert " ".join(unescaped(text) for text in theirs) + "\n" == back


def test_a_path_that_makes_too_long_a_name_is_refused() -> None:
    """A unit's name has 255 bytes at the most."""
    with pytest.raises(Unavailable, match=r"the unit of `/x+` would have a name of 2"):
        unit_of("/" + "x" * 240)


@on_a_host
def test_systemd_finds_no_fault_in_the_unit() -> None:
    """Also with a netloom whose path has a blank and a percent sign in it."""
    folder = Path("/run/here/my own 100%")
    folder.mkdir()
    program = folder / "netloom"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = Path("/run/here/netloom@srv-shop.yaml.service")
    unit.write_text(template([str(program)]))
    try:
        told = ran("systemd-analyze", "verify", "--man=no", str(unit), check=False)
    except FileNotFoundError:
        pytest.skip("needs systemd-analyze (apt-get install systemd)")

    assert told.stdout + told.stderr == ""
    assert told.returncode == 0
    with pytest.raises(Unavailable, match="quote"):
        template(['/run/"here"/netloom'])


@on_a_host
def test_labs_are_enabled_and_disabled_one_by_one() -> None:
    """The template stays as long as one is enabled; after the last, all is as before."""
    write("shop.yaml", SHOP)
    write("second.yaml", f"name: other-one\n{SHOP}")
    UNITS.mkdir(parents=True)
    before = tree()
    by_hand = f"note: systemd does not run here: the link in {WANTS} is made by hand\n"
    with Warm() as warm:
        made = warm("enable", "shop.yaml")
        again = warm("enable", "/run/here/shop.yaml")
        warm("enable", "second.yaml")
        both = sorted(os.listdir(WANTS))
        warm("disable", "other-one")
        one = sorted(os.listdir(WANTS))
        meant = warm("disable", "shp", status=2)
        text = TEMPLATE.read_text()
        gone = warm("disable", "./shop.yaml")

    unit = "netloom@run-here-shop.yaml.service"
    assert made["stdout"] == f"shop  will be started at boot: {unit}\n"
    assert made["stderr"] == by_hand
    assert again["stdout"] == "shop  starts at boot already\n"
    assert both == ["netloom@run-here-second.yaml.service", unit]
    assert one == [unit]
    assert "up %f\n" in text
    assert "down %f\n" in text
    assert meant["stderr"] == "no lab `shp` starts at boot: did you mean `shop`?\n"
    assert gone["stdout"] == "./shop.yaml  will not be started at boot\n"
    assert tree() == before


def tree() -> list[str]:
    """Return all that is below /etc."""
    return sorted(str(path) for path in Path("/etc").rglob("*"))


@on_a_host
def test_a_link_leads_to_the_template_as_systemctl_makes_it() -> None:
    """`systemctl enable` of the same unit finds nothing more to do."""
    write("shop.yaml", SHOP)
    with Warm() as warm:
        warm("enable", "shop.yaml")
    unit = "netloom@run-here-shop.yaml.service"

    assert os.readlink(WANTS / unit) == str(TEMPLATE)
    try:
        told = ran("systemctl", "is-enabled", unit, check=False)
    except FileNotFoundError:
        pytest.skip("needs systemctl (apt-get install systemd)")
    assert told.stdout == "enabled\n"


@on_a_host
def test_the_unit_s_own_lines_start_and_stop_a_lab() -> None:
    """With no more than systemd gives: a PATH, and / to stand in; a second start does nothing."""
    write("shop.yaml", f"{SHOP}namespaces:\n  red: {{run: exec sleep 1001}}\n  blue:\n")
    with Warm() as warm:
        warm("enable", "shop.yaml")

    with no_trace():
        assert run_as_systemd("ExecStart").startswith("shop  up in ")
        assert len(says("ip", "netns", "pids", "red").split()) == 1
        assert run_as_systemd("ExecStart") == "shop  is up; nothing to do\n"
        assert run_as_systemd("ExecStop").startswith("shop  down: 2 namespaces")


@on_a_host
def test_a_lab_that_went_with_a_reboot_is_started_again_and_leaves_nothing() -> None:
    """Links in /etc outlive it and lead nowhere, and one tells that netloom made their folder."""
    write("shop.yaml", SHOP)
    with Warm() as warm:
        warm("enable", "shop.yaml")

    with no_trace():
        run_as_systemd("ExecStart")
        lose_what_a_reboot_loses()
        assert sorted(os.listdir("/etc/netns")) == [".netloom", "blue", "red"]
        run_as_systemd("ExecStart")
        assert "red" in Path("/etc/netns/blue/hosts").read_text()
        run_as_systemd("ExecStop")
        assert not Path("/etc/netns").exists()


@on_a_host
def test_a_folder_of_somebody_else_s_outlives_reboot_and_lab() -> None:
    """Even an empty one."""
    write("shop.yaml", SHOP)
    Path("/etc/netns").mkdir()
    with Warm() as warm:
        warm("enable", "shop.yaml")

    with no_trace():
        run_as_systemd("ExecStart")
        lose_what_a_reboot_loses()
        run_as_systemd("ExecStart")
        run_as_systemd("ExecStop")


def run_as_systemd(key: str) -> str:
    """Run a line of the template as systemd.service(5) has it, and return what it prints."""
    (line,) = [text for text in TEMPLATE.read_text().splitlines() if text.startswith(f"{key}=:")]
    words = shlex.split(line.removeprefix(f"{key}=:"))
    argv = [word.replace("%f", "/run/here/shop.yaml").replace("%%", "%") for word in words]
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    nothing = subprocess.DEVNULL
    done = subprocess.run(
        argv,
        stdin=nothing,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path},
        cwd="/",
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def lose_what_a_reboot_loses() -> None:
    """Remove the namespaces with all that is in them, and what netloom has in /run."""
    for name in os.listdir("/run/netns"):
        says("ip", "netns", "del", name)
    shutil.rmtree("/run/netloom")


@on_a_host
def test_where_systemctl_fails_the_link_is_made_by_hand() -> None:
    """A systemd that is there and cannot be asked: its own words are told."""
    write("shop.yaml", SHOP)
    Path("/run/systemd/system").mkdir(parents=True)
    UNITS.mkdir(parents=True)
    before = tree()
    with Warm() as warm:
        made = warm("enable", "shop.yaml")
        linked = os.listdir(WANTS)
        warm("disable", "shop")

    assert made["stderr"].startswith(("note: systemctl enable: ", "note: there is no systemctl"))
    assert linked == ["netloom@run-here-shop.yaml.service"]
    assert tree() == before


@on_a_host
def test_what_cannot_be_enabled_is_refused_untouched() -> None:
    """A file with mistakes, none, one whose lab could not be made; a template of somebody else."""
    write("bad.yaml", "links: 3\n")
    write("shop.yaml", SHOP)
    write("taken.yaml", "links:\n  - [host:eth0, blue]\n")
    before = tree()
    with Warm() as warm:
        assert "bad.yaml:1:8: " in warm("enable", "bad.yaml", status=2)["stderr"]
        assert "no file `nope.yaml`" in warm("enable", "nope.yaml", status=2)["stderr"]
        assert "eth0" in warm("enable", "taken.yaml", status=2)["stderr"]
        never = warm("disable", "./shop.yaml", status=2)["stderr"]
        assert tree() == before
        UNITS.mkdir(parents=True)
        TEMPLATE.write_text("[Service]\n")
        theirs = warm("enable", "shop.yaml", status=2)["stderr"]

    assert never == "`./shop.yaml` does not start at boot\n"
    assert theirs == (
        f"`{TEMPLATE}` is not netloom's own\n"
        "hint: move it away; netloom writes one by this name\nnothing was touched\n"
    )
    assert not WANTS.exists()


@pytest.mark.needs("netns")
def test_a_plain_user_is_told_to_be_root() -> None:
    """Before anything else that would need rights, such as a trial of the lab's own rules."""
    rules = "chain in { type filter hook input priority 0; }"
    lab = f"namespaces: {{a: {{firewall: '{rules}'}}}}\n"
    with new_plain_user(lab=lab) as plain:
        done = plain("enable", "lab.yaml")

    assert done.returncode == 2
    reason, hint, last = done.stderr.splitlines()
    assert reason == f"cannot write `{UNITS}`: Permission denied"
    assert hint.startswith("hint: sudo ")
    assert hint.endswith(" enable lab.yaml")
    assert last == "nothing was touched"
