"""Completion: what a shell is told when somebody presses Tab."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def completed(*words: str) -> list[str]:
    """Return what bash would offer for the last of `words`."""
    environment = ENVIRONMENT | {
        "_NETLOOM_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("netloom", *words)),
        "COMP_CWORD": str(len(words)),
    }
    run = subprocess.run(
        [sys.executable, "-m", "netloom"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return [line.partition(",")[2] for line in run.stdout.splitlines()]


def test_a_verb_is_completed() -> None:
    """The beginning of a verb becomes the verbs that begin so."""
    assert completed("u") == ["undo", "up"] or completed("u") == ["up", "undo"]


def test_an_option_is_completed() -> None:
    """The beginning of an option becomes the option."""
    assert completed("down", "--fo") == ["--force"]


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_script_is_printed_for_each_shell(shell: str) -> None:
    """`netloom completion SHELL` prints a script that asks netloom itself."""
    run = subprocess.run(
        [sys.executable, "-m", "netloom", "completion", shell],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert "_NETLOOM_COMPLETE" in run.stdout
    assert run.stderr == ""


def test_the_script_for_bash_is_good_bash() -> None:
    """Bash reads the script without a complaint, and knows a completion for `netloom` then."""
    script = subprocess.run(
        [sys.executable, "-m", "netloom", "completion", "bash"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    run = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\ncomplete -p netloom"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert "netloom" in run.stdout


BASH = """\
{script}
COMP_WORDS=({words}) COMP_CWORD={place}
compopt() {{ echo files; }}
_netloom_completion netloom
printf '%s\n' "${{COMPREPLY[@]}}"
"""
ZSH = """\
compdef() {{ }}
compadd() {{ print -rl -- $found; }}
_files() {{ print files; }}
{script}
words=({words}) CURRENT=$(({place} + 1))
_netloom_completion
"""
FISH = """\
{script}
complete -C "{line}"
"""
OFFERED = {
    "netloom do": ["doctor", "down"],
    "netloom down --fo": ["--force"],
    "netloom completion ''": ["bash", "fish", "zsh"],
    "netloom plan --as ''": ["ip"],
    "netloom netns ad": ["add"],
    "netloom exec a -": [],
    "netloom nonsense ''": [],
}


@pytest.mark.parametrize(("shell", "play"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_each_shell_offers_what_netloom_says(shell: str, play: str, tmp_path: Path) -> None:
    """The script, played in the shell itself; where a file is wanted, the shell offers files."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    own = tmp_path / "netloom"
    own.write_text(f'#!/bin/sh\nexec {sys.executable} -m netloom "$@"\n')
    own.chmod(0o755)
    environment = ENVIRONMENT | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def offered(line: str) -> list[str]:
        script = asked("completion", shell)
        words = line.split()
        text = play.format(
            script=script, words=line, place=len(words) - 1, line=line.replace("''", "")
        )
        run = subprocess.run(
            [program, *(["--no-config"] if shell == "fish" else ["-f"] if shell == "zsh" else [])],
            input=text,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.stderr == ""
        return run.stdout.split()

    assert {line: offered(line) for line in OFFERED} == OFFERED
    assert offered("netloom up ''") == ["netloom"] if shell == "fish" else ["files"]


def asked(*words: str) -> str:
    """Return what netloom prints."""
    done = subprocess.run(
        [sys.executable, "-m", "netloom", *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout


def test_names_and_labs_are_asked_for() -> None:
    """Where a namespace or a lab is wanted, the machine is asked which there are."""
    assert isinstance(completed("exec", ""), list)
    assert isinstance(completed("down", ""), list)
