"""For tests that are still written against the old names."""

from tests.hosts.warm import *  # noqa: F403
