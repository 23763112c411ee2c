"""For tests that are still written against the old names."""

from tests.hosts.machine import *  # noqa: F403
from tests.hosts.programs import *  # noqa: F403
