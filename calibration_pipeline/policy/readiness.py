"""Whether there are enough answers to calibrate, and when each item will have enough.

Counts in, verdicts out. What counts as an answer, and from where, is said by who counts.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import (
    AnswerCounts,
    BoolArray,
    CalibrationState,
    FloatArray,
    IntArray,
    ItemBank,
    ItemKey,
)

DECILES = 10


@dataclass(frozen=True)
class GroupReadiness:
    """How far the items of a scale, or of one content family in it, have come. None is retired.

    Attributes
    ----------
    scale, family
        `family` is None for a whole scale, and empty for items that belong to none.
    items, answered, eligible, trusted
        Items; those with any answer, with enough in the window, and with enough in all.
    most_answered, most_answers
        The item with the most answers in all; None where there are no answers.
    anchors, anchors_ready
        Anchors, and those with enough answers in the window to take part in linking.
    deciles
        Tenths of the scale's difficulties in which the group has items.
    deciles_with_anchors, deciles_covered
        Those of them with an anchor of the group, and with one that is ready.
    """

    scale: str
    family: str | None
    items: int
    answered: int
    eligible: int
    trusted: int
    most_answered: ItemKey | None
    most_answers: int
    anchors: int
    anchors_ready: int
    deciles: int
    deciles_with_anchors: int
    deciles_covered: int


@dataclass(frozen=True)
class ItemOutlook:
    """How many answers an item has, and how long it will take to have enough at its current rate.

    Attributes
    ----------
    answers_a_day
        Over the days of the window that have answers.
    days_to_eligible, days_to_trusted
        Days until it has enough in the window, and in all; 0 if it has, infinite if never.
    """

    key: ItemKey
    scale: str
    family: str
    window_count: int
    total_count: int
    answers_a_day: float
    days_to_eligible: float
    days_to_trusted: float

    @property
    def next_crossing(self) -> float:
        """Days until the next threshold; infinite if there is none to come."""
        ahead = (d for d in (self.days_to_eligible, self.days_to_trusted) if d > 0)
        return min(ahead, default=math.inf)


@dataclass(frozen=True)
class Readiness:
    """Whether a programme can be calibrated.

    Attributes
    ----------
    scales, families
        By name; families by scale.
    items
        Every item that isn't retired, those that cross a threshold first before the others.
    fittable
        Scales with enough eligible items to be fitted.
    """

    scales: tuple[GroupReadiness, ...]
    families: tuple[GroupReadiness, ...]
    items: tuple[ItemOutlook, ...]
    fittable: tuple[str, ...]

    @property
    def can_calibrate(self) -> bool:
        """Whether any scale can be fitted."""
        return bool(self.fittable)


def assess_readiness(
    bank: ItemBank,
    is_anchor: BoolArray,
    difficulty: FloatArray,
    counts: AnswerCounts,
    configuration: CalibrationConfiguration,
) -> Readiness:
    """Say how far the pool is from being calibrated.

    Parameters
    ----------
    bank
        The pool.
    is_anchor
        ``(n_items,)`` items that are held fixed.
    difficulty
        ``(n_items,)`` the best known; NaN where nothing is.
    counts
        Answers that there are.
    configuration
        The thresholds.
    """
    decile = _deciles(difficulty, bank)
    groups = _Groups(bank, is_anchor, decile, counts, configuration)
    answered = counts.window >= configuration.minimum_responses
    # As a night does it: the answers of retired items inform abilities, so these count here.
    fittable = tuple(
        name
        for number, name in enumerate(bank.scale_names)
        if (answered & (bank.scale_index == number)).sum() >= configuration.minimum_items_per_scale
    )
    outlooks = sorted(
        _outlooks(bank, counts, configuration),
        key=lambda item: (item.next_crossing, -item.total_count, item.key),
    )
    return Readiness(groups.scales(), groups.families(), tuple(outlooks), fittable)


def readiness_of_night(
    state: CalibrationState, bank: ItemBank, days: int, configuration: CalibrationConfiguration
) -> Readiness:
    """Say it of a night, from the answers that it counted.

    Parameters
    ----------
    state
        Computed on `bank`.
    days
        Days of its window from the first one with answers on.
    """
    counts = AnswerCounts(state.window_counts, state.total_counts, days)
    return assess_readiness(bank, state.is_anchor, state.parameters[:, 1], counts, configuration)


def difficulties(bank: ItemBank, estimated: FloatArray) -> FloatArray:
    """Give the best known difficulty of each item, ``(n_items,)``; NaN where nothing is known.

    Parameters
    ----------
    estimated
        ``(n_items,)`` of a night; NaN for items that it didn't know.
    """
    stated = np.where(
        np.isfinite(bank.parameters[:, 1]), bank.parameters[:, 1], bank.author_difficulty
    )
    return np.where(np.isfinite(estimated), estimated, stated)


@dataclass(frozen=True)
class _Groups:
    """Items and what is known of each, to be summed up by scale and family."""

    bank: ItemBank
    is_anchor: BoolArray
    decile: IntArray
    counts: AnswerCounts
    configuration: CalibrationConfiguration

    def scales(self) -> tuple[GroupReadiness, ...]:
        """One per scale of the bank."""
        return tuple(
            self._sum_up(name, None, self._in_use() & (self.bank.scale_index == number))
            for number, name in enumerate(self.bank.scale_names)
        )

    def families(self) -> tuple[GroupReadiness, ...]:
        """One per scale and family that has items."""
        family = np.array([name or "" for name in self.bank.content_families], object)
        found = []
        for number, scale in enumerate(self.bank.scale_names):
            in_scale = self._in_use() & (self.bank.scale_index == number)
            for name in sorted(set(family[in_scale])):
                found.append(self._sum_up(scale, name, in_scale & (family == name)))
        return tuple(found)

    def _in_use(self) -> BoolArray:
        return np.asarray(~self.bank.is_retired)

    def _sum_up(self, scale: str, family: str | None, of: BoolArray) -> GroupReadiness:
        settings = self.configuration
        window, total = self.counts.window[of], self.counts.total[of]
        anchor = of & self.is_anchor
        ready = anchor & (self.counts.window >= settings.minimum_anchor_responses)
        most = int(np.argmax(np.where(of, self.counts.total, -1))) if total.any() else None
        return GroupReadiness(
            scale=scale,
            family=family,
            items=int(of.sum()),
            answered=int((total > 0).sum()),
            eligible=int((window >= settings.minimum_responses).sum()),
            trusted=int((total >= settings.trust_threshold).sum()),
            most_answered=None if most is None else self.bank.keys[most],
            most_answers=int(total.max(initial=0)),
            anchors=int(anchor.sum()),
            anchors_ready=int(ready.sum()),
            deciles=self._occupied(of),
            deciles_with_anchors=self._occupied(anchor),
            deciles_covered=self._occupied(ready),
        )

    def _occupied(self, of: BoolArray) -> int:
        found = self.decile[of]
        return len(np.unique(found[found >= 0]))


def _deciles(difficulty: FloatArray, bank: ItemBank) -> IntArray:
    """Give the tenth of its scale's difficulties that each item lies in; −1 where it is unknown."""
    decile = np.full(bank.n_items, -1)
    known = np.isfinite(difficulty) & ~bank.is_retired
    for number in range(len(bank.scale_names)):
        pool = known & (bank.scale_index == number)
        if pool.any():
            edges = np.quantile(difficulty[pool], np.arange(1, DECILES) / DECILES)
            decile[pool] = np.searchsorted(edges, difficulty[pool], side="right")
    return decile


