"""What a version holds, and how it differs from the one before."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from calibration_pipeline.records import ItemKey, SnapshotItem
from calibration_pipeline.reports.interval_charts import (
    Change,
    IntervalChart,
    axis_reach,
    interval_chart,
)

SOURCES = {
    "fitted": "Refitted tonight",
    "carried": "Standing, too few answers tonight",
    "author": "Author's or prior value",
    "anchor": "Anchor, held at its reference",
}
TRUSTED, PROVISIONAL = "trusted", "provisional"
_ESTIMATES = ("fitted", "carried")


@dataclass(frozen=True)
class SourceCount:
    """Items of one source, by track."""

    label: str
    trusted: int
    provisional: int


@dataclass(frozen=True)
class Move:
    """One item's published difficulty, before and now."""

    before: SnapshotItem
    now: SnapshotItem
    chart: IntervalChart

    @property
    def change(self) -> float:
        """Difficulty now less difficulty before."""
        return self.now.difficulty - self.before.difficulty


def count_sources(items: Sequence[SnapshotItem]) -> tuple[SourceCount, ...]:
    """Count the items by where their values come from and by track."""
    counts = Counter((item.source, item.track) for item in items)
    return tuple(
        SourceCount(label, counts[source, TRUSTED], counts[source, PROVISIONAL])
        for source, label in SOURCES.items()
    )


def graduates(
    items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem]
) -> tuple[ItemKey, ...]:
    """Items that were provisional in the previous version and are trusted now."""
    return tuple(
        item.key
        for item in items
        if item.track == TRUSTED
        and item.key in previous
        and previous[item.key].track == PROVISIONAL
    )


def first_estimates(items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem]) -> int:
    """Count the items whose previous version held no estimate, or that it lacked."""
    return sum(
        item.source == "fitted"
        and (item.key not in previous or previous[item.key].source not in _ESTIMATES)
        for item in items
    )


def largest_moves(
    items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem], *, limit: int
) -> tuple[tuple[Move, ...], float]:
    """Items whose estimated difficulty moved most, and how far their common axis reaches.

    Both values must be estimates: the step from an author's value to a first estimate says
    nothing about movement. Values that aren't finite are left to the audit, which names them.
    """
    pairs = [
        (previous[item.key], item)
        for item in items
        if item.source == "fitted"
        and item.key in previous
        and previous[item.key].source in _ESTIMATES
        and math.isfinite(item.difficulty - previous[item.key].difficulty)
    ]
    pairs.sort(key=lambda pair: (-abs(pair[1].difficulty - pair[0].difficulty), pair[1].key))
    changes = [
        Change(
            now.difficulty - before.difficulty,
            now.difficulty_se,
            reference_error=before.difficulty_se,
        )
        for before, now in pairs[:limit]
    ]
    reach = axis_reach(changes)
    moves = tuple(
        Move(before, now, interval_chart(change, reach))
        for (before, now), change in zip(pairs[:limit], changes, strict=True)
    )
    return moves, reach


@dataclass(frozen=True)
class VersionChange:
    """What is different from the version before, in counts and medians.

    Attributes
    ----------
    came, went
        Items that the version before lacked, and items that this one lacks.
    moved
        Items in both with another difficulty.
    graduated, became_provisional
        Items that are trusted since this version, and that no longer are.
    median_move
        Median size of the difficulty's change among `moved`; NaN where none moved.
    error_before, error_now
        Median standard error of difficulty over the estimated items in both; NaN without any.
    """

    came: int
    went: int
    moved: int
    graduated: int
    became_provisional: int
    median_move: float
    error_before: float
    error_now: float


def version_change(
    items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem]
) -> VersionChange:
    """Compare a version with the one before it."""
    both = [(previous[item.key], item) for item in items if item.key in previous]
    moves = [
        abs(now.difficulty - before.difficulty)
        for before, now in both
        if math.isfinite(now.difficulty - before.difficulty) and now.difficulty != before.difficulty
    ]
    estimated = [
        (before.difficulty_se, now.difficulty_se)
        for before, now in both
        if before.source in _ESTIMATES
        and now.source in _ESTIMATES
        and math.isfinite(before.difficulty_se + now.difficulty_se)
    ]
    tracks = Counter((before.track, now.track) for before, now in both)
    return VersionChange(
        came=len(items) - len(both),
        went=len(previous) - len(both),
        moved=len(moves),
        graduated=tracks[PROVISIONAL, TRUSTED],
        became_provisional=tracks[TRUSTED, PROVISIONAL],
        median_move=_median(moves),
        error_before=_median([before for before, _ in estimated]),
        error_now=_median([now for _, now in estimated]),
    )


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan
