"""Progress for a person who waits, and nothing in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from calibration_pipeline.interfaces.cli.progress import Reporter, progress


class Silence:
    """A reporter where nobody watches."""

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""

    def describe(self, description: str) -> None:
        """Say what is being done now."""

    def reach(self, description: str, done: int, of: int) -> None:
        """Say what is being done now, and how many of its own steps are done."""


@contextmanager
def terminal_progress(description: str, total: int) -> Iterator[Reporter]:
    """Report as `progress` does if stderr is a terminal; say nothing elsewhere.

    Yields
    ------
    Reporter
        Call ``advance(steps)`` as steps are done, ``describe(text)`` when the work changes.
    """
    if not sys.stderr.isatty():
        yield Silence()
        return
    with progress(description, total) as reporter:
        yield reporter
