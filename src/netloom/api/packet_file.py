"""`Lab.capture_packets`: a recording that is written to a file as packets come."""

import os
import select
import warnings
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from netloom.api.recording import RecordedLab, Recording
from netloom.errors import KernelError, Unavailable
from netloom.host.byhand.stamps import stamping
from netloom.kernel.threads import Thread

if TYPE_CHECKING:
    from pathlib import Path


class Capture(Recording):
    """A recording with a thread of its own, which writes what has come at once."""

    def __init__(self, lab: RecordedLab, path: "Path | str") -> None:
        """Begin; raises `Unavailable` where the file cannot be written, or a namespace refuses."""
        try:
            self._file = open(path, "wb")  # noqa: SIM115, PTH123 - closed by `end`
        except OSError as error:
            raise Unavailable(f"cannot write `{path}`: {error.strerror}") from error
        super().__init__(lab, self._file)
        self.path = path
        self._stop = os.eventfd(0)
        self.poll.register(self._stop, select.EPOLLIN)
        self._thread = Thread("netloom-capture", self._write_on)
        with ExitStack() as stack:
            with suppress(OSError):  # then the first packets may bear the time of their reading
                stack.enter_context(lab.runtime.context.call(stamping))
            self.follow()
        if not self.failure:
            self._write_along()
        if self.failure:
            super().end()
            os.close(self._stop)
            self._file.close()
            raise Unavailable(f"cannot capture packets: {self.failure}")
        lab.recordings.append(self)

    def _write_along(self) -> None:
        try:
            self._thread.start()
        except KernelError as error:
            self.failure = str(error)

    def _write_on(self) -> None:
        while self._stop not in dict(self.poll.poll()):
            self.take()

    def end(self) -> None:
        """End the file, and let go of the lab; warns of what the file lacks."""
        with self._lab.lock:
            if self.poll.closed or os.getpid() != self._program:
                return
            os.eventfd_write(self._stop, 1)
            self._thread.join()
            self.poll.unregister(self._stop)
            os.close(self._stop)
            told = self.prove()
            super().end()
            told += self._closed()
            self._lab.recordings.remove(self)
        for line in told:
            warnings.warn(f"{self.path}: {line}", RuntimeWarning, stacklevel=2)

    def _closed(self) -> list[str]:
        """Close the file, and return in words what went wrong."""
        try:
            with self._file:
                self.write_counts(self._file)
        except OSError as error:  # no space left, here or before
            return [f"the file is cut short: {error.strerror}"]
        return []
