"""Completion: what a shell is told when somebody presses Tab."""

import os
import subprocess
import sys

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


def test_names_and_labs_are_asked_for() -> None:
    """Where a namespace or a lab is wanted, the machine is asked which there are."""
    assert isinstance(completed("exec", ""), list)
    assert isinstance(completed("down", ""), list)
