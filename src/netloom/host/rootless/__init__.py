"""A plain user's namespaces: who holds them, who stays outside, and where it is refused."""
