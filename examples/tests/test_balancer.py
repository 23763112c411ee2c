"""nginx before two back ends: who serves, and what a client sees when one of them is lost.

In place of: balancer.sh, beside this file.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from netloom import Lab, Netns

CONF = str(Path(__file__).with_name("nginx.conf"))


@pytest.fixture
def servers(lab: Lab, tmp_path: Path) -> dict[str, Popen[bytes]]:
    """Return the servers of two back ends; a client reaches them by the balancer only."""
    lab.network("front")
    lab.network("back", subnet="10.2.0.0/24")  # no IPv6: two addresses are two back ends to nginx
    lab.netns("client", networks=["front"])
    webs = lab.netns("web", count=2, networks=["back"])
    servers = {web.name: serve(web, tmp_path) for web in webs}
    balancer = lab.netns("balancer", networks=["front", "back"])
    balancer.popen(["nginx", "-e", "stderr", "-p", str(tmp_path), "-c", CONF], ready="tcp/80")
    return servers


def serve(web: Netns, folder: Path) -> Popen[bytes]:
    """Serve a page that tells the name of the back end."""
    page = folder / web.name / "name"
    page.parent.mkdir(exist_ok=True)
    page.write_text(web.name)
    command = [sys.executable, "-m", "http.server", "80", "--directory", str(page.parent)]
    return web.popen(command, ready="tcp/80")


def ask(lab: Lab) -> str:
    """Return the name of the back end that served the client."""
    command = ["curl", "-sf", "--max-time", "5", "http://balancer/name"]
    return lab["client"].run(command, text=True, capture_output=True).stdout


def tries(seconds: float = 15) -> Iterator[None]:
    """Go on for so many seconds: nginx tells nobody when it tries a back end again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield


@pytest.mark.usefixtures("servers")
def test_both_serve_in_turn(lab: Lab) -> None:
    """One request each, again and again."""
    assert [ask(lab) for _ in range(6)] in (["web1", "web2"] * 3, ["web2", "web1"] * 3)


@pytest.mark.usefixtures("servers")
def test_one_is_cut_off(lab: Lab) -> None:
    """All requests are answered by the other; healed, it serves again."""
    with lab.partition("balancer", "web1"):
        assert {ask(lab) for _ in range(6)} == {"web2"}
    assert any(ask(lab) == "web1" for _ in tries())


def test_one_is_killed(lab: Lab, servers: dict[str, Popen[bytes]], tmp_path: Path) -> None:
    """The same when its process ends; started anew, it serves again."""
    servers["web1"].kill()
    servers["web1"].wait()
    assert {ask(lab) for _ in range(6)} == {"web2"}
    serve(lab["web1"], tmp_path)
    assert any(ask(lab) == "web1" for _ in tries())
