"""A lab is a file, not a stem: another file of the same name, and names that are none."""

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.hosts.host import on_a_host
from tests.hosts.netloom import command, ended, netloom, write
from tests.hosts.programs import ran, says
from tests.hosts.witness import no_trace

DB = 'namespaces: {db: {run: {command: "exec sleep 1000", name: s}}}\n'
WEB = "namespaces: [web]\n"


def project(folder: str, text: str) -> str:
    """Write a `netloom.yaml` into a folder; return its path."""
    Path(folder).mkdir(parents=True)
    write(f"{folder}/netloom.yaml", text)
    return f"{folder}/netloom.yaml"


def refused(*words: str, stdin: str = "") -> list[str]:
    """Return the lines in which netloom refuses something, before anything is touched."""
    with no_trace():
        done = ended(*words, stdin=stdin)
    assert (done.returncode, done.stdout) == (2, ""), done
    *lines, last = re.sub(r"since \d\d:\d\d", "since HH:MM", done.stderr).splitlines()
    assert last == "nothing was touched"
    return lines


def both(lab: str, file: str) -> str:
    """Return the hint that would have two labs of this name."""
    up = f"netloom up --name {lab}-2 {file}"
    return f"hint: `name: {lab}-2` in this one, or {up}; --replace takes that one down for this"


@on_a_host
def test_a_running_lab_is_not_torn_down_for_another_file_of_its_name() -> None:
    """By no verb; it is told whose it is and since when, and what is told to do has both."""
    first, second = project("one/lab", DB), project("two/lab", WEB)
    netloom("up", "-q", first).status(0)
    lives = ended("pids", "db").stdout
    assert lives

    from_first = f"the lab `lab` is up from {Path(first).absolute()}"
    for words in (("up", second), ("up", "-q", second), ("plan", second), ("enable", second)):
        assert refused(*words) == [f"{from_first}, since HH:MM", both("lab", second)]
    for verb in ("down", "undo", "verify"):
        told = [
            f"{from_first}, not from this file",
            "hint: `lab`, without a folder, means that one",
        ]
        assert refused(verb, second) == told
    assert ended("pids", "db").stdout == lives

    netloom("up", "-q", "--name", "lab-2", second).status(0)
    assert ended("ls").stdout == "db   lab\nweb  lab-2\n"
    for file in (second, first):
        netloom("verify", file).stdout(
            f"{'lab-2' if file == second else 'lab'}  is as it was applied\n"
        ).status(0)
        netloom("down", "-q", file).status(0)
    netloom("labs").status(0)


@on_a_host
def test_what_is_replaced_is_told() -> None:
    """`--replace` does what was refused, and says what went; `undo` brings it back."""
    first, second = project("one/lab", DB), project("two/lab", WEB)
    netloom("up", "-q", first).status(0)

    plan = ended("plan", "--replace", second)
    assert (plan.returncode, "- netns db\n" in plan.stdout) == (0, True)
    up = "lab  up in N ms: 1 namespace; gone: db\ntry   netloom shell web\n"
    netloom("up", "--replace", second).stdout(up).status(0)

    netloom("down", first).stderr(
        f"the lab `lab` is up from {Path(second).absolute()}, not from this file\n"
        "hint: `lab`, without a folder, means that one\nnothing was touched\n"
    ).status(2)
    assert ended("undo", "lab").returncode == 0
    netloom("down", "-q", first).status(0)


@on_a_host
def test_two_that_share_a_namespace_cannot_be_beside_each_other() -> None:
    """So what is told to do is not that."""
    first, second = project("one/lab", WEB), project("two/lab", "namespaces: [web, db]\n")
    netloom("up", "-q", first).status(0)

    assert refused("up", second)[1:] == [
        "hint: netloom down lab ends it; --replace takes that one down for this"
    ]
    netloom("down", "-q", "lab").status(0)
    netloom("up", "-q", second).status(0)
    netloom("down", "-q", "lab").status(0)


@on_a_host
def test_the_same_file_by_another_path_is_the_same_lab() -> None:
    """By a symbolic link; and one that was moved is found by where it is now."""
    project("one/lab", WEB)
    os.symlink("one", "link")
    netloom("up", "-q", "one/lab/netloom.yaml").status(0)

    netloom("up", "link/lab/netloom.yaml").stdout("lab  is up; nothing to do\n").status(0)
    netloom("verify", "link/lab/netloom.yaml").stdout("lab  is as it was applied\n").status(0)
    os.rename("one", "moved")
    netloom("verify", "moved/lab/netloom.yaml").stdout("lab  is as it was applied\n").status(0)
    netloom("up", "-q", "moved/lab/netloom.yaml").status(0)
    netloom("down", "-q", "moved/lab/netloom.yaml").status(0)
    netloom("labs").status(0)


