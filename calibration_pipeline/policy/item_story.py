"""One item's story: what happened to its published values, and what its answers say of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.readiness import days_until
from calibration_pipeline.policy.version_diff import ItemChange, diff_versions
from calibration_pipeline.records import (
    AnswerCounts,
    CalibrationState,
    DayAnswers,
    ItemKey,
    ItemVersion,
    NightDifficulty,
)


@dataclass(frozen=True)
class AnswerStory:
    """An item's answers.

    Attributes
    ----------
    night
        The newest accepted night, whose counts these are; None before the first.
    in_window, in_all
        Answers that its fit took in, and that were ever counted.
    a_day
        Over the days of its window that have any answers.
    days_to_trust
        Days until the item is trusted at that rate: 0 if it is, None if never.
    share_of_sessions
        Share of the window's sessions on the scale that saw the item; None without sessions.
    first_day, last_day
        Archived days on which it was given first and last; None if it never was.
    given, scored, right
        On all archived days: how often it was given, how often scored, and how often right.
    """

    night: date | None
    in_window: int
    in_all: int
    a_day: float
    days_to_trust: int | None
    share_of_sessions: float | None
    first_day: date | None
    last_day: date | None
    given: int
    scored: int
    right: int

    @property
    def share_right(self) -> float | None:
        """Share of right answers among the scored ones of all archived days."""
        return self.right / self.scored if self.scored else None


def tell_answers(
    key: ItemKey,
    scale: str,
    state: CalibrationState | None,
    days: Sequence[DayAnswers],
    days_with_answers: Sequence[date],
    configuration: CalibrationConfiguration,
) -> AnswerStory:
    """Sum up the answers to one item.

    Parameters
    ----------
    scale
        The item's.
    state
        Of the newest accepted night.
    days
        Archived days, oldest first.
    days_with_answers
        Archived days with answers to any item.
    """
    window, total, share = 0, 0, None
    counts = AnswerCounts(np.zeros(1, np.int64), np.zeros(1, np.int64), 1)
    if state is not None and key in state.keys:
        j = state.keys.index(key)
        window, total = int(state.window_counts[j]), int(state.total_counts[j])
        first = min(
            (day for day, *_ in state.window if day in set(days_with_answers)), default=None
        )
        length = (state.partition - first).days + 1 if first else 1
        counts = AnswerCounts(np.array([window]), np.array([total]), length)
        sessions = sum(own.session_count for own in state.scales if own.name == scale)
        share = window / sessions if sessions else None
    to_trust = float(days_until(counts.total, configuration.trust_threshold, counts)[0])
    seen = [day for day in days if day.given]
    return AnswerStory(
        night=None if state is None else state.partition,
        in_window=window,
        in_all=total,
        a_day=window / counts.days,
        days_to_trust=int(to_trust) if math.isfinite(to_trust) else None,
        share_of_sessions=share,
        first_day=seen[0].day if seen else None,
        last_day=seen[-1].day if seen else None,
        given=sum(day.given for day in seen),
        scored=sum(day.scored for day in seen),
        right=sum(day.right for day in seen),
    )


def changes_between(versions: Sequence[ItemVersion]) -> tuple[ItemChange, ...]:
    """Say what each version changed about the item against the one before it; the first came."""
    found = []
    for before, after in zip([None, *versions], versions, strict=False):
        earlier = [] if before is None else [before.item]
        constants = ((before or after).scaling_constant, after.scaling_constant)
        found.append(diff_versions(earlier, [after.item], constants).items[0])
    return tuple(found)


def change_in_words(change: ItemChange) -> str:
    """Every kind of change that applies, but for the size of a move; empty where there is none."""
    said: list[str] = [] if change.presence == "both" else [change.presence]
    said += ["moved"] if change.moved else []
    said += ["trusted now"] if change.graduated else []
    said += ["provisional again"] if change.became_provisional else []
    if change.source_changed and change.before and change.after:
        said.append(f"{change.before.source} → {change.after.source}")
    return ", ".join(said)


def published_trajectory(versions: Sequence[ItemVersion]) -> tuple[NightDifficulty, ...]:
    """Give the difficulty of the newest version of each night, oldest night first."""
    ordered = sorted(versions, key=lambda own: (own.night, own.version))
    newest = {own.night: own for own in ordered}
    return tuple(
        NightDifficulty(night, own.item.difficulty, own.item.difficulty_se)
        for night, own in newest.items()
    )
