"""The fixtures of this shelf."""

from tests.hosts.netns import holder, netns, new_netns

__all__ = ["holder", "netns", "new_netns"]
