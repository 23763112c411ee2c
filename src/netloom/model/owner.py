"""Whose a marked thing is: the part of a mark that names the lab (`marks.py` has them whole)."""

PREFIX = "netloom:"


def lab_of(alias: str) -> str | None:
    """Return the lab whose mark an alias is, None if it is none; no name of a lab has a blank."""
    if not alias.startswith(PREFIX):
        return None
    return alias.removeprefix(PREFIX).partition(" ")[0].partition("/")[0]
