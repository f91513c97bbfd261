"""A progress bar that shows on anything that takes longer than two seconds.

On a terminal it is a bar, and it goes when the work is done. In a pipe or a log it is a plain line
every few seconds and one at the end. Both stand on stderr.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

DELAY_SECONDS = 2.0
PLAIN_INTERVAL_SECONDS = 5.0


class Reporter(Protocol):
    """What the work tells its progress to."""

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""

    def describe(self, description: str) -> None:
        """Say what is being done now."""

    def reach(self, description: str, done: int, of: int) -> None:
        """Say what is being done now, and how many of its own steps are done."""


class BarReporter:
    """A bar on a terminal, shown by a timer: the first step may itself take a minute."""

    def __init__(self, description: str, total: int | None, stream: TextIO) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *([] if total is None else [MofNCompleteColumn()]),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bar.add_task(description, total=total)
        self._timer = threading.Timer(DELAY_SECONDS, self._bar.start)
        self._timer.daemon = True
        self._timer.start()

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""
        self._bar.advance(self._task, steps)

    def describe(self, description: str) -> None:
        """Say what is being done now."""
        self._bar.update(self._task, description=description)

    def reach(self, description: str, done: int, of: int) -> None:
        """Say what is being done now, and how many of its own steps are done."""
        told = f"{description}, {done:,} of {of:,}" if of > 1 else description
        self._bar.update(self._task, description=told, completed=done, total=of)

    def close(self, *, succeeded: bool) -> None:
        """Take the bar away."""
        del succeeded
        self._timer.cancel()
        self._timer.join()
        self._bar.stop()


class LineReporter:
    """Plain lines for a pipe or a log, the first by a timer: a step may itself take a minute."""

    def __init__(
        self,
        description: str,
        total: int | None,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._whole = self._description = description
        self._total = total
        self._has_parts = False
        self._stream = stream
        self._clock = clock
        self._done = 0
        self._started = clock()
        self._next_line = self._started + DELAY_SECONDS
        self._has_spoken = False
        self._speaking = threading.RLock()
        self._timer = threading.Timer(DELAY_SECONDS, self._break_silence)
        self._timer.daemon = True
        self._timer.start()

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done; print a line when one is due."""
        self._done += steps
        self._speak_if_due()

    def describe(self, description: str) -> None:
        """Say what is being done now; print a line when one is due."""
        self._description = description
        self._speak_if_due()

    def reach(self, description: str, done: int, of: int) -> None:
        """Say what is being done now, and how many of its own steps are done."""
        self._description, self._done, self._total = description, done, of
        self._has_parts = True
        self._speak_if_due()

    def close(self, *, succeeded: bool) -> None:
        """End with a line where one was printed before."""
        self._timer.cancel()
        self._timer.join()
        if not self._has_spoken:
            return
        after = f"after {self._clock() - self._started:.0f} s"
        if succeeded and self._has_parts:  # the count is that of the last part, at its last step
            self._description = self._whole
            self._print(f"done {after}")
        else:
            self._print(f"{self._count()}, {'done' if succeeded else 'stopped'} {after}")

    def _speak_if_due(self) -> None:
        with self._speaking:
            if self._clock() >= self._next_line:
                self._speak()

    def _break_silence(self) -> None:
        with self._speaking:
            if not self._has_spoken:
                self._speak()

    def _speak(self) -> None:
        self._next_line = self._clock() + PLAIN_INTERVAL_SECONDS
        self._has_spoken = True
        self._print(self._count())

    def _count(self) -> str:
        if self._total is None:
            return f"{self._done:,}"
        return f"{self._done:,} of {self._total:,}"

    def _print(self, text: str) -> None:
        print(f"{self._description}: {text}", file=self._stream, flush=True)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Reporter]:
    """Report the progress of the work inside the block.

    Parameters
    ----------
    description
        What is being done, such as 'Importing responses'.
    total
        Number of steps; None where it is not known.

    Yields
    ------
    Reporter
        Call ``advance(steps)`` as steps are done, ``describe(text)`` when the work changes, or
        ``reach(text, done, of)`` where each part of the work has steps of its own.
    """
    stream = sys.stderr
    reporter = (BarReporter if stream.isatty() else LineReporter)(description, total, stream)
    succeeded = False
    try:
        yield reporter
        succeeded = True
    finally:
        reporter.close(succeeded=succeeded)
