"""How often items are really seen, and how often engines really opened them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.records import (
    DayResponses,
    FloatArray,
    ItemBank,
    ItemKey,
    ItemProposals,
    ScaleExposure,
)


def observed_exposure(days: Sequence[DayResponses], bank: ItemBank) -> FloatArray:
    """Share of the days' sessions that saw each item at least once, ``(bank.n_items,)``."""
    seen = np.zeros(bank.n_items)
    sessions = 0
    for day in days:
        n_sessions = len(day.session_offsets) - 1
        sessions += n_sessions
        if not len(day.item):
            continue
        session = np.repeat(np.arange(n_sessions), np.diff(day.session_offsets))
        item = bank.positions(day.keys)[day.item]
        once = np.unique(session * bank.n_items + item) % bank.n_items
        seen += np.bincount(once, minlength=bank.n_items)
    return seen / max(sessions, 1)


@dataclass(frozen=True)
class ReportedAcceptance:
    """How often an item was open to candidates, by engines' reports, and how often it should be.

    Attributes
    ----------
    key
        The item.
    proposed, given
        Candidates for whom it came up, each counted the first time, and to whom of them it was
        open then.
    expected, sd
        Mean and standard deviation of `given` under the published probabilities.
    """

    key: ItemKey
    proposed: int
    given: int
    expected: float
    sd: float

    @property
    def z(self) -> float:
        """How far `given` is off, in standard deviations; infinite where none is possible.

        N(0, 1) if engines draw as they should: a candidate's number is independent of whether and
        where the item comes up first. It isn't of what happens to that item later in the test.
        """
        return self._off_by(self.sd)

    @property
    def credible_z(self) -> float:
        """The same with the margin of Bernstein's inequality: a few draws can't exaggerate it.

        At least so far off is, whatever the counts, no more than exp(−z²/2) on either side.
        """
        margin = abs(self.given - self.expected) / 3.0 if self.sd > 0.0 else 0.0
        return self._off_by(math.sqrt(self.sd**2 + margin))

    def _off_by(self, unit: float) -> float:
        off = self.given - self.expected
        if abs(off) < 1e-9 * max(self.proposed, 1):
            return 0.0
        return off / unit if unit > 0.0 else math.copysign(math.inf, off)


def reported_acceptance(
    reports: Sequence[ItemProposals], controls: Mapping[int, Sequence[ScaleExposure]]
) -> tuple[ReportedAcceptance, ...]:
    """Compare what engines report with the probabilities that they were given; by item.

    Parameters
    ----------
    reports
        Sums by control, item and level.
    controls
        Version → its controls that reports name. A report on what they don't hold is left out:
        `unmatched_proposals` counts it.
    """
    opened = _probabilities(controls)
    sums: dict[ItemKey, list[float]] = {}
    for report in reports:
        p = opened.get(_place(report))
        if p is None:
            continue
        n = report.proposed
        parts = (n, report.given, n * p, n * p * (1.0 - p))
        sums[report.key] = [
            a + b for a, b in zip(sums.get(report.key, [0] * 4), parts, strict=True)
        ]
    return tuple(
        ReportedAcceptance(key, int(proposed), int(given), expected, math.sqrt(variance))
        for key, (proposed, given, expected, variance) in sorted(sums.items())
    )


def unmatched_proposals(
    reports: Sequence[ItemProposals], controls: Mapping[int, Sequence[ScaleExposure]]
) -> int:
    """Count what was reported of controls, items or levels that there aren't."""
    opened = _probabilities(controls)
    return sum(report.proposed for report in reports if _place(report) not in opened)


_Place = tuple[int, int, ItemKey, int]
"""Version, attempt, item and level."""


def _probabilities(controls: Mapping[int, Sequence[ScaleExposure]]) -> dict[_Place, float]:
    return {
        (version, control.attempt, key, level): float(control.probability[level, j])
        for version, found in controls.items()
        for control in found
        for j, key in enumerate(control.keys)
        for level in range(len(control.probability))
    }


def _place(report: ItemProposals) -> _Place:
    return report.version, report.attempt, report.key, report.level
