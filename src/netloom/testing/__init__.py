"""For tests without a kernel: `FakeMachine`, on which topologies are made in milliseconds."""

from netloom.testing.fake import Died, FakeMachine

__all__ = ["Died", "FakeMachine"]
