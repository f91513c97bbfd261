"""Answers of days, and what a night made of them."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.records.arrays import FloatArray, IntArray, ItemKey

OUTCOMES = ("scored", "omitted", "not_reached", "invalid")
"""What became of a presented item; an answer's code is its place here."""


@dataclass(frozen=True)
class DayRevision:
    """One extraction of one day; a changed source gives a new revision beside the old one."""

    day: date
    revision: int
    digest: str
    response_count: int
    session_count: int
    quarantine_counts: dict[str, int]


@dataclass(frozen=True)
class DayResponses:
    """The sessions that started on one local day, as archived.

    Sessions stand in canonical order (start, then source id), answers in order of presentation.
    What the log didn't state for any answer of the day is None.

    Attributes
    ----------
    revision
        Which extraction this is.
    keys
        The items that occur; `item` points into it.
    session_offsets
        ``(n_sessions + 1,)`` session s holds answers ``session_offsets[s]:session_offsets[s+1]``.
    item
        ``(n_responses,)`` int32 position in `keys`.
    correct
        ``(n_responses,)`` uint8, 1 for a right answer; 0 where none was scored.
    session_pseudonyms, candidate_pseudonyms
        ``(n_sessions,)`` 16-byte keyed hashes (dtype 'S16' would strip zeros: 'V16'). All zeros:
        nobody is named.
    outcome
        ``(n_responses,)`` uint8 place in `OUTCOMES`; None if every answer was scored.
    time_on_task_ms
        ``(n_responses,)`` int32 milliseconds, −1 where unknown.
    starting_ability
        ``(n_sessions,)`` the engine's ability estimate at the session's first item, units of
        theta; NaN where unknown. It was known before any answer of the session.
    population_group
        ``(n_sessions,)`` int32 place in `group_names`, −1 where unknown.
    group_names
        Population groups that occur, in alphabetical order.
    """

    revision: DayRevision
    keys: tuple[ItemKey, ...]
    session_offsets: IntArray
    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    session_pseudonyms: NDArray[np.void]
    candidate_pseudonyms: NDArray[np.void]
    outcome: NDArray[np.uint8] | None = None
    time_on_task_ms: NDArray[np.int32] | None = None
    starting_ability: FloatArray | None = None
    population_group: NDArray[np.int32] | None = None
    group_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerCounts:
    """Answers by item of the bank.

    Attributes
    ----------
    window
        ``(n_items,)`` in the window.
    total
        ``(n_items,)`` in all.
    days
        Days over which the window's answers came: from its first day with any to its last day.
    """

    window: IntArray
    total: IntArray
    days: int


@dataclass(frozen=True)
class ScreeningCounts:
    """What was found in the answers of a scale.

    Attributes
    ----------
    sessions, answers
        That take part in the fit.
    short_sessions
        Left out because they have too few answers on the scale.
    omitted, not_reached, invalid
        Items given and not answered, by outcome; sessions left out included.
    repeated_exposures
        Answers to an item that their candidate had answered before.
    timed_items, rapid_guesses
        Items with a threshold for rapid guesses, and answers below it.
    judged_sessions, aberrant_sessions
        Sessions whose person fit is known, and those among them that don't follow the model.
    group_sessions
        ``(n_groups,)`` sessions of each population group.
    suspected
        Answers left out because their item is suspected to have leaked.
    """

    sessions: int = 0
    answers: int = 0
    short_sessions: int = 0
    omitted: int = 0
    not_reached: int = 0
    invalid: int = 0
    repeated_exposures: int = 0
    timed_items: int = 0
    rapid_guesses: int = 0
    judged_sessions: int = 0
    aberrant_sessions: int = 0
    group_sessions: tuple[int, ...] = ()
    suspected: int = 0


@dataclass(frozen=True)
class CandidateAbilities:
    """A night's abilities, one per session and scale; one entry per row in every field.

    `theta` is the posterior mean and `theta_se` the posterior standard deviation, both in units
    of theta; pseudonyms are 16-byte keyed hashes (dtype 'V16').
    """

    scales: tuple[str, ...]
    session_pseudonyms: NDArray[np.void]
    candidate_pseudonyms: NDArray[np.void]
    theta: FloatArray
    theta_se: FloatArray
    response_counts: IntArray
