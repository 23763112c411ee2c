"""For tests that are still written against the old names."""

from tests.hosts.internet import *  # noqa: F403
from tests.hosts.internet import says_in as command  # noqa: F401
