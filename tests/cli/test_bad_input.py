"""Bad input: every mistake is told with its place, the status is 2, and nothing was touched."""

from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.programs import MAIN, plainly, ran
from tests.hosts.witness import no_trace

LAN = "networks:\n  lan: {subnet: 10.0.0.0/24}\nnamespaces:\n"
MISTAKES = {
    "broken YAML": ("links: [[a, b]\n", "bad.yaml:1:8: this is not closed\n"),
    "no mapping": ("- a\n- b\n", "bad.yaml:1:1: "),
    "nothing at all": ("", "bad.yaml"),
    "bytes that are no text": ("links: \x00\n", "bad.yaml:1:"),
    "an unknown key": (
        "networks:\n  lan: {subnt: 10.0.0.0/24}\n",
        "bad.yaml:2:9: unknown key `subnt` in network `lan`\n  2 |   lan: {subnt: 10.0.0.0/24}\n",
    ),
    "a key twice": ("links:\n  - [a, b]\nlinks:\n  - [a, c]\n", "bad.yaml:3:1: "),
    "a wrong type": ("namespaces: {a: {networks: {lan: [[1]]}}}\nnetworks: [lan]\n", "bad.yaml:1:"),
    "no number": ("links:\n  - {ends: [a, b], mtu: big}\n", "bad.yaml:2:25: "),
    "an MTU that no link has": ("links:\n  - {ends: [a, b], mtu: 12}\n", "bad.yaml:2:25: "),
    "no address": ("links:\n  - [a 10.0.0.300/24, b]\n", "bad.yaml:2:"),
    "an address without a length": ("links:\n  - [a 10.0.0.1, b 10.0.0.2]\n", "bad.yaml:2:"),
    "an address outside of its subnet": (
        LAN + "  a: {networks: {lan: 10.9.0.1}}\n",
        "bad.yaml:4:",
    ),
    "the same address twice": (
        LAN + "  a: {networks: {lan: 10.0.0.5}}\n  b: {networks: {lan: 10.0.0.5}}\n",
        "bad.yaml:5:",
    ),
    "a subnet that is too small": (
        "networks:\n  lan: {subnet: 10.0.0.0/30}\nnamespaces:\n  n: {count: 9, networks: [lan]}\n",
        "bad.yaml:",
    ),
    "no such network": (
        "networks: {internal: }\nnamespaces: {a: {networks: [internl]}}\n",
        "did you mean `internal`?",
    ),
    "a resolver that there is not": (
        LAN + "  a: {networks: [lan], dns: [a, nobody]}\n",
        "bad.yaml:4:33: `nobody` is neither an address nor a name here that has one\n",
    ),
    "a resolver at an address that nobody has": (
        LAN.replace("24}", "24, dns: 10.0.0.77}")
        + "  a: {networks: [lan]}\n  b: {networks: [lan]}\n",
        "bad.yaml:2:35: no member of network `lan` has 10.0.0.77\n",
    ),
    "a wire to nowhere": (
        "namespaces: {blue: }\nlinks:\n  - [blue, bleu]\n",
        "bad.yaml:3:12: no namespace `bleu`: a wire to nowhere\n",
    ),
    "a wire with one end": ("links:\n  - [a]\n", "bad.yaml:2:"),
    "a wire with itself": ("links:\n  - [a:x, a:x]\n", "bad.yaml:2:"),
    "an interface twice": ("links:\n  - [a:x, b]\n  - [a:x, c]\n", "bad.yaml:3:"),
    "one name for two things": ("networks: {a: }\nnamespaces: {a: }\n", "bad.yaml:"),
    "a reserved name": ("namespaces: {docker: }\n", "bad.yaml:1:14: "),
    "a name that is a path": ("namespaces: {a/b: }\n", "bad.yaml:1:14: "),
    "a name over the limits": (f"namespaces: {{{'a' * 300}: }}\n", "bad.yaml:1:14: "),
    "an interface name over the limits": (
        f"links:\n  - [a:{'x' * 200}, b:y]\n",
        "bad.yaml:2:",
    ),
    "a subnet of the host's": (
        LAN.replace("10.0.0", "192.0.2") + "  host: {networks: [lan]}\n",
        "bad.yaml:2:17: 192.0.2.0/24 of network `lan` overlaps 192.0.2.0/24 on host:eth0\n",
    ),
    "an interface of the host's": (
        "links:\n  - [host:eth0 10.0.0.1/24, a:x 10.0.0.2/24]\n",
        "an interface `host:eth0` exists, and is not this lab's",
    ),
    "a gateway that nobody reaches": (
        "namespaces:\n  a: {routes: default via 10.9.9.9}\nlinks:\n  - [a, b]\n",
        "bad.yaml:",
    ),
    "no route": ("namespaces:\n  a: {routes: over the hills}\n", "bad.yaml:2:"),
    "no rule": ("namespaces:\n  a: {rules: be nice}\n", "bad.yaml:2:"),
    "a count that is none": ("namespaces:\n  n: {count: -3}\n", "bad.yaml:2:"),
    "an anchor without end": ("x: &a [*a]\nlinks: *a\n", "bad.yaml:"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@on_a_host
def test_a_mistake_is_told_and_nothing_is_touched(mistake: str) -> None:
    """The place in the file, status 2, no word on standard output, the machine as it was."""
    text, said = MISTAKES[mistake]
    write("bad.yaml", text)

    with no_trace():
        end = ended("up", "bad.yaml")
    assert (end.returncode, end.stdout) == (2, ""), end
    assert said in end.stderr
    assert end.stderr.endswith("nothing was touched\n")
    assert ended("plan", "bad.yaml").stderr == end.stderr


THREE = """\
networks:
  lan: {subnt: 10.0.0.0/24}
links:
  - [a, b, {mtu: big}]
  - [a]
"""


@on_a_host
def test_all_mistakes_are_told_at_once() -> None:
    """In the order of their places, and counted."""
    write("netloom.yaml", THREE)

    netloom("up").stderr(
        "netloom.yaml:2:9: unknown key `subnt` in network `lan`\n"
        "  2 |   lan: {subnt: 10.0.0.0/24}\n"
        "    |         ^^^^^ did you mean `subnet`?\n"
        "netloom.yaml:4:18: `big` is no MTU: a number of bytes, such as `1400`\n"
        "  4 |   - [a, b, {mtu: big}]\n"
        "    |                  ^^^\n"
        "netloom.yaml:5:5: this link takes 2 ends, and here is 1\n"
        "  5 |   - [a]\n"
        "    |     ^^^ write `[A, B]`\n"
        "3 mistakes in netloom.yaml; nothing was touched\n"
    ).status(2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("up", "nope.yaml"), "no file `nope.yaml`\nnothing was touched\n"),
        (("plan", "shpo.yaml"), "no file `shpo.yaml`\nhint: did you mean `shop.yaml`?\n"),
        (("plan",), "no file `netloom.yaml`\nhint: name a FILE, or have `netloom init` write"),
        (("up", "."), "`.` is a folder\nhint: name a topology file\n"),
        (("destroy",), "unknown command `destroy`: did you mean `down`?\n"),
        (("up", "--zulu"), "no such option `--zulu`\nhint: netloom up --help\n"),
        (("up", "--queit"), "no such option `--queit`: did you mean `--quiet`?\n"),
        (("up", "a.yaml", "b.yaml"), "too many words: `b.yaml`\n"),
        (("up", "--timeout", "-1"), "`--timeout`: `-1` is no number of seconds\n"),
        (("capture", "--count", "0"), "`--count`: `0` is no whole number from 1 on\n"),
        (("capture", "--count"), "option `--count` needs N\n"),
        (("move", "a:b"), "`NS[:IF]` is missing\n"),
        (("plan", "--as", "tcl"), "`tcl` is not `ip`\n"),
        (("-x",), "no such option `-x`\nhint: netloom --help\n"),
        (("down", "../../etc"), "etc is not up"),
    ],
)
@on_a_host
def test_wrong_words_are_told(words: tuple[str, ...], said: str) -> None:
    """A mistake in the command itself: the same status, no traceback."""
    write("shop.yaml", "links: [[a, b]]\n")
    with no_trace():
        end = ended(*words)
    assert said in end.stdout + end.stderr
    assert end.returncode == (0 if "is not up" in said else 2)


