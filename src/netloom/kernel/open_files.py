"""How many files this process may have open (getrlimit(2))."""

import resource

_OTHERS = 100


def make_room(number: int) -> None:
    """Let this process have so many files open beside its others, as far as the hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number + _OTHERS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
