"""What files come to, whole: as the script that would make them, with what is told besides.

    python -m tests.pure.test_lowered     writes all of it anew; look at the difference

The files are the examples, and those in `lowered/`, which say what no example says; `*.then` is
what three of them say a day later. The host is one that has something of everything.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from netloom.compile.lower import HostFacts, lower
from netloom.datapath.fib import BASE_RULES
from netloom.errors import TopologyError
from netloom.language.parse import Source, parse
from netloom.model.facts import HostSubnet, Joined, Nic, Occupied, TakenPort, UplinkFacts
from netloom.model.lab_state import Foreign, LabState
from netloom.model.objects import NOTHING, NetnsState
from netloom.plan.diff import diff
from netloom.plan.simulate import after
from netloom.render.script import script
from netloom.render.text import line
from tests.pure.outside import default
from tests.pure.worlds import bare

HERE = Path(__file__).parent / "lowered"
FILES = sorted((*HERE.glob("*.yaml"), *(HERE.parents[2] / "examples").glob("*.yaml")))

LINKS = ("lo", "eth0", "wlan0.7", "docker0", "virbr0", "shop")
EDITED = sorted(HERE.glob("*.then"))
AROUND = HostFacts(
    host=Occupied((HostSubnet("10.64.0.0/24", "eth0"),), dict.fromkeys(LINKS)),
    hostname="house",
    folder="/srv",
    outside=UplinkFacts(
        links=dict.fromkeys(LINKS, ""),
        of_labs=frozenset({"shop"}),
        bridges=frozenset({"docker0", "virbr0", "br-nat"}),
        resolvers="nameserver 192.0.2.53\n",
        routes=(default("eth0"), default("eth0", 6)),
        rules=BASE_RULES,
        forwards=frozenset({"docker0"}),
        learners=frozenset({"eth0", "wlan0.7"}),
        taken=(TakenPort("tcp", "127.0.0.1", 22, "sshd"),),
        program="/usr/bin/pasta",
        subnets=(HostSubnet("192.0.2.0/24", "eth0"),),
    ),
    joined={
        "virbr0": Joined("virbr0", ("192.168.122.0/24",)),
        "office/lan": Joined("lan", ("10.80.0.0/24",), netns="office.switch"),
    },
    nics={"eth2": Nic("02:00:00:00:00:01"), "eth3": Nic("")},
)


def told(path: Path) -> str:
    """Return what a file comes to, or what is wrong with it."""
    try:
        source = parse(path.read_text(), file=path.name, name=path.stem)
        return "".join(f"{line}\n" for line in _made(source))
    except TopologyError as error:
        return "".join(f"{problem}\n\n" for problem in error.problems)


def _made(source: Source) -> Iterator[str]:
    try:
        lowered = lower(source.topology, AROUND)
    except TopologyError as error:
        raise source.error(error.problems) from None
    yield script(diff(lowered.desired, LabState()), lowered.desired.folders)
    yield from (f"# note: {note}" for note in lowered.notes)
    yield from (f"# passes: {through}" for through in lowered.through)


def planned(path: Path) -> str:
    """Return how a file is led to what it says a day later, back, and to nothing."""
    first, then = (lower(parse(each.read_text()).topology, AROUND).desired for each in _pair(path))
    foreign = Foreign(links={"host": ("virbr0", "eth2"), "office.switch": ("lan",)})
    around = {name: netns for name, netns in first.netns.items() if netns.borrowed}
    empty = replace(bare(first), foreign=foreign)
    empty = replace(
        empty, netns={**empty.netns, **dict.fromkeys(around, NetnsState(borrowed=True))}
    )
    text, state = "", after(diff(first, empty), empty)
    for title, wanted in (("a day later", then), ("back", first), ("down", NOTHING)):
        plan = diff(wanted, state)
        text += f"# {title}\n" + "".join(f"{line(step)}\n" for step in plan)
        state = after(plan, state)
        assert diff(wanted, state) == ()
    return text


def _pair(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".yaml"), path


@pytest.mark.parametrize("path", EDITED, ids=lambda path: path.stem)
def test_an_edit_comes_to_its_plan(path: Path) -> None:
    """Every step, in its order: no more is taken away and made anew than must be."""
    assert planned(path) == path.with_suffix(".plan").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_comes_to_its_script(path: Path) -> None:
    """Every link, address, route, rule and setting of it, every line of its firewalls and files."""
    assert told(path) == (HERE / f"{path.stem}.sh").read_text()


def main() -> None:
    """Write what each file comes to."""
    for path in EDITED:
        path.with_suffix(".plan").write_text(planned(path))
    for path in FILES:
        (HERE / f"{path.stem}.sh").write_text(told(path))


if __name__ == "__main__":
    main()
