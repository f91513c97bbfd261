"""A testing programme with known truth: a pool, its candidates, and dated adaptive sessions.

Everything follows from the plan's seed. The pool has a child seed of its own, and so has every
calendar day, so that a day is the same however many days the plan has and whichever comes last.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.simulation import (
    Preknowledge,
    RapidGuesses,
    SelectionRule,
    SimulatedSessions,
    simulate_sessions,
)
from calibration_pipeline.policy.simulated_candidates import (
    RETURN_AFTER_DAYS,
    Candidates,
    draw_candidates,
)
from calibration_pipeline.policy.simulated_plan import SimulationPlan, Stream
from calibration_pipeline.policy.simulated_pool import SimulatedPool, simulate_pool
from calibration_pipeline.records import BoolArray, FloatArray, IntArray

__all__ = [
    "RETURN_AFTER_DAYS",
    "SimulatedDay",
    "SimulatedProgramme",
    "SimulationPlan",
    "simulate_programme",
]

Moments = NDArray[np.datetime64]

# Sessions that start in each hour of a local day, relative to one another: quiet at night, busiest
# in the morning and the evening, with a few so late that they end on the next day.
_HOURLY_TRAFFIC = np.array(
    [3, 1, 1, 1, 1, 2, 5, 10, 20, 25, 25, 22, 18, 22, 25, 25, 22, 20, 22, 25, 22, 16, 10, 5]
)

# Seconds on an item: log-normal around a median that depends on item and candidate (van der
# Linden 2006, J. Educ. Behav. Stat. 31, eq. 1: log time = item's intensity − person's speed + e).
_MEDIAN_SECONDS = 30.0
_TIME_NOISE = 0.4
_INTENSITY_BY_DIFFICULTY = 0.2
_SECONDS_RANGE = (1.0, 600.0)
_RAPID_SECONDS = (0.5, 2.5)
_PAUSE_SECONDS = (1.0, 4.0)
_KNOWN_ITEM_TIME = 0.6
"""Of its usual time that an item takes whom it has leaked to."""


@dataclass(frozen=True)
class SimulatedDay:
    """The sessions that start on one local day, in order of their start.

    Attributes
    ----------
    day
        The local day.
    session_ids, candidate_ids
        One per session.
    theta, returning
        ``(n_sessions,)`` true ability; whether the candidate was here before.
    groups
        Each candidate's population group; empty where the plan has none.
    started_at
        ``(n_sessions,)`` UTC, in milliseconds.
    sessions
        Items, answers and the engine's estimates, ``(n_sessions, answers)`` each.
    is_rapid_guess
        ``(n_sessions, answers)`` answers that owe nothing to ability.
    answered_at, time_on_task_ms
        ``(n_sessions, answers)`` UTC in milliseconds, and milliseconds.
    """

    day: date
    session_ids: tuple[str, ...]
    candidate_ids: tuple[str, ...]
    theta: FloatArray
    returning: BoolArray
    groups: tuple[str, ...]
    started_at: Moments
    sessions: SimulatedSessions
    is_rapid_guess: BoolArray
    answered_at: Moments
    time_on_task_ms: IntArray

    def columns(self, item_ids: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Give the day as a response log: one entry per answer in every column.

        Parameters
        ----------
        item_ids
            The pool's, in its order.
        """
        n_sessions, answers = self.sessions.item.shape

        def per_answer(values: Sequence[str] | Moments) -> NDArray[np.generic]:
            kind = values.dtype if isinstance(values, np.ndarray) else np.dtype(object)
            return np.repeat(np.asarray(values, kind), answers)

        columns = {
            "session_id": per_answer(self.session_ids),
            "candidate_id": per_answer(self.candidate_ids),
            "item_id": np.asarray(item_ids, object)[self.sessions.item.ravel()],
            "is_correct": self.sessions.correct.ravel(),
            "answered_at": self.answered_at.ravel(),
            "session_started_at": per_answer(self.started_at),
            "position": np.tile(np.arange(1, answers + 1, dtype=np.int32), n_sessions),
            "time_on_task_ms": self.time_on_task_ms.ravel().astype(np.int32),
            "theta_at_presentation": self.sessions.estimate.ravel(),
        }
        if self.groups:
            columns["population_group"] = per_answer(self.groups)
        return columns