def _outlooks(
    bank: ItemBank, counts: AnswerCounts, configuration: CalibrationConfiguration
) -> Iterator[ItemOutlook]:
    # A window holds no more than its days' answers, however long one waits.
    at_most = counts.window * configuration.window_days
    is_reached = at_most >= configuration.minimum_responses * counts.days
    to_eligible = np.where(
        is_reached | (counts.window >= configuration.minimum_responses),
        days_until(counts.window, configuration.minimum_responses, counts),
        math.inf,
    )
    to_trusted = days_until(counts.total, configuration.trust_threshold, counts)
    for j in np.flatnonzero(~bank.is_retired).tolist():
        yield ItemOutlook(
            key=bank.keys[j],
            scale=bank.scale_names[bank.scale_index[j]],
            family=bank.content_families[j] or "",
            window_count=int(counts.window[j]),
            total_count=int(counts.total[j]),
            answers_a_day=float(counts.window[j] / max(counts.days, 1)),
            days_to_eligible=float(to_eligible[j]),
            days_to_trusted=float(to_trusted[j]),
        )


def days_until(count: IntArray, enough: int, counts: AnswerCounts) -> FloatArray:
    """Days until there are enough at the window's rate: 0 if there are, infinite without answers.

    In whole numbers: a day more for a rounding error would be one too many.
    """
    lacking = np.maximum(enough - count, 0)
    days = -(-lacking * max(counts.days, 1) // np.maximum(counts.window, 1))
    return np.where(lacking == 0, 0.0, np.where(counts.window > 0, days, math.inf))
