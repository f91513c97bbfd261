"""From archived days to the answers of one scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.records import BoolArray, DayResponses, IntArray, ItemBank


@dataclass(frozen=True)
class ScaleResponses:
    """The answers of one scale, and where they come from.

    Attributes
    ----------
    data
        Sessions with enough answers on the scale; items numbered within it.
    sessions
        ``(data.n_sessions,)`` position of each among all sessions of the days, in order.
    """

    data: ResponseData
    sessions: IntArray


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


def scale_responses(
    days: Sequence[DayResponses],
    bank: ItemBank,
    in_scale: BoolArray,
    minimum_session_answers: int,
) -> ScaleResponses:
    """Gather one scale's answers from several days.

    Parameters
    ----------
    days
        Archived days, in order.
    bank
        Gives every item its position.
    in_scale
        ``(bank.n_items,)`` items of the scale.
    minimum_session_answers
        Sessions with fewer answers on the scale are left out.

    Raises
    ------
    ValueError
        If a day holds an item that the bank lacks: extraction quarantines those.
    """
    local = np.where(in_scale, np.cumsum(in_scale) - 1, -1)
    items, scores, lengths = [], [], []
    for day in days:
        positions = bank.positions(day.keys)
        if (positions < 0).any():
            missing = day.keys[int(np.argmin(positions))]
            raise ValueError(f"day {day.revision.day} holds item {missing}, not in the bank")
        item = local[positions[day.item]] if len(day.item) else np.empty(0, np.int64)
        session = np.repeat(np.arange(len(day.session_offsets) - 1), np.diff(day.session_offsets))
        kept = item >= 0
        lengths.append(np.bincount(session[kept], minlength=len(day.session_offsets) - 1))
        items.append(item[kept])
        scores.append(day.correct[kept])
    length = np.concatenate([np.empty(0, np.int64), *lengths])
    long_enough = length >= minimum_session_answers
    answer_is_kept = np.repeat(long_enough, length)
    data = ResponseData(
        session_offsets=np.concatenate([[0], np.cumsum(length[long_enough])]).astype(np.int64),
        item=np.concatenate([np.empty(0, np.int64), *items])[answer_is_kept].astype(np.int32),
        correct=np.concatenate([np.empty(0, np.uint8), *scores])[answer_is_kept].astype(np.uint8),
        n_items=int(in_scale.sum()),
    )
    return ScaleResponses(data, np.flatnonzero(long_enough))
