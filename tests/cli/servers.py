"""For tests that are still written against the old names."""

from tests.hosts.servers import *  # noqa: F403
