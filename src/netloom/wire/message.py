"""A request: what is asked of the kernel, before the dialogue frames and numbers it."""

from typing import NamedTuple


class Message(NamedTuple):
    """One rtnetlink request: its kind (RTM_*), its flags (NLM_F_*), and what follows the header."""

    kind: int
    flags: int
    body: bytes
