"""The verbs of labs, as they are typed: what each prints, and with which status it ends."""

import json
import os
from pathlib import Path

import pytest

from netloom.engine.topology_file import like_a_name
from netloom.language.scalars import free_name
from tests.hosts.host import on_a_host
from tests.hosts.netloom import ended, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

RED_BLUE = """\
links:
  - [red:eth0 10.10.0.1/24, blue:eth0 10.10.0.2/24]
"""
WITH_GREEN = RED_BLUE + "  - [green 10.11.0.1/24, blue 10.11.0.2/24]\n"

PLAN = """\
+ netns red
+ netns blue
+ link red:eth0 = blue:eth0
+ addr red:eth0 10.10.0.1/24
+ addr blue:eth0 10.10.0.2/24
5 changes
"""
UP = """\
rb  up in N ms: 2 namespaces, 1 wire
try   netloom exec red ping -c1 blue
"""
DOWN = "rb  down: 2 namespaces, 1 wire; the host is as it was\n"


@on_a_host
def test_up_tells_what_there_is_and_what_to_try() -> None:
    """Made by the file's words, with a command to try; it works as `ip` sees it."""
    write("rb.yaml", RED_BLUE)

    netloom("up", "rb.yaml").stdout(UP).status(0)

    assert "inet 10.10.0.1/24" in says("ip", "-n", "red", "addr", "show", "eth0")
    assert "1 received" in says("ip", "netns", "exec", "blue", "ping", "-c1", "10.10.0.1")


@on_a_host
def test_what_up_says_to_try_works() -> None:
    """The command on the last line, with the name that the hosts file knows."""
    write("rb.yaml", RED_BLUE)
    netloom("up", "-q", "rb.yaml").status(0)

    assert "1 received" in ended("exec", "red", "ping", "-c1", "blue").stdout


@on_a_host
def test_what_up_says_to_try_has_a_way() -> None:
    """Two that no route joins are not said; who has a route is."""
    links = "links: [[host 10.1.1.1/24, red 10.1.1.2/24], [host 10.1.2.1/24, blue 10.1.2.2/24]]\n"
    write("lab.yaml", links)
    said = (
        "lab  {} in N ms: 2 namespaces, 2 wires\nhost  + {}\ntry   netloom exec red ping -c1 {}\n"
    )
    veths = "veth red 10.1.1.1/24, veth blue 10.1.2.1/24"
    netloom("up", "lab.yaml").stdout(said.format("up", veths, "10.1.1.1")).status(0)
    netloom("down", "-q", "lab").status(0)

    route = "{routes: 10.1.2.0/24 via host}"
    write("lab.yaml", f"namespaces: {{red: {route}, blue: , host: {{forwarding: true}}}}\n{links}")
    assert ended("up", "lab.yaml").stdout.endswith("try   netloom exec red ping -c1 blue\n")


@on_a_host
def test_twice_does_nothing() -> None:
    """An `up` of what is up says so, and is quick about it."""
    write("rb.yaml", RED_BLUE)
    netloom("up", "-q", "rb.yaml").status(0)

    with no_trace():
        netloom("up", "rb.yaml").stdout("rb  is up; nothing to do\n").status(0)


@on_a_host
def test_verbose_tells_every_change_on_standard_error() -> None:
    """The answer stays what it is."""
    write("rb.yaml", RED_BLUE)

    netloom("up", "-v", "rb.yaml").stdout(UP).stderr(PLAN).status(0)


@on_a_host
def test_plan_shows_and_touches_nothing() -> None:
    """The changes that `up` would make, a line each; then there are none."""
    write("rb.yaml", RED_BLUE)

    with no_trace():
        netloom("plan", "rb.yaml").stdout(PLAN).status(0)
    netloom("up", "-q", "rb.yaml").status(0)
    netloom("plan", "rb.yaml").stdout("no changes\n").status(0)


@on_a_host
def test_the_script_of_a_plan_makes_the_same_lab() -> None:
    """`plan --as ip`, run by a shell, leaves nothing for `up` to do but to remember."""
    write("rb.yaml", RED_BLUE)
    write("rb.sh", ended("plan", "--as", "ip", "rb.yaml").stdout)

    says("sh", "rb.sh")

    assert ended("plan", "rb.yaml").stdout in {
        "no changes\n",
        "~ etc red\n~ etc blue\n2 changes\n",
    }


