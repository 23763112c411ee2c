"""Where netloom is run: inside a lab, beside another user's labs, in the outer namespace."""

import json

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
