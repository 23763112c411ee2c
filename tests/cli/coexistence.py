"""For tests that are still written against the old names."""

from tests.hosts.walled import *  # noqa: F403