@on_a_host
def test_down_leaves_nothing_and_twice_is_no_mistake() -> None:
    """A file's lab that is not up is fine; a name that nobody knows is a mistake."""
    write("rb.yaml", RED_BLUE)

    with no_trace():
        netloom("up", "-q", "rb.yaml").status(0)
        netloom("down", "rb.yaml").stdout(DOWN).status(0)
    netloom("down", "rb.yaml").stdout("rb is not up\n").status(0)
    netloom("down", "rb").stderr("no lab `rb` (netloom labs)\n").status(2)


@on_a_host
def test_a_slip_in_a_lab_s_name_is_told() -> None:
    """What was perhaps meant is among the labs that are up."""
    write("shop.yaml", RED_BLUE)
    netloom("up", "-q", "shop.yaml").status(0)

    for verb in ("down", "verify", "undo"):
        status, said, talk = ended(verb, "shpo")
        assert (status, said) == (2, "")
        assert talk.startswith("no lab `shpo`: did you mean `shop`? (netloom labs)\n")


@on_a_host
def test_down_all_takes_every_lab() -> None:
    """Each with its line."""
    write("rb.yaml", RED_BLUE)
    write("cd.yaml", "links:\n  - [c, d]\n")
    with no_trace():
        netloom("up", "-q", "rb.yaml").status(0)
        netloom("up", "-q", "cd.yaml").status(0)

        both = "cd  down: 2 namespaces, 1 wire; the host is as it was\n" + DOWN
        netloom("down", "--all").stdout(both).status(0)
    netloom("down", "--all").status(0)


@on_a_host
def test_labs_lists_what_is_up() -> None:
    """Name, size and file; nothing where nothing is up."""
    netloom("labs").status(0)
    write("rb.yaml", RED_BLUE)
    netloom("up", "-q", "rb.yaml").status(0)

    netloom("labs").stdout("rb  2 namespaces  rb.yaml\n").status(0)
    assert json.loads(ended("labs", "--json").stdout) == [
        {"lab": "rb", "state": "up", "namespaces": 2, "source": "/run/here/rb.yaml"}
    ]


@on_a_host
def test_labs_are_listed_where_the_folder_that_we_are_in_is_gone() -> None:
    """There is no way from there: the file is named whole."""
    write("shop.yaml", "namespaces: [one]\n")
    netloom("up", "-q", "shop.yaml").status(0)
    Path("gone").mkdir()
    os.chdir("gone")
    os.rmdir("../gone")
    netloom("labs").stdout("shop  1 namespace  /run/here/shop.yaml\n").status(0)
    netloom("down", "-q", "shop").status(0)


@on_a_host
def test_a_file_in_a_folder_whose_name_is_no_text_is_as_any_other() -> None:
    """Names of files are bytes: the lab is made, and found again by its file."""
    folder = os.fsdecode(b"d\xff")
    Path(folder).mkdir()
    write(f"{folder}/one.yaml", "namespaces: [one]\n")
    with no_trace():
        netloom("up", "-q", f"{folder}/one.yaml").status(0)
        row = "one  1 namespace  d\\xff/one.yaml\n"
        netloom("labs").stdout(row).status(0)
        netloom("verify", f"{folder}/one.yaml").stdout("one  is as it was applied\n").status(0)
        netloom("down", "-q", f"{folder}/one.yaml").status(0)


@on_a_host
def test_verify_tells_what_somebody_changed() -> None:
    """Status 3 and the steps back; `up` takes them."""
    write("rb.yaml", RED_BLUE)
    netloom("up", "-q", "rb.yaml").status(0)
    netloom("verify", "rb").stdout("rb  is as it was applied\n").status(0)
    says("ip", "-n", "red", "addr", "del", "10.10.0.1/24", "dev", "eth0")
    says("ip", "-n", "blue", "link", "set", "eth0", "mtu", "1400")

    difference = "~ link blue:eth0 mtu 1500\n+ addr red:eth0 10.10.0.1/24\n2 changes\n"
    talk = "rb  is not as it was applied; `netloom up rb.yaml` would do the above\n"
    netloom("verify", "rb").stdout(difference).stderr(talk).status(3)
    netloom("up", "-q", "rb.yaml").status(0)
    netloom("verify", "rb").stdout("rb  is as it was applied\n").status(0)


@on_a_host
def test_verify_of_a_lab_that_is_not_up_is_no() -> None:
    """The answer to "is it as it was applied" is no."""
    write("rb.yaml", RED_BLUE)

    netloom("verify", "rb.yaml").stderr("rb is not up\n").status(3)


