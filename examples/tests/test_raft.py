"""Five nodes of a Raft library, and a network that breaks in two: who commits, and who must not.

In place of: raft.sh, beside this file.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netloom import Lab, Netns

NODE = str(Path(__file__).with_name("raft_node.py"))


@pytest.fixture
def nodes(lab: Lab) -> tuple[Netns, ...]:
    """Return five nodes on one network, each with the program running in it."""
    lab.network("mesh")
    nodes = lab.netns("n", count=5, networks=["mesh"])
    for node in nodes:
        others = [other.name for other in nodes if other.name != node.name]
        node.popen([sys.executable, NODE, node.name, *others], ready="tcp/8000")
    return nodes


def put(node: Netns, key: str) -> bool:
    """Return whether a node says that a value is committed."""
    url = f"http://localhost:8000/{key}"
    return node.run(["curl", "-sf", "-X", "PUT", "-d", node.name, url]).returncode == 0


def told(node: Netns) -> dict[str, Any]:
    """Return what a node tells of itself: its leader, and its data."""
    url = "http://localhost:8000/"
    answer = node.run(["curl", "-s", url], text=True, capture_output=True).stdout
    known: dict[str, Any] = json.loads(answer)
    return known


def tries(seconds: float = 30) -> Iterator[None]:
    """Go on for so many seconds: that an election is over is told to nobody."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield


def test_only_the_majority_commits(lab: Lab, nodes: tuple[Netns, ...]) -> None:
    """The old leader is with the minority: the others elect one, and in the end all agree."""
    assert any(put(nodes[0], "before") for _ in tries())
    old = next(name for _ in tries() if (name := told(nodes[0])["leader"]))
    few = [lab[old], next(node for node in nodes if node.name != old)]
    many = [node for node in nodes if node.name not in {one.name for one in few}]

    with lab.partition(few, many):
        assert any(put(many[0], "majority") for _ in tries())
        assert any(told(many[0])["leader"] in {node.name for node in many} for _ in tries())
        assert not any(put(node, "minority") for node in few)
        assert all("minority" not in told(node)["data"] for node in nodes)
        assert all("majority" not in told(node)["data"] for node in few)

    assert any(put(few[0], "after") for _ in tries())
    assert any(len({str(told(node)["data"]) for node in nodes}) == 1 for _ in tries())
    assert {"before", "majority", "after"} <= told(few[0])["data"].keys()
