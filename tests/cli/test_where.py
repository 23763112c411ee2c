"""Where netloom is run: inside a lab, beside another user's labs, in the outer namespace."""

import json
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.machine import on_a_machine
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.plain import new_plain_user
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

SHOP = "networks: {lan: {subnet: 10.20.0.0/24}}\nnamespaces: {web: {networks: [lan]}}\n"
INSIDE = (
    "this is inside `web` of the lab `shop`, not where labs are made\n"
    "hint: leave it first: `exit`, or run netloom outside\n"
    "nothing was touched\n"
)
VERBS = {
    "down": ("down", "shop"),
    "down --all": ("down", "--all"),
    "down --force": ("down", "--force", "shop"),
    "verify": ("verify", "shop"),
    "plan": ("plan", "shop.yaml"),
    "up": ("up", "shop.yaml"),
    "up of another": ("up", "other.yaml"),
    "undo": ("undo", "shop"),
    "down without a word": ("down",),
    "enable": ("enable", "shop.yaml"),
}
WAYS = {
    "exec": command("exec", "web"),
    "ip netns exec": ["ip", "netns", "exec", "web"],
    "nsenter": ["nsenter", "--net=/run/netns/web"],
}


@pytest.mark.parametrize("way", WAYS)
@on_a_host
def test_inside_a_lab_netloom_says_where_it_is(way: str) -> None:
    """Whichever way that was entered: a lab's namespace is no host, and nothing is touched."""
    write("shop.yaml", SHOP)
    write("other.yaml", "namespaces: [b]\n")
    netloom("up", "-q", "shop.yaml").status(0)
    with no_trace():
        for name, words in VERBS.items():
            done = ran(*WAYS[way], *command(*words), check=False)
            assert (done.returncode, done.stdout, done.stderr) == (2, "", INSIDE), name
        assert ran(*WAYS[way], *command("ls")).stdout == "shop.switch  shop\nweb          shop\n"
        assert ran(*WAYS[way], *command("identify")).stdout == "web  lab shop\n"
        labs = json.loads(ran(*WAYS[way], *command("labs", "--json")).stdout)
        assert [row["state"] for row in labs] == ["up"]
    netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
    netloom("down", "-q", "shop").status(0)


# ── host ──────────────────────────────────────────────────────────────────────────────────────────


@on_a_machine
def test_host_is_the_outer_namespace_of_a_plain_user_s_labs() -> None:
    """There `ip netns` shows their names, and what is named there stays; without a lab is none."""
    says("ip", "netns", "add", "roots")
    with new_plain_user(shop=SHOP) as user:
        none = "you have no lab here, so there is no `host` of your own\n"
        for words in (("exec", "host", "ip", "netns", "list"), ("shell", "host")):
            done = user(*words)
            assert (done.returncode, done.stderr.startswith(none)) == (125, True), done

        user.says("up", "-q", "shop.yaml")
        assert user.says("exec", "host", "ip", "netns", "list") == "web\nshop.switch\n"
        assert user.says("exec", "host", "--", "ip", "-br", "link").startswith("lo ")
        assert "10.20.0.1" in user.says("exec", "host", "ip", "-n", "web", "-4", "-br", "a")
        user.says("exec", "host", "ip", "netns", "add", "mine")
        assert user.says("ls") == "mine\nshop.switch  shop\nweb          shop\n"
        assert user.says("shell", "host", SHELL="/bin/true") == ""
        user.says("del", "mine")
        user.says("down", "-q", "shop")


@on_a_host
def test_host_is_the_machine_itself_for_root() -> None:
    """With its network and its mounts; a namespace of that name comes first."""
    assert ended("exec", "host", "ip", "-br", "link").stdout == says("ip", "-br", "link")
    says("ip", "netns", "add", "host")
    assert ended("exec", "host", "ip", "-br", "link").stdout.startswith("lo ")
    assert "eth0" not in ended("exec", "host", "ip", "-br", "link").stdout


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────

JOINS = "networks: {j: {from: shop/lan, range: 10.20.0.128/25}}\nnamespaces: {q: {networks: [j]}}\n"
ROOTS_LAB = {
    "verify": ("verify", "shop"),
    "down": ("down", "shop"),
    "undo": ("undo", "shop"),
    "undo --list": ("undo", "--list", "shop"),
    "run --network": ("run", "--network", "shop/lan", "true"),
}
ROOTS_NAME = {
    "exec": ("exec", "web", "true"),
    "shell": ("shell", "web"),
    "pids": ("pids", "web"),
    "wire": ("wire", "web:q", "host:p"),
    "move": ("move", "web:lan", "host"),
}


