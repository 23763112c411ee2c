"""For tests that are still written against the old names."""

from tests.hosts.witness import *  # noqa: F403
