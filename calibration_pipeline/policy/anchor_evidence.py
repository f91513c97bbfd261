"""What is known of every item when anchors are selected, and why one doesn't qualify."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.policy.anchor_movement import AnchorMovement
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import SAYS_IT_CHANGED
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    FloatArray,
    IntArray,
    ItemBank,
    ItemKey,
)


@dataclass(frozen=True)
class AnchorEvidence:
    """What anchors are selected from.

    Attributes
    ----------
    bank
        The pool as decided up to the state's night.
    state
        The newest accepted state.
    earlier
        The newest accepted one that is `movement_nights` and a window older; None without.
    oldest
        The newest accepted one that is `stable_days` older; None without.
    anchors
        The set that the state was computed with.
    flags
        Of each item: its credible flags as (night, reason), open ones alone.
    """

    bank: ItemBank
    state: CalibrationState
    earlier: CalibrationState | None
    oldest: CalibrationState | None
    anchors: AnchorSet
    flags: Mapping[ItemKey, Sequence[tuple[date, str]]]

    @cached_property
    def rows(self) -> IntArray:
        """Place of each item of the bank in the state, −1 where the state lacks it."""
        lookup = {key: row for row, key in enumerate(self.state.keys)}
        return np.array([lookup.get(key, -1) for key in self.bank.keys], np.int64)

    def of_state(self, values: NDArray[Any], default: float) -> NDArray[Any]:
        """Bring an array of the state's items into the bank's order, ``(n_items, …)``."""
        shape = (-1, *(1,) * (values.ndim - 1))
        known = (self.rows >= 0).reshape(shape)
        return np.where(known, values[np.maximum(self.rows, 0)], default)

    @cached_property
    def is_present(self) -> BoolArray:
        """Items that are anchors, ``(n_items,)``."""
        anchors = set(self.anchors.keys)
        return np.array([key in anchors for key in self.bank.keys], bool)

    @cached_property
    def is_superseded(self) -> BoolArray:
        """Items of which there is an edited version, ``(n_items,)``."""
        newest = dict(self.bank.keys)  # in order of version
        return np.array([newest[item_id] != version for item_id, version in self.bank.keys], bool)

    @cached_property
    def is_in_pool(self) -> BoolArray:
        """Items of the pool that anchors stand for: retired and edited ones are left out."""
        return np.asarray(~self.bank.is_retired & ~self.is_superseded)

    @cached_property
    def difficulty(self) -> FloatArray:
        """Newest estimates, references of anchors, NaN of items that came later."""
        return np.asarray(self.of_state(self.state.parameters[:, 1], np.nan))

    @cached_property
    def difficulty_se(self) -> FloatArray:
        """Their standard errors; of anchors that of the shadow refit."""
        return np.asarray(np.sqrt(self.of_state(self.state.covariance[:, 1, 1], np.nan)))

    @cached_property
    def total_counts(self) -> IntArray:
        """Answers in all, ``(n_items,)``."""
        return self.of_state(self.state.total_counts, 0).astype(np.int64)


Check = tuple[BoolArray, Callable[[int], str]]
"""Items that don't pass, and what to say of one."""


def why_refused(
    evidence: AnchorEvidence, movement: AnchorMovement, configuration: CalibrationConfiguration
) -> list[str]:
    """Say of every item of the bank why it can't be an anchor; empty of those that qualify."""
    reasons: list[list[str]] = [[] for _ in evidence.bank.keys]
    checks = [
        *_about_the_item(evidence, configuration),
        *_about_its_answers(evidence, configuration),
        *_about_its_movement(evidence, movement, configuration),
    ]
    for fails, say in checks:
        for j in np.flatnonzero(fails):
            reasons[j].append(say(int(j)))
    return ["; ".join(found) for found in reasons]


