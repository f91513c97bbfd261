"""A testing programme with known truth: a pool, its candidates, and dated adaptive sessions.

Everything follows from the plan's seed. The pool has a child seed of its own, and so has every
calendar day, so that a day is the same however many days the plan has and whichever comes last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.simulation import (
    SelectionRule,
    SimulatedSessions,
    simulate_sessions,
)
from calibration_pipeline.policy.simulated_pool import (
    PoolPlan,
    SimulatedPool,
    simulate_pool,
)
from calibration_pipeline.records import FloatArray, IntArray

Moments = NDArray[np.datetime64]

# Kinds of child seed: each draw is of a stream that no other draw touches.
_POOL, _CANDIDATES, _SESSIONS = range(3)

RETURN_AFTER_DAYS = range(7, 61)
"""How long ago a returning candidate was new; all of these are equally likely."""

# Sessions that start in each hour of a local day, relative to one another: quiet at night, busiest
# in the morning and the evening, with a few so late that they end on the next day.
_HOURLY_TRAFFIC = np.array(
    [3, 1, 1, 1, 1, 2, 5, 10, 20, 25, 25, 22, 18, 22, 25, 25, 22, 20, 22, 25, 22, 16, 10, 5]
)

# Seconds on an item: log-normal around a median that depends on item and candidate (van der
# Linden 2006, J. Educ. Behav. Stat. 31, eq. 1: log time = item's intensity − person's speed + e).
_MEDIAN_SECONDS = 30.0
_TIME_NOISE = 0.4
_SPEED_BY_ABILITY = 0.15
_SPEED_SPREAD = 0.2
_INTENSITY_BY_DIFFICULTY = 0.2
_SECONDS_RANGE = (1.0, 600.0)
_PAUSE_SECONDS = (1.0, 4.0)


@dataclass(frozen=True)
class SimulationPlan(PoolPlan):
    """What to simulate: the pool (see `PoolPlan`) and its traffic.

    Attributes
    ----------
    last_day
        Local day of the last sessions.
    days, sessions_per_day, answers
        How much: days, sessions that start on each, answers of each session.
    pool_share
        Share of the pool that the engine lets one session see.
    returning_share
        Share of a day's sessions taken by candidates who were new 7 to 60 days ago.
    timezone
        IANA name of the zone in which a day begins.
    seed
        The only source of randomness, a whole number from 0.
    """

    last_day: date
    days: int = 35
    sessions_per_day: int = 500
    answers: int = 30
    pool_share: float = 0.025
    returning_share: float = 0.2
    timezone: str = "Europe/Zurich"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.days, self.sessions_per_day, self.answers) < 1 or self.seed < 0:
            raise ValueError("days, sessions and answers count from 1, the seed from 0")
        if self.items < self.answers:
            raise ValueError(f"a session of {self.answers} answers needs as many items")
        if not 0.0 < self.pool_share <= 1.0 or not 0.0 <= self.returning_share < 1.0:
            raise ValueError("a share lies between 0 and 1, and some candidates must be new")

    @property
    def response_count(self) -> int:
        """Answers in all."""
        return self.days * self.sessions_per_day * self.answers

    def generator(self, kind: int, number: int = 0) -> np.random.Generator:
        """Start the stream of one kind of draw, by calendar day where it has one."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(kind, number)))


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
    started_at
        ``(n_sessions,)`` UTC, in milliseconds.
    sessions
        Items, answers and the engine's estimates, ``(n_sessions, answers)`` each.
    answered_at, time_on_task_ms
        ``(n_sessions, answers)`` UTC in milliseconds, and milliseconds.
    """

    day: date
    session_ids: tuple[str, ...]
    candidate_ids: tuple[str, ...]
    theta: FloatArray
    returning: NDArray[np.bool_]
    started_at: Moments
    sessions: SimulatedSessions
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

        return {
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


@dataclass(frozen=True)
class SimulatedProgramme:
    """A pool and its days; a day is simulated when it is asked for."""

    plan: SimulationPlan
    pool: SimulatedPool

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
        generator = plan.generator(_SESSIONS, day.toordinal())
        candidate_ids, theta, speed, returning = _candidates(plan, day, generator)
        rule = SelectionRule(answers=plan.answers, pool_share=plan.pool_share)
        sessions = simulate_sessions(
            theta, pool.truth, pool.engine_parameters, rule, generator, plan.scaling_constant
        )
        started_at = _session_starts(day, ZoneInfo(plan.timezone), len(theta), generator)
        times = _times_on_task(pool.truth[sessions.item, 1], speed, generator)
        pauses = generator.uniform(*_PAUSE_SECONDS, times.shape) * 1000
        elapsed = (times + pauses).astype(np.int64).cumsum(axis=1)
        return SimulatedDay(
            day=day,
            session_ids=tuple(f"s{day:%Y%m%d}-{number:05d}" for number in range(len(theta))),
            candidate_ids=candidate_ids,
            theta=theta,
            returning=returning,
            started_at=started_at,
            sessions=sessions,
            answered_at=started_at[:, None] + elapsed.astype("timedelta64[ms]"),
            time_on_task_ms=times,
        )


def simulate_programme(plan: SimulationPlan) -> SimulatedProgramme:
    """Draw the pool of a plan; its days are drawn as they are asked for."""
    return SimulatedProgramme(plan, simulate_pool(plan, plan.generator(_POOL)))


def _new_candidates(plan: SimulationPlan, day: date) -> tuple[FloatArray, FloatArray]:
    """Ability and speed of a day's new candidates: theirs for good, so whoever returns has them."""
    generator = plan.generator(_CANDIDATES, day.toordinal())
    n_new = plan.sessions_per_day - int(plan.returning_share * plan.sessions_per_day)
    theta = generator.normal(size=n_new)
    speed = _SPEED_BY_ABILITY * theta + generator.normal(0.0, _SPEED_SPREAD, n_new)
    return theta, speed


def _candidates(
    plan: SimulationPlan, day: date, generator: np.random.Generator
) -> tuple[tuple[str, ...], FloatArray, FloatArray, NDArray[np.bool_]]:
    """Ids, abilities, speeds of a day's candidates in random order, and which have returned."""
    theta, speed = _new_candidates(plan, day)
    n_new, n_returning = len(theta), plan.sessions_per_day - len(theta)
    chosen = generator.choice(len(RETURN_AFTER_DAYS) * n_new, n_returning, replace=False)
    origins = [(day, number) for number in range(n_new)]
    earlier = {lag: _new_candidates(plan, day - timedelta(days=lag)) for lag in RETURN_AFTER_DAYS}
    returned = np.empty((2, n_returning))
    for slot, choice in enumerate(chosen):
        lag, number = RETURN_AFTER_DAYS[choice // n_new], choice % n_new
        origins.append((day - timedelta(days=lag), number))
        returned[:, slot] = earlier[lag][0][number], earlier[lag][1][number]
    order = generator.permutation(plan.sessions_per_day)
    theta = np.concatenate([theta, returned[0]])[order]
    speed = np.concatenate([speed, returned[1]])[order]
    ids = [f"c{origin:%Y%m%d}-{number:05d}" for origin, number in origins]
    return tuple(ids[k] for k in order), theta, speed, order >= n_new


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
