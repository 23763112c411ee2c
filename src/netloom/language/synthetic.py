"""A topology that nobody has written down yet: a program's, which says it word by word."""

from functools import cached_property

from netloom.errors import Problem
from netloom.language.lines import Lines
from netloom.language.parse import Source, parse
from netloom.language.topology import Topology
from netloom.language.unparse import unparse


class SyntheticSource(Source):
    """A topology as a source: written and read only when somebody asks for a text or a place.

    Should: be given what could be parsed; each word of it was read by the same rules.
    """

    def __init__(self, topology: Topology, *, file: str, has_name: bool) -> None:
        """Keep the topology; `file` is what it is called in complaints."""
        super().__init__(topology, Lines("", file), {})
        self.has_name = has_name

    @cached_property
    def _read(self) -> Source:
        return parse(unparse(self.topology), file=self.file, name=self.topology.name)

    @property
    def text(self) -> str:
        """The text that would be written."""
        return self._read.text

    def locate(self, problem: Problem) -> Problem:
        """Return a problem with the place of its path in that text."""
        return self._read.locate(problem)
