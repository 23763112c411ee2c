"""The option of verbs that wait until commands are ready."""

from netloom.cli.grammar import Option, seconds
from netloom.engine.until_ready import TIMEOUT

WAIT = Option(
    "--timeout",
    value="SECONDS",
    read=seconds,
    default=TIMEOUT,
    says=f"How long commands may take to become ready; {TIMEOUT:g} unless said.",
)
