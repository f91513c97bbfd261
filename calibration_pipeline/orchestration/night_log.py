"""What happens during a run, night by night: progress for people, timings for the run log."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date

Report = Callable[[str, date, int, int], None]
"""Told the step, the night it begins, how many nights are done, and how many there are."""


def silent(step: str, night: date, done: int, total: int) -> None:
    """Report nothing."""


class NightLog:
    """Times every step of every night, and says where a run is; notes what is odd about one.

    Parameters
    ----------
    report
        Called as each night of a step begins, and once more when the step ends.
    clock
        Seconds, monotonic.

    Attributes
    ----------
    timings
        Seconds by night and step.
    remarks
        What somebody should look at, by night; it stops nothing.
    """

    def __init__(
        self, report: Report = silent, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._report = report
        self._clock = clock
        self.timings: dict[date, dict[str, float]] = defaultdict(dict)
        self.remarks: dict[date, tuple[str, ...]] = {}

    def remark(self, night: date, *remarks: str) -> None:
        """Note what somebody should look at."""
        self.remarks[night] = (*self.remarks.get(night, ()), *remarks)

    def nights(self, step: str, days: Sequence[date]) -> Iterator[date]:
        """Yield the nights of a step, timing the work done on each."""
        for done, day in enumerate(days):
            self._report(step, day, done, len(days))
            started = self._clock()
            yield day
            self.timings[day][step] = round(self._clock() - started, 3)
        if days:
            self._report(step, days[-1], len(days), len(days))