@on_a_host
def test_undo_goes_back_a_change_at_a_time() -> None:
    """First to the lab before the change, then to nothing; then there is nothing to undo."""
    write("rb.yaml", RED_BLUE)
    with no_trace():
        netloom("up", "-q", "rb.yaml").status(0)
        write("rb.yaml", WITH_GREEN)
        netloom("up", "-q", "rb.yaml").status(0)

        netloom("undo", "--list", "rb").stdout(
            "2  up, 2 namespaces\n1  nothing, 0 namespaces\n"
        ).status(0)
        assert ended("undo", "rb").returncode == 0
        netloom("verify", "rb").stdout("rb  is as it was applied\n").status(0)
        assert set(says("ip", "netns").split()) == {"red", "blue"}
        netloom("undo", "rb").stdout("- netns blue\n- netns red\n2 changes\n").status(0)


@on_a_host
def test_a_lab_is_named_by_its_file_or_its_folder() -> None:
    """`netloom.yaml` bears the folder's name, as in compose; `-` is standard input."""
    Path("shop").mkdir()
    write("netloom.yaml", "links:\n  - [c, d]\n")

    netloom("up", "-q").status(0)
    netloom("up", "-q", "-", stdin=RED_BLUE).status(0)

    assert [row["lab"] for row in json.loads(ended("labs", "--json").stdout)] == ["here", "stdin"]
    netloom("down", "-q").status(0)
    netloom("down", "-q", "stdin").status(0)


NAMED = {
    "my lab": "my-lab",
    "a to b:c": "a-to-b-c",
    "-x": "x",
    ".yaml": "yaml",
    "ü$(id)": "ü--id",
    "\udcff": "lab",
    "all": "all-lab",
    "": "lab",
}


@pytest.mark.parametrize("stem", NAMED)
def test_the_name_that_is_proposed_is_one_that_a_file_could_say(stem: str) -> None:
    """Whatever the file is called."""
    assert like_a_name(stem) == NAMED[stem] == free_name(NAMED[stem])


@on_a_host
def test_a_lab_can_be_taken_down_by_a_file_that_has_mistakes_by_now() -> None:
    """What is up is remembered, and not read from the file again."""
    write("rb.yaml", RED_BLUE)
    with no_trace():
        netloom("up", "-q", "rb.yaml").status(0)
        write("rb.yaml", "name: other\nlinks: [nonsense\n")

        netloom("down", "rb.yaml").stdout(DOWN).status(0)


@on_a_host
def test_init_writes_a_file_that_works() -> None:
    """And overwrites none."""
    netloom("init").stdout("wrote netloom.yaml; `netloom up` makes it so\n").status(0)
    netloom("up", "-q").status(0)
    netloom("init").stderr("`netloom.yaml` exists; nothing was touched\n").status(2)


def setting(netns: str, key: str) -> str:
    """Return a sysctl of a namespace, by sysctl(8)."""
    return says("ip", "netns", "exec", netns, "sysctl", "-n", key).strip()


@on_a_host
def test_a_sysctl_that_is_asked_for_no_more_is_as_in_a_new_namespace() -> None:
    """Taken out of the file it goes back, of a link's own too; `undo` sets it again."""
    keys = ("net.ipv4.ip_default_ttl", "net.ipv4.conf.eth0.rp_filter")
    spaces = f"namespaces: {{red: {{sysctls: {{{keys[0]}: 99, {keys[1]}: 1}}}}, blue: }}\n"
    write("rb.yaml", RED_BLUE + spaces)
    netloom("up", "-q", "rb.yaml").status(0)
    set_once = [setting("red", key) for key in keys]

    write("rb.yaml", RED_BLUE)
    netloom("up", "-q", "rb.yaml").status(0)
    forgotten = [setting("red", key) for key in keys]
    netloom("verify", "rb").stdout("rb  is as it was applied\n").status(0)
    undone = ended("undo", "rb")

    assert undone.returncode == 0
    assert (set_once, forgotten) == (["99", "1"], ["64", "0"])
    assert [setting("red", key) for key in keys] == ["99", "1"]


@on_a_host
def test_ipv6_that_was_switched_off_comes_back_with_its_addresses() -> None:
    """The setting goes first, so that the kernel takes the addresses."""
    off = "namespaces: {red: {sysctls: {net.ipv6.conf.all.disable_ipv6: 1}}, blue: }\n"
    write("rb.yaml", RED_BLUE + off)
    netloom("up", "-q", "rb.yaml").status(0)

    write("rb.yaml", "links: [[red:eth0 fd00::1/64, blue:eth0 fd00::2/64]]\n")
    netloom("up", "-q", "rb.yaml").status(0)

    assert "1 received" in says("ip", "netns", "exec", "red", "ping", "-c1", "fd00::2")