@pytest.mark.parametrize("name", ["../escape", "a/b", "..", "."])
@on_a_host
def test_a_lab_s_name_leads_nowhere_else(name: str) -> None:
    """The lab's name is a folder below /run/netloom: it must not climb out of it."""
    write("bad.yaml", f"name: '{name}'\nlinks:\n  - [a, b]\n")

    with no_trace():
        assert ended("up", "bad.yaml").returncode == 2
        ended("down", name)


@on_a_host
def test_a_file_that_may_not_be_read_is_told() -> None:
    """Unreadable is not missing."""
    write("rb.yaml", "links:\n  - [red, blue]\n").chmod(0o600)
    Path("/run/here").chmod(0o755)

    run = ran(*plainly(MAIN, "plan", "rb.yaml"), check=False)

    assert run.returncode == 2
    assert "rb.yaml" in run.stderr
    assert "read" in run.stderr


@on_a_host
@pytest.mark.needs("strace")
def test_a_kernel_without_network_namespaces_is_told_before_anything_is_touched() -> None:
    """CONFIG_NET_NS off: unshare(CLONE_NEWNET) is answered EINVAL, and here strace says so."""
    write("rb.yaml", "networks: {lan: }\nnamespaces: {a: {networks: [lan]}}\n")
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=unshare:error=EINVAL")
    with no_trace():
        run = ran(*strace, *command("up", "rb.yaml"), check=False)

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("this kernel has no network namespaces (CONFIG_NET_NS)")
    assert run.stderr.endswith("nothing was touched\n")
