"""The word that somebody may have meant."""

from collections.abc import Iterable

from netloom.errors import printable

_LONGEST = 64
"""Nobody mistypes a word longer than this; comparing such words costs their lengths' product."""


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most like `word`, None if none is like it."""
    if not word or len(word) > _LONGEST:
        return None
    from difflib import get_close_matches

    near = [known for known in candidates if _may_be(word, known)]
    found = get_close_matches(word.lower(), near, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return "did you mean `x`?" for the candidate most like `word`, a hint; else none."""
    found = closest(word, candidates)
    return f"did you mean `{printable(found)}`?" if found else ""


def _may_be(word: str, known: str) -> bool:
    """Whether two words are worth a comparison: alike in length, and at one of their ends."""
    if abs(len(word) - len(known)) > max(2, len(word) // 2):
        return False
    return known[:1].lower() == word[0].lower() or known[-1:].lower() == word[-1].lower()
