"""From archived days to the answers of one scale."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.gathering import GatheredAnswers
from calibration_pipeline.records import (
    BoolArray,
    DayArray,
    FloatArray,
    IntArray,
    ScreeningCounts,
)


@dataclass(frozen=True)
class ScreeningBasis:
    """What many days teach about a scale, to be applied to a single day as well.

    Attributes
    ----------
    rapid_guess_ms
        ``(n_items,)`` time below which an answer is a rapid guess; NaN where unknown.
    common_start
        Ability that the engine starts new candidates from; NaN if it has none.
    group_names
        Population groups, the largest first.
    """

    rapid_guess_ms: FloatArray
    common_start: float
    group_names: tuple[str, ...]


@dataclass(frozen=True)
class ScaleResponses:
    """The answers of one scale, and where they come from.

    Attributes
    ----------
    data
        Sessions with enough answers on the scale; items numbered within it, copies behind them.
    sessions
        ``(data.n_sessions,)`` position of each among all sessions of the days, in order.
    days
        ``(data.n_sessions,)`` datetime64[D], the day of each.
    copies
        ``(n_copies,)`` the item that each copy is of. Copies take the answers of candidates who
        had answered the item before: hold them at the item's values.
    basis
        What the answers were screened with; None if they were not.
    counts
        What the screening found; None if there was none.
    log_group
        ``(data.n_sessions,)`` place in `log_group_names` of each session's group in the response
        log, −1 where it names none.
    log_group_names
        The groups, in alphabetical order.
    """

    data: ResponseData
    sessions: IntArray
    days: DayArray
    copies: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    basis: ScreeningBasis | None = None
    counts: ScreeningCounts | None = None
    log_group: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    log_group_names: tuple[str, ...] = ()


def window_days(partition: date, length: int) -> list[date]:
    """Days of the window that ends with the partition, oldest first."""
    return [partition - timedelta(days=age) for age in range(length - 1, -1, -1)]


def leaving_days(folded_through: date, partition: date, length: int) -> list[date]:
    """Days that have left the window since the last fold, oldest first."""
    first_of_window = partition - timedelta(days=length - 1)
    return [
        folded_through + timedelta(days=step)
        for step in range(1, (first_of_window - folded_through).days)
    ]


def response_data(answers: GatheredAnswers, kept: BoolArray, n_items: int) -> ResponseData:
    """Turn answers into what the estimator takes.

    Parameters
    ----------
    answers
        Of the sessions that are kept.
    kept
        ``(n_sessions,)`` which they are.
    n_items
        Number of items of the scale.
    """
    return ResponseData(
        session_offsets=np.concatenate([[0], np.cumsum(answers.lengths[kept])]).astype(np.int64),
        item=answers.item,
        correct=answers.correct,
        n_items=n_items,
    )