@pytest.mark.parametrize("has_labs", [False, True], ids=["no lab", "a lab"])
@on_a_host
def test_a_plain_user_is_told_that_a_lab_is_root_s(has_labs: bool) -> None:  # noqa: FBT001
    """With the command for sudo, whether the user has labs, and so namespaces, or not."""
    with new_plain_user(shop=SHOP, other="namespaces: [mine]\n", joins=JOINS) as user:
        write("shop.yaml", SHOP)
        netloom("up", "-q", "shop.yaml").status(0)
        if has_labs:
            user.says("up", "-q", "other.yaml")

        for name, words in (ROOTS_LAB | ROOTS_NAME).items():
            done = user(*words)
            sudo = f"hint: sudo {user.folder}/-c {' '.join(words)}\n"
            assert done.returncode == (125 if name in {"run --network", "exec", "shell"} else 2), (
                name
            )
            assert (done.stdout, sudo in done.stderr) == ("", True), done
            assert "unshare" not in done.stderr, name
            if name in ROOTS_LAB:
                assert done.stderr.startswith("the lab `shop` is root's\n"), done
            elif has_labs:
                assert done.stderr.startswith("no namespace `web` here: `web` is root's\n"), done
        joins = user("plan", "joins.yaml").stderr
        assert joins.startswith("joins.yaml:1:22: the lab `shop` is root's\n")
        assert "another user's" in user.says("labs")
        own = "other  down: 1 namespace; the host is as it was\n" if has_labs else ""
        assert user.says("down", "--all") == own
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)


@on_a_host
def test_the_file_of_root_s_lab_makes_a_plain_user_one_of_its_own() -> None:
    """Root's, its links in /etc/netns and what a reboot leaves of them are in nobody's way."""
    with new_plain_user(shop=SHOP) as user:
        write("shop.yaml", SHOP)
        netloom("up", "-q", "shop.yaml").status(0)
        expected = "shop is not up (one of that name is root's)\n"
        assert user("verify", "shop.yaml").stderr == expected
        assert user.says("down", "shop.yaml") == expected

        plan = user.says("plan", "shop.yaml")
        assert "+ netns web\n" in plan
        assert "- " not in plan
        user.says("up", "-q", "shop.yaml")
        assert user.says("verify", "shop") == "shop  is as it was applied\n"
        ran("rm", "-r", "/run/netloom")  # as a reboot does, by which links in /etc/netns stay
        assert user.says("verify", "shop") == "shop  is as it was applied\n"
        user.says("down", "-q", "shop")
        user.says("up", "-q", "shop.yaml")
        user.says("down", "-q", "shop")


@on_a_host
def test_root_is_told_that_a_lab_is_a_plain_user_s() -> None:
    """And whose: with the command for sudo as that user."""
    with new_plain_user(other="networks: {lan: }\nnamespaces: {mine: {networks: [lan]}}\n") as user:
        user.says("up", "-q", "other.yaml")
        for verb in ("down", "verify", "undo"):
            assert (
                ended(verb, "other").stderr.splitlines()[0]
                == "the lab `other` is the user `nobody`'s"
            )
        run = ended("run", "--network", "other/lan", "true")
        assert (run.returncode, run.stderr.splitlines()[0]) == (
            125,
            "the lab `other` is the user `nobody`'s",
        )
        by_hand: tuple[tuple[str, ...], ...] = (("exec", "mine", "true"), ("del", "mine"))
        for words in by_hand:
            first, second, *_ = ended(*words).stderr.splitlines()
            assert first == "no namespace `mine` here: `mine` is the user `nobody`'s"
            assert second == f"hint: sudo -u nobody {Path.cwd()}/netloom {' '.join(words)}"
        user.says("down", "-q", "other")


@on_a_host
def test_a_plain_user_s_host_is_told_as_such_by_move_too() -> None:
    """The card is the machine's."""
    with new_plain_user(other="namespaces: [mine]\n") as user:
        user.says("up", "-q", "other.yaml")
        told = user("move", "host:eth0", "mine").stderr
        assert "without root the host is one of your own, with `lo` alone: sudo " in told
        user.says("down", "-q", "other")


@on_a_host
def test_who_may_not_look_says_so() -> None:
    """Of root's namespace nobody else sees who lives there: it is not said to be empty."""
    says("ip", "netns", "add", "web")
    with new_plain_user() as user:
        assert user.says("identify", "web") == "web  one may not look inside\n"
        assert user("pids", "web").returncode == 2
        told = user("del", "web").stderr
        assert told.startswith("cannot change /run/netns/web: Operation not permitted\nhint: sudo ")
        assert "unshare" not in told
