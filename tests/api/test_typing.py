"""A program of somebody else's, with every call of the API, under `mypy --strict`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.hosts.programs import SRC

USED = """
import asyncio
import socket
import subprocess
from pathlib import Path

import netloom
from netloom import Change, Journey, Lab, Netns, Network, NotReady, Outcome, Refused, LabState, Wire

async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1))

def use(topology: netloom.Topology, path: Path) -> None:
    parsed = netloom.parse("links: [[a, b]]")
    for said in (None, "shop.yaml", path, topology, parsed, netloom.load(path)):
        Lab(said, name="x", persistent=False, timeout=1.0)
    with Lab() as lab:
        web: Netns = lab.netns("web", networks={"lan": "10.1.0.10"}, run="nginx", publish=["80:80"])
        many: tuple[Netns, ...] = lab.netns("a", "b", forwarding=True)
        some: tuple[Netns, ...] = lab.netns("n", count=3, networks=["lan"])
        lan: Network = lab.network("lan", subnet="10.1.0.0/24", uplink="nat", mtu=1400)
        wire: Wire = lab.wire(web, "b:eth0 10.0.0.1/24", mtu=1400)
        for thing in (web, lan, wire, "web"):
            lab.remove(thing)
        found: tuple[Netns, ...] = lab.members("n") + lab.all()
        one: Netns = lab["web"]
        there: bool = "web" in lab
        with lab.partition("a", [web, "b"]) as change:
            kept: Change = change
            kept.undo()
        lab.heal()
        outcomes: list[Outcome] = lab.check(wait=1.0)
        seen: LabState = lab.snapshot()
        lab.wait_ready(3)
        text: subprocess.CompletedProcess[str] = web.run(["ls"], text=True, input="x", check=True)
        data: subprocess.CompletedProcess[bytes] = web.run(["ls", path], input=b"x", timeout=1)
        web.run(["ls"], text=there, encoding="utf-8", errors="replace", cwd=path, env={"A": "b"})
        process: subprocess.Popen[bytes] = web.popen(["nginx"], ready="tcp/80", bufsize=0)
        words: subprocess.Popen[str] = web.popen(["nginx"], text=True, stdout=subprocess.PIPE)
        number: int = web.call(divmod, 7, 2)[0]
        sock: socket.socket = web.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with web.listen(80), web.create_connection((one, 80), timeout=1.0) as connection:
            connection.send(b"x")
        journey: Journey = web.reaches(one, 80, within=1.0)
        web.reaches("b", "udp/53")
        if not journey:
            print(journey.cause, journey.words, journey.seconds)
        print(web.ip, web.ips[0], web.ip_for(one), web.ip_for("b"), one.name)

async def use_in_coroutines() -> None:
    async with Lab() as lab:
        a = lab.netns("a")
        server: asyncio.Server = await a.start_server(serve, port=9000)
        reader, writer = await a.open_connection("a", 9000)
        data: bytes = await reader.read(1)
        command: asyncio.subprocess.Process = await a.create_subprocess_exec("ls", stdout=-1)
        number: int = await a.to_thread(len, "abc")

def told(error: netloom.NetloomError) -> str:
    if isinstance(error, Refused):
        return f"{error.step} {error.errno} {error.extack} {error.undone}"
    if isinstance(error, NotReady):
        return error.waiting_for
    if isinstance(error, netloom.Unavailable):
        return f"{error.reason} {error.remedy}"
    if isinstance(error, netloom.TopologyError):
        return "".join(problem.message for problem in error.problems)
    return str(error)
"""
WRONG = """
from netloom import Lab
import netloom

netloom.weave()
with Lab() as lab:
    lab.netns("a", netwroks=["lan"])
    lab["a"].reach("b")
    lab["a"].run(["ls"], txt=True)
    number: int = lab["a"].run(["ls"], text=True).stdout
"""


WRONG_LINES = {5, 7, 8, 9, 10}


def test_all_of_it_has_types(tmp_path: Path) -> None:
    """No complaint of what is right; every mistake is one: a name, a keyword, a type."""
    for name, text in (("used", USED), ("wrong", WRONG)):
        (tmp_path / f"{name}.py").write_text(text)
    cache = SRC.parent / ".mypy_cache" / "users"  # 15 s are 1 s where it was made before
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "used.py", "wrong.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(SRC)},
    )
    errors = [line.split(":")[:2] for line in done.stdout.splitlines() if " error: " in line]
    assert {(file, int(line)) for file, line in errors} == {
        ("wrong.py", line) for line in WRONG_LINES
    }, done.stdout + done.stderr