@on_a_host
def test_an_empty_folder_of_a_lab_s_name_means_no_lab() -> None:
    """There is no file, and none was made from one that was there."""
    first = project("one/lab", WEB)
    netloom("up", "-q", first).status(0)
    Path("two/lab").mkdir(parents=True)
    here = Path.cwd()
    os.chdir("two/lab")
    none = "no netloom.yaml here, and no lab that was made from one (netloom labs)\n"
    netloom("down").stderr(none).status(2)
    os.chdir(here)
    netloom("down", "-q", first).status(0)


@on_a_host
def test_a_second_text_is_another_lab() -> None:
    """On standard input: without a name the same text is the same lab, and no other is."""
    a_b, c_d = "links: [[a, b]]\n", "links: [[c, d]]\n"
    netloom("up", "-q", "-", stdin=a_b).status(0)

    netloom("up", "-", stdin=a_b).stdout("stdin  is up; nothing to do\n").status(0)
    assert refused("up", "-", stdin=c_d) == [
        "the lab `stdin` is up from standard input, since HH:MM",
        both("stdin", "-"),
    ]
    netloom("up", "-q", "--name", "second", "-", stdin=c_d).status(0)
    netloom("up", "-q", "--name", "second", "-", stdin="namespaces: [e]\n").status(0)
    assert ended("ls").stdout == "a  stdin\nb  stdin\ne  second\n"
    netloom("down", "-").stderr(
        "a text has no path: say the lab that was made from it by its name (netloom labs)\n"
    ).status(2)
    netloom("down", "-q", "--all").status(0)


@on_a_host
def test_a_pipe_of_a_shell_has_no_path_either() -> None:
    """`netloom up <(…)`: each text comes by the same name of a descriptor."""

    def piped(text: str) -> tuple[int, str]:
        done = ran("bash", "-c", f"{shlex.join(command('up', '-q'))} <(echo '{text}')", check=False)
        return done.returncode, done.stderr

    assert piped("namespaces: [a]") == (0, "")
    assert piped("namespaces: [a]") == (0, "")
    status, told = piped("namespaces: [b]")
    assert (status, " is up from standard input, since " in told) == (2, True), told
    assert ended("ls").stdout.startswith("a  ")
    netloom("down", "-q", "--all").status(0)


@on_a_host
def test_several_labs_of_one_file_are_told_apart_by_name() -> None:
    """Made with `--name`: the file alone says not which."""
    write("x.yaml", "networks: {lan: {uplink: nat}}\n")
    for name in ("x1", "x2"):
        netloom("up", "-q", "--name", name, "x.yaml").status(0)

    assert refused("down", "x.yaml") == [
        f"several labs were made from {Path('x.yaml').absolute()}: x1, x2",
        "hint: say which one, by its name",
    ]
    says("ip", "link", "set", "lan", "down")
    assert ended("verify", "x1").stderr.endswith(
        "`netloom up --name x1 x.yaml` would do the above\n"
    )
    netloom("down", "-q", "--all").status(0)


BAD = ["my lab", "lab (1)", "a,b", "lab:1", "la$b", "-x", ".x", "all", "host", "a\x1bb"]


@pytest.mark.parametrize("place", ["file", "folder"])
@pytest.mark.parametrize("name", BAD)
@on_a_host
def test_what_is_no_name_names_no_lab(name: str, place: str) -> None:
    """The file's, or its folder's: refused as `name:` is, with what would work, which works."""
    text = "networks: {lan: {subnet: 10.7.0.0/24, bridge: br-x}}\nnamespaces: {web: }\n"
    file = project(f"./{name}", text) if place == "folder" else f"./{write(f'{name}.yaml', text)}"
    with no_trace():
        for verb in ("up", "plan", "enable"):
            said, hint = refused(verb, file)
            assert said.startswith(f"a lab is called as its {place}, and `")
            assert ended("up", "-", stdin=f"name: {name!r}\n{text}").returncode == 2
        words = shlex.split(hint.partition(", or netloom ")[2])
        cure = words if "\x1b" not in name else ["up", "--name", "a-b", file]
        netloom(*cure, "-q").status(0)
        netloom("verify", file).stdout(f"{cure[2]}  is as it was applied\n").status(0)
        netloom("down", "-q", file).status(0)


@on_a_host
def test_init_says_a_name_where_the_file_s_is_none() -> None:
    """So that what it says to do works."""
    done = ended("init", "my lab.yaml")
    assert done.stdout == "wrote my lab.yaml; `netloom up 'my lab.yaml'` makes it so\n"
    netloom("up", "-q", "my lab.yaml").status(0)
    netloom("down", "-q", "my-lab").status(0)


@on_a_host
def test_letters_of_any_language_are_letters() -> None:
    """In a file's name as in `name:`."""
    write("läb.yaml", WEB)
    netloom("up", "-q", "läb.yaml").status(0)
    netloom("down", "-q", "läb").status(0)
