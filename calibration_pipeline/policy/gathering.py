"""The answers to one scale's items from several days, one after another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.records import (
    OUTCOMES,
    BoolArray,
    DayArray,
    DayResponses,
    FloatArray,
    IntArray,
    ItemBank,
)

DEFAULT_ABSENT = (False, False, True, True)
"""Which of `OUTCOMES` are left out: those of items that a candidate didn't try."""


@dataclass(frozen=True)
class GatheredAnswers:
    """One scale's answers, in order of day, session and presentation.

    Every session of the days has a place, those without answers on the scale included.

    Attributes
    ----------
    item
        ``(n_answers,)`` int32, numbered within the scale.
    correct
        ``(n_answers,)`` uint8.
    is_scored
        ``(n_answers,)`` False where a missing answer counts as a wrong one.
    time_ms
        ``(n_answers,)`` int32 time on task, −1 where unknown; None if no day knows any.
    lengths
        ``(n_sessions,)`` answers of each session.
    had_items
        ``(n_sessions,)`` whether the session was given any item of the scale.
    candidate
        ``(n_sessions,)`` a number per person; whoever isn't named is a person apart.
    starting_ability
        ``(n_sessions,)`` NaN where unknown.
    population_group
        ``(n_sessions,)`` place in `group_names`, −1 where unknown.
    group_names
        Groups that the days name.
    outcome_counts
        ``(4,)`` items given, by `OUTCOMES`.
    suspected_count
        Answers left out because their item is suspected to have leaked.
    """

    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    is_scored: BoolArray
    time_ms: NDArray[np.int32] | None
    lengths: IntArray
    had_items: BoolArray
    candidate: IntArray
    starting_ability: FloatArray
    population_group: IntArray
    group_names: tuple[str, ...]
    outcome_counts: IntArray
    suspected_count: int = 0

    @property
    def session(self) -> IntArray:
        """Session of each answer, ``(n_answers,)``."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def of_sessions(self, kept: BoolArray) -> "GatheredAnswers":
        """Keep the answers of some sessions; the others stay in place, without answers."""
        answers = np.repeat(kept, self.lengths)
        return replace(
            self,
            item=self.item[answers],
            correct=self.correct[answers],
            is_scored=self.is_scored[answers],
            time_ms=None if self.time_ms is None else self.time_ms[answers],
            lengths=np.where(kept, self.lengths, 0),
        )


def gather(
    days: Sequence[DayResponses],
    bank: ItemBank,
    in_scale: BoolArray,
    absent: Sequence[bool] = DEFAULT_ABSENT,
    left_out_from: DayArray | None = None,
) -> GatheredAnswers:
    """Gather one scale's answers from several days.

    Parameters
    ----------
    days
        Archived days, in order.
    bank
        Gives every item its position.
    in_scale
        ``(bank.n_items,)`` items of the scale.
    absent
        By `OUTCOMES`: whether such answers are left out. The others count as wrong.
    left_out_from
        ``(bank.n_items,)`` first day whose answers to the item are left out, as if it hadn't been
        given; NaT: none. None: no item has such a day.

    Raises
    ------
    ValueError
        If a day holds an item that the bank lacks: extraction quarantines those.
    """
    local = np.where(in_scale, np.cumsum(in_scale) - 1, -1).astype(np.int32)
    group_names = tuple(sorted({name for day in days for name in day.group_names}))
    is_absent = np.array(absent)
    suspected_count = 0
    parts: list[dict[str, NDArray[Any]]] = []
    for day in days:
        n_sessions = len(day.session_offsets) - 1
        item = _local_items(day, bank, local)
        outcome = _or_default(day.outcome, len(item), 0)
        session = np.repeat(np.arange(n_sessions), np.diff(day.session_offsets))
        given = item >= 0
        if left_out_from is not None:
            is_out = left_out_from[in_scale] <= np.datetime64(day.revision.day)
            is_suspected = np.zeros(len(item), np.bool_)
            is_suspected[given] = is_out[item[given]]
            suspected_count += int(is_suspected.sum())
            given &= ~is_suspected
        kept = given & ~is_absent[outcome] if day.outcome is not None else given
        parts.append(
            {
                "item": item[kept],
                "correct": day.correct[kept],
                "is_scored": outcome[kept] == 0,
                "time_ms": _or_default(day.time_on_task_ms, len(item), -1)[kept],
                "lengths": np.bincount(session[kept], minlength=n_sessions),
                "had_items": np.bincount(session[given], minlength=n_sessions) > 0,
                "starting_ability": _or_default(day.starting_ability, n_sessions, np.nan),
                "population_group": _common_groups(day, n_sessions, group_names),
                "outcome_counts": np.bincount(outcome[given], minlength=len(OUTCOMES)),
            }
        )

    def all_days(name: str, kind: type) -> NDArray[Any]:
        return np.concatenate([np.empty(0, kind), *(part[name] for part in parts)]).astype(kind)

    has_times = any(day.time_on_task_ms is not None for day in days)
    counts = all_days("outcome_counts", np.int64).reshape(-1, len(OUTCOMES))
    return GatheredAnswers(
        item=all_days("item", np.int32),
        correct=all_days("correct", np.uint8),
        is_scored=all_days("is_scored", np.bool_),
        time_ms=all_days("time_ms", np.int32) if has_times else None,
        lengths=all_days("lengths", np.int64),
        had_items=all_days("had_items", np.bool_),
        candidate=_people([day.candidate_pseudonyms for day in days]),
        starting_ability=all_days("starting_ability", np.float64),
        population_group=all_days("population_group", np.int64),
        group_names=group_names,
        outcome_counts=counts.sum(axis=0),
        suspected_count=suspected_count,
    )


def _local_items(day: DayResponses, bank: ItemBank, local: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number each answer's item within the scale, −1 for items of other scales."""
    positions = bank.positions(day.keys)
    if (positions < 0).any():
        missing = day.keys[int(np.argmin(positions))]
        raise ValueError(f"day {day.revision.day} holds item {missing}, not in the bank")
    return local[positions][day.item] if len(day.item) else np.empty(0, np.int32)


def _or_default(values: NDArray[Any] | None, length: int, default: float) -> NDArray[Any]:
    return np.full(length, default) if values is None else values


def _common_groups(day: DayResponses, n_sessions: int, group_names: tuple[str, ...]) -> IntArray:
    """Bring a day's group numbers to the names of all days."""
    if day.population_group is None:
        return np.full(n_sessions, -1)
    place = np.array([*map(group_names.index, day.group_names), -1])
    return place[day.population_group]  # −1 points at the last entry, which is −1


def _people(pseudonyms: Sequence[NDArray[np.void]]) -> IntArray:
    """Give each session the number of its person."""
    together = np.concatenate([np.empty(0, "V16"), *pseudonyms])
    _, person = np.unique(together, return_inverse=True)
    halves = np.ascontiguousarray(together).view(np.uint64).reshape(-1, 2)
    nobody = np.flatnonzero(~halves.any(axis=1))
    person = person.astype(np.int64)
    person[nobody] = len(together) + nobody
    return person
