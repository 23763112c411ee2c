"""A client, a proxy and an origin in a row: nothing gets to the origin but through the proxy.

In place of: proxy.sh, beside this file.
"""

import sys
from pathlib import Path
from subprocess import Popen

import pytest

from netloom import Lab

CONF = str(Path(__file__).with_name("tinyproxy.conf"))
SERVER = [sys.executable, "-m", "http.server", "80"]


@pytest.fixture
def server(lab: Lab) -> Popen[bytes]:
    """Return the origin's server; a proxy stands between it and the client."""
    client, proxy, origin = lab.netns("client", "proxy", "origin")
    lab.wire(client, proxy)
    lab.wire(proxy, origin)
    proxy.popen(["tinyproxy", "-d", "-c", CONF], ready="tcp/8888")
    return origin.popen(SERVER, ready="tcp/80")


def ask(lab: Lab) -> str:
    """Return the head of the answer that the client gets by way of the proxy."""
    command = ["curl", "-sI", "--proxy", "http://proxy:8888", "http://origin/"]
    return lab["client"].run(command, text=True, capture_output=True).stdout


@pytest.mark.usefixtures("server")
def test_the_origin_is_reached_through_the_proxy(lab: Lab) -> None:
    """The answer is the origin's, and says which way it came."""
    head = ask(lab)

    assert "200 OK" in head
    assert "Server: SimpleHTTP" in head
    assert "Via: 1.1 tinyproxy" in head


@pytest.mark.usefixtures("server")
def test_there_is_no_other_way(lab: Lab) -> None:
    """The client has no route to the origin: the proxy forwards requests, and no packets."""
    client, proxy, origin = lab["client"], lab["proxy"], lab["origin"]

    assert client.reaches(proxy, 8888)
    assert client.reaches(origin, 80).cause == "network is unreachable"
    client.run(["ip", "route", "add", "default", "via", proxy.ip_for(client)], check=True)
    assert client.reaches(origin, 80, within=0.3).cause == "no answer"


def test_an_origin_that_is_gone_is_told(lab: Lab, server: Popen[bytes]) -> None:
    """The proxy answers in its place."""
    server.kill()
    server.wait()

    head = ask(lab)

    assert "500 Unable to connect" in head
    assert "Server: tinyproxy" in head
