"""Several at once: of one lab one refuses politely, of several labs none notices the others."""

import fcntl
import os
import subprocess

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, netloom, write
from tests.hosts.programs import says
from tests.hosts.witness import no_trace

LAB = """\
networks:
  lan: {subnet: 10.20.0.0/24}
namespaces:
  NAME: {count: 3, networks: [lan]}
"""


def started(*words: str) -> subprocess.Popen[str]:
    """Start netloom, and let it run."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command(*words), stdout=pipe, stderr=pipe, text=True)


def outcomes(*running: subprocess.Popen[str]) -> list[tuple[int | None, str]]:
    """Return how several ended, and what they said on standard error."""
    said = [process.communicate(timeout=60)[1] for process in running]
    return [(process.returncode, talk) for process, talk in zip(running, said, strict=True)]


@pytest.mark.parametrize("verb", [("up", "shop.yaml"), ("down", "shop"), ("undo", "shop")])
@on_a_host
def test_while_another_changes_the_lab_one_is_refused(verb: tuple[str, ...]) -> None:
    """The lock is the lab's folder; whoever finds it taken touches nothing and says so."""
    write("shop.yaml", LAB.replace("NAME", "n"))
    netloom("up", "-q", "shop.yaml").status(0)
    folder = os.open("/run/netloom/labs/shop", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    with no_trace():
        netloom(*verb).stderr(
            "another netloom is changing the lab `shop`\n"
            "hint: try again when it has finished\n"
            "nothing was touched\n"
        ).status(2)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)

    os.close(folder)
    netloom("down", "-q", "shop").status(0)


@on_a_host
def test_of_several_ups_of_one_lab_each_makes_it_or_refuses() -> None:
    """However they meet, the lab is whole afterwards, and one `down` takes it away."""
    write("shop.yaml", LAB.replace("NAME", "n"))

    with no_trace():
        ended = outcomes(*(started("up", "shop.yaml") for _ in range(4)))
        assert (0, "") in ended
        assert {status for status, _ in ended} <= {0, 2}
        assert all("another netloom" in said for status, said in ended if status)
        netloom("verify", "shop").stdout("shop  is as it was applied\n").status(0)
        netloom("down", "-q", "shop").status(0)


@on_a_host
def test_an_up_and_a_down_of_one_lab_leave_all_or_nothing() -> None:
    """One of them comes second, or is refused; half a lab is never left."""
    write("shop.yaml", LAB.replace("NAME", "n"))
    with no_trace():
        netloom("up", "-q", "shop.yaml").status(0)
        outcomes(started("down", "shop"), started("up", "shop.yaml"), started("down", "shop"))

        names = says("ip", "netns", "list").split()
        assert len([name for name in names if name.startswith("n")]) in {0, 3}
        netloom("down", "-q", "shop.yaml").status(0)


@on_a_host
def test_two_labs_with_the_same_subnets_stand_side_by_side() -> None:
    """That is what namespaces are for: 10.20.0.1 is another machine in each."""
    write("one.yaml", LAB.replace("NAME", "a"))
    write("two.yaml", LAB.replace("NAME", "b"))

    with no_trace():
        ended = outcomes(started("up", "one.yaml"), started("up", "two.yaml"))
        assert ended == [(0, ""), (0, "")]
        for name in ("a1", "b1"):
            assert "10.20.0." in says("ip", "-n", name, "-4", "addr")
        netloom("verify", "one").stdout("one  is as it was applied\n").status(0)
        netloom("down", "-q", "one").status(0)
        netloom("verify", "two").stdout("two  is as it was applied\n").status(0)
        netloom("down", "-q", "two").status(0)


@on_a_host
def test_many_labs_come_and_go_at_once() -> None:
    """/run/netns, /etc/netns and /run/netloom are shared by all, and gone after the last."""
    labs = [f"lab{number}" for number in range(6)]
    for lab in labs:
        write(f"{lab}.yaml", LAB.replace("NAME", f"{lab}-"))

    with no_trace():
        assert outcomes(*(started("up", f"{lab}.yaml") for lab in labs)) == [(0, "")] * 6
        assert outcomes(*(started("down", lab) for lab in labs[:3])) == [(0, "")] * 3
        mixed = [started("up", f"{lab}.yaml") for lab in labs[:3]]
        mixed += [started("down", lab) for lab in labs[3:]]
        assert outcomes(*mixed) == [(0, "")] * 6
        assert outcomes(*(started("down", lab) for lab in labs[:3])) == [(0, "")] * 3
