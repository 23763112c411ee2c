"""Any error is a refusal: what is said after it is true, and nothing is left of what was undone."""

import os
from pathlib import Path

import pytest

from tests.cli.test_uplink_walk import everything
from tests.hosts.internet import on_the_internet
from tests.hosts.netloom import Warm, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import differences

UPLINK = """\
name: shop
networks:
  lan: {subnets: [10.100.0.0/24, "fd00:100::/64"], uplink: nat}
namespaces:
  db: {networks: [lan]}
  web: {networks: [lan], publish: "8080:80"}
"""
STEPS = {"nr_inodes": [str(n) for n in range(2, 60)], "size": [f"{k}k" for k in range(4, 100, 4)]}


@pytest.mark.parametrize("what", ["nr_inodes", pytest.param("size", marks=pytest.mark.long)])
@on_the_internet()
def test_a_lab_with_a_way_out_leaves_nothing_where_run_is_full(what: str) -> None:
    """From no room at all to just enough, rules and shared settings of the host included."""
    says("mount", "-t", "tmpfs", "-o", "mode=755", "work", "/mnt")
    os.chdir("/mnt")
    write("first.yaml", UPLINK)
    statuses: list[int] = []
    with Warm() as warm:
        for room in STEPS[what]:
            says("mount", "-t", "tmpfs", "-o", f"mode=755,{what}={room}", "run", "/run")
            Path("/run/netns").mkdir()
            before = everything()
            answer = warm.ask(["up", "first.yaml"])
            statuses.append(answer["status"])
            if answer["status"] == 0:
                warm("down", "first.yaml")
            else:
                assert "No space left on device" in answer["stderr"]
                told = {1: "has been undone", 2: "nothing was touched"}[answer["status"]]
                assert told in answer["stderr"], answer
            assert differences(before, everything()) == "", (room, answer)
            ran("umount", "-l", "/run/netns", check=False)
            says("umount", "-l", "/run")
            if answer["status"] == 0:
                break
    assert statuses[-1] == 0
    assert set(statuses) == {2, 1, 0}
