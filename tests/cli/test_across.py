"""Labs that come up at the same moment: what there is once on a host, one lab has."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_interface
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_enable import TEMPLATE
from tests.cli.test_no_trace import sampled
from tests.hosts.host import on_a_host
from tests.hosts.internet import WEB4, on_the_internet, pings, server
from tests.hosts.netloom import Warm, command, ended, netloom, write
from tests.hosts.plain import Plain, may_make_a_tap, plain_user
from tests.hosts.programs import living, python, ran, says
from tests.hosts.witness import no_trace

HOST_DIR = "/run/netloom/host"
LABS = 8
LAB = """\
name: qNUMBER
networks: {lan: {uplink: nat}}
namespaces:
  mNUMBER: {networks: [lan]}
  wNUMBER:
links:
  - [host, wNUMBER]
"""
WITH_PORT = LAB.replace("[lan]", '[lan], publish: "8080:80"')
SHOP = """\
name: shop
networks: {lan: {uplink: nat}}
namespaces: {web: {networks: [lan], publish: "8080:80"}}
"""
OFFICE = SHOP.replace("shop", "office").replace("web", "desk")


def written(text: str, name: str) -> list[str]:
    """Write a file for each of the labs, and return their names."""
    files = [f"{name}{number}.yaml" for number in range(LABS)]
    for number, file in enumerate(files):
        write(file, text.replace("NUMBER", str(number)))
    return files


class AtOnce:
    """As many netlooms as there are labs, which begin at the same moment."""

    def __init__(self, stack: ExitStack) -> None:
        """Start them; they wait."""
        self._warm = [stack.enter_context(Warm()) for _ in range(LABS)]
        self._pool = stack.enter_context(ThreadPoolExecutor(LABS))

    def __call__(self, verb: str, files: Sequence[str | None]) -> list[dict[str, Any]]:
        """Return how the verb ended for each file; None: for none."""
        pairs = [(warm, [verb, file]) for warm, file in zip(self._warm, files, strict=True) if file]
        return list(self._pool.map(lambda pair: pair[0].ask(pair[1]), pairs))


@on_the_internet()
def test_labs_that_come_up_at_once_have_nothing_in_common() -> None:
    """No subnet, no address, no interface, no port; each is on the internet, and as it was applied.

    All name their network alike and want the same port; who is refused comes up without it.
    """
    both = written(WITH_PORT, "port"), written(LAB, "lab")
    with no_trace(), ExitStack() as stack:
        at_once = AtOnce(stack)
        for _ in range(200 // sampled(20)):
            came_up_at_once(at_once, *both)
            assert failed(at_once("down", [f"q{number}" for number in range(LABS)])) == []
            assert not Path("/run/netloom").exists()


def came_up_at_once(at_once: AtOnce, with_port: list[str], without: list[str]) -> None:
    """Bring all up, and check all that they promise."""
    tried = at_once("up", with_port)
    statuses = [each["status"] for each in tried]
    assert sorted(statuses) == [0, *[2] * (LABS - 1)], tried
    holder = statuses.index(0)
    refusal = f"port 8080 of the host is taken: the lab `q{holder}` publishes it"
    assert all(refusal in each["stderr"] for each in tried if each["status"])
    assert says("nft", "list", "ruleset").count("dport 8080 dnat ip to") == 2
    others = [None if number == holder else file for number, file in enumerate(without)]
    assert failed(at_once("up", others)) == []
    subnets = [subnet for found in subnets_by_link().values() for subnet in found]
    assert len(subnets) == LABS * 4 + 2
    assert not [pair for pair in combinations(subnets, 2) if overlap(*pair)]
    assert all(pings(f"m{number}", WEB4) for number in range(LABS))
    assert failed(at_once("verify", [f"q{number}" for number in range(LABS)])) == []


def failed(ends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how those ended that did not end well."""
    return [each for each in ends if each["status"]]


def subnets_by_link() -> dict[str, list[Any]]:
    """Return the subnets on the host's interfaces, link-local ones left out."""
    return {
        link["ifname"]: [
            ip_interface(f"{addr['local']}/{addr['prefixlen']}").network
            for addr in link["addr_info"]
            if addr["scope"] == "global"
        ]
        for link in json.loads(says("ip", "-j", "address"))
    }


