"""Processes that a program's lab has beside it, and what ends with it."""
