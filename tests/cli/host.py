"""For tests that are still written against the old names."""

from tests.hosts.host import *  # noqa: F403
from tests.hosts.machine import wait_for as wait_for  # noqa: PLC0414
from tests.hosts.netloom import *  # noqa: F403
from tests.hosts.programs import MAIN as MAIN  # noqa: PLC0414
from tests.hosts.programs import living as living  # noqa: PLC0414
from tests.hosts.witness import no_trace as no_trace  # noqa: PLC0414
