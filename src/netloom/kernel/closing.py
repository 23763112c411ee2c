"""What is open, and closed at the end of a `with`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Closing:
    """A thing that a `with` closes, whatever happened in it."""

    __slots__ = ()

    def __enter__(self) -> "Self":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of what is open."""
        raise NotImplementedError
