"""For tests that are still written against the old names."""

from tests.hosts.plain import *  # noqa: F403
