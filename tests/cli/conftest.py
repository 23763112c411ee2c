"""The dialect of these tests explains itself when an assertion in it fails."""

import pytest

pytest.register_assert_rewrite("tests.cli.host")