def overlap(one: Any, two: Any) -> bool:
    """Whether two subnets have an address in common."""
    return bool(one.version == two.version and one.overlaps(two))


@pytest.mark.long
@on_the_internet()
def test_labs_that_systemd_starts_at_once_at_boot_are_all_there() -> None:
    """By the unit's own line, twenty at a time, as after a boot."""
    labs = range(20)
    for number in labs:
        write(f"q{number}.yaml", LAB.replace("NUMBER", str(number)))
        assert ended("enable", f"q{number}.yaml").returncode == 0
    with no_trace():
        assert started_by_unit("ExecStart", labs) == [0] * len(labs)
        subnets = [subnet for found in subnets_by_link().values() for subnet in found]
        assert not [pair for pair in combinations(subnets, 2) if overlap(*pair)]
        assert all(pings(f"m{number}", WEB4) for number in labs)
        assert started_by_unit("ExecStop", labs) == [0] * len(labs)


def started_by_unit(key: str, labs: range) -> list[int]:
    """Start a line of the unit for each of the labs, as systemd.service(5) has it; their ends."""
    (line,) = [text for text in TEMPLATE.read_text().splitlines() if text.startswith(f"{key}=:")]
    words = shlex.split(line.removeprefix(f"{key}=:"))
    started = [
        subprocess.Popen(
            [word.replace("%f", f"/run/here/q{number}.yaml").replace("%%", "%") for word in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
        )
        for number in labs
    ]
    return [process.wait(120) for process in started]


# ── the lock ──────────────────────────────────────────────────────────────────────────────


@contextmanager
def somebody_looks(lab: str) -> Iterator[int]:
    """Have a process hold the lock of the machine, and that of its lab, as an `up` does."""
    for folder in (f"/run/netloom/labs/{lab}", HOST_DIR):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path(HOST_DIR, lab).touch()
    with living("flock", "-F", f"/run/netloom/labs/{lab}", "flock", "-F", HOST_DIR) as pid:
        yield pid
    Path(HOST_DIR, lab).unlink()
    for folder in (f"/run/netloom/labs/{lab}", "/run/netloom/labs", HOST_DIR, "/run/netloom"):
        with suppress(OSError):  # others are at work there
            Path(folder).rmdir()


@contextmanager
def waiting(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Start netloom, which will have to wait."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(*words), stdout=pipe, stderr=pipe, text=True) as process:
        yield process


@on_the_internet()
def test_who_waits_is_told_for_whom() -> None:
    """After a second, by the lab and the process; then it goes on by itself."""
    write("shop.yaml", SHOP)
    with no_trace():
        with somebody_looks("office") as pid, waiting("up", "-v", "shop.yaml") as up:
            assert up.stderr
            assert up.stderr.readline() == (
                f"waiting for the lab `office` (process {pid}), "
                "which looks for what is free on the host\n"
            )
            assert not Path("/run/netloom/labs/shop/pending").exists()
            os.kill(pid, signal.SIGKILL)
            up.communicate()
            assert up.returncode == 0
        netloom("down", "-q", "shop").status(0)


@on_the_internet()
def test_labs_without_a_part_of_the_host_wait_for_nobody() -> None:
    """Nor does who only looks, or takes a lab down."""
    write("inner.yaml", "networks: [lan]\nnamespaces: {n: {count: 2, networks: [lan]}}\n")
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        with somebody_looks("office"):
            netloom("up", "-q", "inner.yaml").status(0)
            netloom("plan", "shop.yaml").stdout("no changes\n").status(0)
            netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
            for lab in ("inner", "shop"):
                netloom("down", "-q", lab).status(0)


@on_the_internet()
def test_whoever_waits_can_be_interrupted() -> None:
    """Ctrl-C: nothing was touched."""
    write("shop.yaml", SHOP)
    with no_trace(), somebody_looks("office"), waiting("up", "shop.yaml") as up:
        assert up.stderr
        assert up.stderr.readline().startswith("waiting for the lab `office`")
        up.send_signal(signal.SIGINT)
        said = up.communicate()
        assert (up.returncode, said) == (130, ("", "interrupted; nothing was touched\n"))


@on_the_internet()
def test_nobody_else_can_lock_the_machine() -> None:
    """Who is not root can read what a lab has of the host, and not make others wait for it."""
    write("shop.yaml", SHOP)
    netloom("up", "-q", "shop.yaml").status(0)
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    assert '"port":8080' in says(*plain, "cat", f"{HOST_DIR}/shop")
    done = subprocess.run(
        [*plain, "flock", "-n", HOST_DIR, "true"], check=False, capture_output=True
    )
    assert b"Permission denied" in done.stderr


# ── what is noted ─────────────────────────────────────────────────────────────────────────


def killed_once_noted(warm: Warm, *words: str) -> None:
    """Kill netloom when it has noted what it is about to make, and made nothing."""
    calls = warm.calls(*words)
    warm("down", words[-1])
    warm.kill(next(n for n, call in enumerate(calls, 1) if call.endswith("/pending")) + 1, *words)


@on_the_internet()
def test_what_an_up_that_was_killed_has_noted_counts_until_it_is_led_back() -> None:
    """Nothing of it can be seen, and yet nobody gets its port, subnet, interface or route."""
    route = "host: {routes: blackhole 10.99.0.0/24}"
    write("shop.yaml", SHOP.replace("namespaces: {", f"namespaces: {{{route}, "))
    write("route.yaml", f"namespaces: {{{route}}}\n")
    write("office.yaml", OFFICE)
    write("other.yaml", OFFICE.replace(', publish: "8080:80"', ""))
    given = "links: [[host:NAME 10.64.0.9/29, wire]]\n"
    write("given.yaml", given.replace("NAME", "eth7"))
    write("named.yaml", given.replace("NAME 10.64.0", "lan 10.71.0"))
    with no_trace(), Warm() as warm:
        killed_once_noted(warm, "up", "shop.yaml")
        assert "lan" not in says("ip", "-br", "link")
        for file, refusal in {
            "office.yaml": "port 8080 of the host is taken: the lab `shop` publishes it",
            "given.yaml": "overlaps 10.64.0.0/24 on host:lan (the lab `shop`)",
            "route.yaml": "the host has a route to 10.99.0.0/24, which is the lab `shop`'s",
            "named.yaml": "an interface `host:lan` exists, and is the lab `shop`'s",
        }.items():
            assert refusal in warm("up", file, status=2)["stderr"]
        warm("up", "other.yaml")
        assert "lan.office@" in says("ip", "-br", "link")
        assert "10.64.1.1/24" in says("ip", "-br", "address", "show", "lan.office")
        warm("down", "office")
        warm("down", "shop")
        warm("up", "office.yaml")
        assert "10.64.0.1/24" in says("ip", "-br", "address", "show", "lan")
        warm("down", "office")


@on_the_internet()
def test_what_a_lab_gives_up_is_free_and_not_before_it_is_gone() -> None:
    """A change that was killed has what was, and what was to be; `undo` frees that again."""
    write("shop.yaml", SHOP)
    write("moved.yaml", SHOP.replace("8080:80", "8081:80"))
    write("old.yaml", OFFICE)
    write("new.yaml", OFFICE.replace("8080:80", "8081:80"))
    with no_trace(), Warm() as warm:
        warm("up", "shop.yaml")
        calls = warm.calls("up", "--replace", "moved.yaml")
        warm("undo", "shop")
        noted = next(n for n, call in enumerate(calls, 1) if call.endswith("/pending"))
        warm.kill(noted + 1, "up", "--replace", "moved.yaml")
        warm("up", "old.yaml", status=2)
        warm("up", "new.yaml", status=2)
        warm("undo", "shop")
        warm("up", "old.yaml", status=2)
        warm("up", "new.yaml")
        warm("down", "--all")


@on_the_internet()
def test_undo_takes_nothing_from_another_lab() -> None:
    """What it had before may be another's by now: that is told, and nothing is touched."""
    write("shop.yaml", SHOP)
    write("inner.yaml", "name: shop\nnamespaces: [web]\n")
    write("office.yaml", OFFICE)
    with no_trace(), Warm() as warm:
        warm("up", "shop.yaml")
        warm("up", "--replace", "inner.yaml")
        warm("up", "office.yaml")
        refused = warm("undo", "shop", status=2)["stderr"]
        for taken in (
            "10.64.0.0/24 overlaps 10.64.0.0/24 on host:lan (the lab `office`)",
            "an interface `host:lan` exists (the lab `office`)",
            "port 8080 of the host is taken: the lab `office` publishes it",
        ):
            assert taken in refused
        warm("verify", "office")
        warm("down", "office")
        warm("undo", "shop")
        assert pings("web", WEB4)
        warm("down", "shop")


@on_a_host
def test_a_host_of_another_network_is_another_host() -> None:
    """Whoever runs netloom in a namespace has that one as `host`: there the subnet is free."""
    write("one.yaml", "links: [[host:eth7 10.77.0.1/24, one]]\n")
    write("two.yaml", "links: [[host:eth7 10.77.0.1/24, two]]\n")
    says("ip", "netns", "add", "elsewhere")
    netloom("up", "-q", "one.yaml").status(0)

    refused = ended("up", "two.yaml")
    assert "an interface `host:eth7` exists, and is the lab `one`'s" in refused.stderr
    says("nsenter", "--net=/run/netns/elsewhere", *command("up", "-q", "two.yaml"))
    assert "10.77.0.1/24" in says("ip", "-n", "elsewhere", "address", "show", "eth7")


# ── names ─────────────────────────────────────────────────────────────────────────────────


@on_the_internet()
def test_an_interface_of_the_host_whose_name_is_taken_gets_the_lab_s_name_too() -> None:
    """A network's and a wire's, short and long, from programs and labs; and it keeps that."""
    long = "a-network-of-a-long-name"
    text = f"networks: {{lan: {{uplink: nat}}, {long}: {{uplink: nat}}}}\n"
    text += f"namespaces: {{NAME: {{networks: [lan, {long}]}}, host: }}\nlinks: [[host, NAME]]\n"
    for name in ("a", "b"):
        write(f"{name}.yaml", text.replace("NAME", f"in-{name}"))
    for taken in ("lan", "in-a"):
        says("ip", "link", "add", taken, "type", "bridge")
    with no_trace():
        for name in ("a", "b"):
            netloom("up", "-q", f"{name}.yaml").status(0)
        links = {link["ifname"]: link for link in json.loads(says("ip", "-j", "link"))}
        assert {"lan.a", "in-a.a", "lan.b", "in-b"} <= links.keys()
        for altname in (long, f"{long}.b"):
            assert says("ip", "-br", "link", "show", altname)
        for lab in ("a", "b"):
            netloom("verify", lab).stdout(f"{lab}  is as it was applied\n").status(0)
            netloom("up", f"{lab}.yaml").stdout(f"{lab}  is up; nothing to do\n").status(0)
        netloom("down", "-q", "a").status(0)
        netloom("up", "b.yaml").stdout("b  is up; nothing to do\n").status(0)
        netloom("down", "-q", "b").status(0)


@on_a_host
def test_of_two_labs_that_make_one_namespace_the_second_is_told_of_the_first() -> None:
    """Whichever comes to it first has it; the other is undone, and knows whose it is."""
    write("one.yaml", "namespaces: [web]\n")
    write("two.yaml", "namespaces: [a, web]\n")
    with no_trace(), Warm() as warm:
        warm("up", "two.yaml")  # the first ever makes /run/netns besides
        warm("down", "two")
        late = warm.meanwhile("/run/netns/web", command("up", "-q", "one.yaml"), "up", "two.yaml")
        assert late["status"] == 1
        assert "the name `web` is taken by the lab `one` (File exists)" in late["stderr"]
        assert "all that was done before it has been undone" in late["stderr"]
        later = warm("up", "two.yaml", status=2)
        assert "a namespace `web` exists, and is the lab `one`'s" in later["stderr"]
        warm("verify", "one")
        warm("down", "one")


# ── a port, with and without root ─────────────────────────────────────────────────────────

BLIND = """
from msgspec.structs import replace
from netloom.host import outer_client
look = outer_client.uplink_facts
outer_client.uplink_facts = lambda *asked: replace(look(*asked), taken=())
"""
"""Has an `up` miss what came right after it looked."""


@contextmanager
def plain_on_the_host(*labs: str) -> Iterator[Plain]:
    """Yield a plain user who may make a tap, and has these files."""
    may_make_a_tap()
    folder = Path("/run/here/plain")
    folder.mkdir()
    for lab in labs:
        name = lab.partition("\n")[0].removeprefix("name: ")
        (folder / f"{name}.yaml").write_text(lab)
    with plain_user(folder) as user:
        yield user


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_plain_user_is_told_of_a_port_that_root_s_lab_has() -> None:
    """No socket holds that one: it is noted. Whoever missed it all the same is told by `verify`."""
    write("office.yaml", OFFICE)
    netloom("up", "-q", "office.yaml").status(0)
    with plain_on_the_host(SHOP) as plain:
        refused = plain("up", "shop.yaml")
        assert refused.returncode == 2
        taken = "port 8080 of the host is taken: root's lab `office` publishes it"
        assert taken in refused.stderr
        assert plain("up", "-q", "shop.yaml", before=BLIND).returncode == 0
        verified = plain("verify", "shop")
        assert verified.returncode == 3
        shared = "port 8080 of the host is not the lab's alone: root's lab `office` publishes it\n"
        assert verified.stderr == shared
        mine = ended("verify", "office")
        assert mine.returncode == 3
        assert "port 8080 of the host is not the lab's alone: `pas" in mine.stderr
        netloom("down", "-q", "office").status(0)
        assert plain.says("verify", "shop") == "shop  is as it was applied\n"
        plain.says("down", "-q", "shop")


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_port_that_a_plain_user_s_lab_has_is_no_other_lab_s() -> None:
    """A socket holds it, which root sees; and who comes at the same moment cannot bind another."""
    write("office.yaml", OFFICE)
    with plain_on_the_host(SHOP, OFFICE) as plain:
        plain.says("up", "-q", "shop.yaml")
        refused = plain("up", "office.yaml")
        assert "port 8080 of the host is taken: the lab `shop` publishes it" in refused.stderr
        assert "port 8080 of the host is taken: `pas" in ended("up", "office.yaml").stderr
        late = plain("up", "office.yaml", before=BLIND)
        assert late.returncode == 1
        assert "Failed to bind any port for '-t 8080'" in late.stderr
        plain.says("down", "-q", "--all")


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_single_command_is_told_of_a_port_that_a_lab_has() -> None:
    """`run --publish` could listen there, and nothing would ever come."""
    may_make_a_tap()
    write("office.yaml", OFFICE)
    netloom("up", "-q", "office.yaml").status(0)

    netloom("run", "--publish", "8080:80", "true").stderr(
        "cannot publish `8080:80`: the lab `office` publishes that port\n"
    ).status(125)


@pytest.mark.needs("pasta")
@on_the_internet()
def test_a_program_s_lab_is_told_of_a_port_that_root_s_lab_has() -> None:
    """It has a place of its own, and its way out is the machine's."""
    may_make_a_tap()
    write("office.yaml", OFFICE)
    netloom("up", "-q", "office.yaml").status(0)
    code = f"import netloom\nwith netloom.Lab(netloom.parse({SHOP!r})): pass"

    done = ran(*python(code), check=False)

    assert "port 8080 of the host is taken: root's lab `office` publishes it" in done.stderr


@on_the_internet()
def test_verify_tells_who_came_to_listen_on_a_published_port() -> None:
    """Nothing reaches that program; with it gone all is as it was."""
    write("shop.yaml", SHOP)
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        with server("host", 8080):
            told = ended("verify", "shop")
            assert told.returncode == 3
            assert "port 8080 of the host is not the lab's alone: `" in told.stderr
            netloom("up", "shop.yaml").stdout("shop  is up; nothing to do\n").status(0)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("down", "-q", "shop").status(0)
