"""Numbers of things, in words."""


def counted(number: int, thing: str) -> str:
    """Return `1 namespace`, `2 namespaces`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