def _about_the_item(
    evidence: AnchorEvidence, configuration: CalibrationConfiguration
) -> list[Check]:
    state, days = evidence.state, configuration.anchors.stable_days
    since = state.partition - timedelta(days=days)
    flags = [_flags_that_count(evidence, key, since) for key in evidence.bank.keys]
    carried_from = state.carried_from[evidence.rows]
    changed = (evidence.rows >= 0) & (carried_from > np.datetime64(since))
    at_bound = evidence.of_state(_at_bound(state, configuration), 0.0).astype(bool)
    return [
        (evidence.bank.is_retired, lambda _: "retired"),
        (evidence.is_superseded, lambda _: "edited: there is a newer version of it"),
        (changed, lambda j: f"changed shortly before {carried_from[j]}"),
        (np.array([bool(found) for found in flags]), lambda j: f"flagged: {flags[j]}"),
        (at_bound, lambda _: "an estimate lies at a bound"),
    ]


def _flags_that_count(evidence: AnchorEvidence, key: ItemKey, since: date) -> str:
    """Those of tonight, and earlier ones that say that the item is another one since."""
    tonight = evidence.state.partition
    counting = {
        reason: night
        for night, reason in sorted(evidence.flags.get(key, ()))
        if night == tonight or (night > since and reason in SAYS_IT_CHANGED)
    }
    return ", ".join(f"{reason} on {night}" for reason, night in counting.items())


def _at_bound(state: CalibrationState, configuration: CalibrationConfiguration) -> BoolArray:
    """Free items with an estimate at the end of its range, ``(n_items,)``.

    A guessing parameter near 0 is none: it says that nobody guesses.
    """
    em = configuration.em
    bounds = np.array([em.discrimination_bounds, em.difficulty_bounds, em.guessing_bounds])
    free = np.diagonal(state.covariance, axis1=1, axis2=2) > 0
    lowest = np.where([True, True, False], bounds[:, 0], -np.inf)
    outside = (state.parameters <= lowest) | (state.parameters >= bounds[:, 1])
    return np.asarray((outside & free & ~state.is_anchor[:, None]).any(axis=1))


def _about_its_answers(
    evidence: AnchorEvidence, configuration: CalibrationConfiguration
) -> list[Check]:
    settings, counts = configuration.anchors, evidence.total_counts
    oldest = evidence.oldest
    known = {
        key
        for key, count in zip(oldest.keys, oldest.total_counts, strict=True)
        if count > 0
    } if oldest else set()  # fmt: skip
    is_young = np.array([key not in known for key in evidence.bank.keys], bool)
    return [
        (is_young, lambda _: f"no answers that are {settings.stable_days} days old"),
        (
            counts <= settings.minimum_total,
            lambda j: f"{counts[j]} answers in all; more than {settings.minimum_total} are needed",
        ),
        (
            (counts > settings.minimum_total) & (counts < configuration.trust_threshold),
            lambda j: f"provisional: {counts[j]} of {configuration.trust_threshold} answers",
        ),
    ]


def _about_its_movement(
    evidence: AnchorEvidence, movement: AnchorMovement, configuration: CalibrationConfiguration
) -> list[Check]:
    change = evidence.of_state(movement.change, np.nan)
    error = evidence.of_state(movement.change_se, np.nan)
    is_within = evidence.of_state(movement.is_within, 0.0).astype(bool)
    is_precise = evidence.of_state(movement.is_precise, 0.0).astype(bool)
    margin = evidence.of_state(movement.margin, np.nan)
    nights, limit = configuration.anchors.movement_nights, configuration.anchors.movement_limit
    is_known = np.isfinite(change)
    return [
        (~is_known, lambda _: f"too few answers to say whether it moved over {nights} nights"),
        (
            is_known & ~is_precise,
            lambda j: (
                f"its movement is known to ±{error[j]:.2f} only, which could hide one of "
                f"{margin[j]:.2f}; at most {limit:.2f} may be hidden"
            ),
        ),
        (
            is_known & ~is_within,
            lambda j: f"moved by {change[j]:+.2f} ± {error[j]:.2f} over {nights} nights",
        ),
    ]