@dataclass(frozen=True)
class SimulatedProgramme:
    """A pool and its days; a day is simulated when it is asked for."""

    plan: SimulationPlan
    pool: SimulatedPool
    _known_estimates: dict[date, Mapping[str, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def calendar(self) -> tuple[date, ...]:
        """The local days, oldest first."""
        ages = range(self.plan.days - 1, -1, -1)
        return tuple(self.plan.last_day - timedelta(days=age) for age in ages)

    def days(self) -> Iterator[SimulatedDay]:
        """Simulate the days one after another."""
        return map(self.day, self.calendar)

    def day(self, day: date) -> SimulatedDay:
        """Simulate one local day.

        1. Candidates come: new ones, and some who were new on an earlier day.
        2. Each takes one adaptive session. The engine chooses by what it believes, the answers
           follow the truth.
        3. The clock is drawn: start, time on each item, pauses between them.
        """
        plan, pool = self.plan, self.pool
        generator = plan.generator(Stream.SESSIONS, day.toordinal())
        candidates = draw_candidates(plan, day, generator)
        guesses, rapid_times = self._rapid_guesses(day)
        starts = self._remembered_estimates(candidates) if plan.engine_remembers else None
        leaks = self._preknowledge(day)
        sessions = self._sessions(candidates, guesses, leaks, generator, starts)
        n_sessions = len(candidates.ids)
        started_at = _session_starts(day, ZoneInfo(plan.timezone), n_sessions, generator)
        times = _times_on_task(pool.truth[sessions.item, 1], candidates.speed, generator)
        is_known = leaks.knows[:, None] & leaks.items[sessions.item]
        times = np.where(is_known, (_KNOWN_ITEM_TIME * times).astype(np.int64), times)
        times = np.where(guesses.given, rapid_times, times)
        pauses = generator.uniform(*_PAUSE_SECONDS, times.shape) * 1000
        elapsed = (times + pauses).astype(np.int64).cumsum(axis=1)
        names = tuple(plan.group_shifts)
        return SimulatedDay(
            day=day,
            session_ids=tuple(f"s{day:%Y%m%d}-{number:05d}" for number in range(n_sessions)),
            candidate_ids=candidates.ids,
            theta=candidates.theta,
            returning=candidates.returning,
            groups=tuple(names[number] for number in candidates.group) if names else (),
            started_at=started_at,
            sessions=sessions,
            is_rapid_guess=guesses.given,
            answered_at=started_at[:, None] + elapsed.astype("timedelta64[ms]"),
            time_on_task_ms=times,
        )

    def _sessions(
        self,
        candidates: Candidates,
        guesses: RapidGuesses,
        leaks: Preknowledge,
        generator: np.random.Generator,
        starts: FloatArray | None = None,
    ) -> SimulatedSessions:
        plan, pool = self.plan, self.pool
        return simulate_sessions(
            candidates.theta,
            pool.truth,
            pool.engine_parameters,
            SelectionRule(answers=plan.answers, pool_share=plan.pool_share),
            generator,
            plan.scaling_constant,
            starts=starts,
            guesses=guesses,
            preknowledge=leaks,
        )

    def _preknowledge(self, day: date) -> Preknowledge:
        """Who of a day's candidates, in order of their sessions, knows the leaked items."""
        plan = self.plan
        knows = np.zeros(plan.sessions_per_day, np.bool_)
        if plan.leaked_from is not None and day >= plan.leaked_from:
            generator = plan.generator(Stream.LEAKS, day.toordinal())
            knows = generator.random(plan.sessions_per_day) < plan.leak_share
        return Preknowledge(knows, self.pool.is_leaked)

    def _rapid_guesses(self, day: date) -> tuple[RapidGuesses, IntArray]:
        """Which of a day's answers are rapid guesses, and the milliseconds that each would take."""
        plan, options = self.plan, self.pool.option_counts
        generator = plan.generator(Stream.RAPID_GUESSES, day.toordinal())
        shape = (plan.sessions_per_day, plan.answers)
        given = generator.random(shape) < plan.rapid_guess_share
        times = (generator.uniform(*_RAPID_SECONDS, shape) * 1000).astype(np.int64)
        chance = np.where(options > 0, 1.0 / np.maximum(options, 1), 0.0)
        return RapidGuesses(given, chance), times

    def _remembered_estimates(self, candidates: Candidates) -> FloatArray:
        """What the engine knows of each candidate, ``(n_candidates,)``; NaN of those who are new.

        It is the estimate after the candidate's first session: a later one would depend on all
        days before, and a day would no longer stand for itself.
        """
        estimates = np.full(len(candidates.ids), np.nan)
        for row in np.flatnonzero(candidates.returning):
            known = self._first_estimates(candidates.first_days[row])
            estimates[row] = known[candidates.ids[row]]
        return estimates

    def _first_estimates(self, day: date) -> Mapping[str, float]:
        """The engine's last estimate of everybody who was new on a day, by candidate.

        A session takes nothing but its own random numbers, so the new candidates' sessions are
        those of `day`, whatever the returning ones start from.
        """
        if day not in self._known_estimates:
            generator = self.plan.generator(Stream.SESSIONS, day.toordinal())
            candidates = draw_candidates(self.plan, day, generator)
            sessions = self._sessions(
                candidates, self._rapid_guesses(day)[0], self._preknowledge(day), generator
            )
            self._known_estimates[day] = {
                candidates.ids[row]: float(sessions.final_estimate[row])
                for row in np.flatnonzero(~candidates.returning)
            }
        return self._known_estimates[day]


def simulate_programme(plan: SimulationPlan) -> SimulatedProgramme:
    """Draw the pool of a plan; its days are drawn as they are asked for."""
    return SimulatedProgramme(plan, simulate_pool(plan, plan.generator(Stream.POOL)))


def _session_starts(
    day: date, timezone: ZoneInfo, n_sessions: int, generator: np.random.Generator
) -> Moments:
    """UTC starts, ascending, ``(n_sessions,)``; on days when clocks change too within the day."""
    share = _HOURLY_TRAFFIC / _HOURLY_TRAFFIC.sum()
    hour = generator.choice(24, n_sessions, p=share)
    in_hour = generator.integers(0, 3_600_000, n_sessions).astype("timedelta64[ms]")
    # Hour by hour, because the offset from UTC changes within some days.
    local = (datetime.combine(day, time(h), tzinfo=timezone) for h in range(24))
    hours = [moment.astimezone(UTC).replace(tzinfo=None) for moment in local]
    return np.sort(np.array(hours, "datetime64[ms]")[hour] + in_hour)


def _times_on_task(
    difficulty: FloatArray, speed: FloatArray, generator: np.random.Generator
) -> IntArray:
    """Milliseconds on each item, ``(n_sessions, answers)``."""
    log_seconds = (
        np.log(_MEDIAN_SECONDS)
        + _INTENSITY_BY_DIFFICULTY * difficulty
        - speed[:, None]
        + generator.normal(0.0, _TIME_NOISE, difficulty.shape)
    )
    milliseconds: IntArray = (np.exp(log_seconds).clip(*_SECONDS_RANGE) * 1000).astype(np.int64)
    return milliseconds
