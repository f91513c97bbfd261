"""A small programme in which one item leaks, calibrated night by night without a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.leak_watch import newly_left_out, watch_digest, watch_night
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.records import CalibrationState, DayResponses, ItemKey, LeakWatch
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    SimulatedPool,
    Traffic,
    make_pool,
    night_inputs,
    simulate_days,
)

SETTINGS = CalibrationConfiguration(
    window_days=4,
    minimum_responses=10,
    minimum_anchor_responses=10,
    maximum_anchor_shift=1.0,
    linking_slope_range=(0.5, 2.0),
    linking_intercept_range=(-0.5, 0.5),
    maximum_moved_share=1.0,
)
ITEMS, DAYS, LEAKED, LEAK_DAY = 24, 8, 11, 5
SHARE, SUCCESS, TIME_FACTOR = 0.8, 0.95, 0.6


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


@lru_cache
def leaky_pool() -> SimulatedPool:
    return make_pool(ITEMS, 6, np.random.default_rng(5), author_error=0.3)


@lru_cache
def leaky_days(*, with_leak: bool = True) -> tuple[DayResponses, ...]:
    """Some 75 answers a day to every item; one item leaks to most candidates on a late day."""
    generator = np.random.default_rng(11)
    traffic = Traffic(sessions=150, answers=12, pool_share=0.6)
    days = simulate_days(leaky_pool(), DAYS, generator, traffic)
    return tuple(
        _with_times(found, with_leak=with_leak and number >= LEAK_DAY, seed=number)
        for number, found in enumerate(days)
    )


def _with_times(found: DayResponses, *, with_leak: bool, seed: int) -> DayResponses:
    """State the times that answers took, and let most candidates know the leaked item."""
    generator = np.random.default_rng([3, seed])
    n, sessions = len(found.item), len(found.session_offsets) - 1
    speed = np.repeat(generator.normal(0.0, 0.3, sessions), np.diff(found.session_offsets))
    knows = (found.item == LEAKED) & (generator.random(n) < SHARE) & with_leak
    log_seconds = 4.0 + 0.02 * found.item - speed + generator.normal(0.0, 0.4, n)
    log_seconds += np.where(knows, np.log(TIME_FACTOR), 0.0)
    right = (generator.random(n) < SUCCESS).astype(np.uint8)
    people = generator.bytes(16 * sessions)
    return replace(
        found,
        correct=np.where(knows, right, found.correct),
        time_on_task_ms=(1000.0 * np.exp(log_seconds)).astype(np.int32),
        candidate_pseudonyms=np.frombuffer(people, "V16"),
    )


@dataclass
class LeakChain:
    """Nights and their watches, each from the night before it."""

    days: Sequence[DayResponses]
    configuration: CalibrationConfiguration = SETTINGS
    states: list[CalibrationState] = field(default_factory=list)
    watches: list[LeakWatch | None] = field(default_factory=list)

    def run(
        self, number: int, dismissals: Mapping[ItemKey, date] | None = None
    ) -> CalibrationState:
        """Calibrate a night from the newest one before it."""
        pool, parent = leaky_pool(), self.states[-1] if self.states else None
        inputs = night_inputs(
            day(number), self.days, pool.bank, pool.anchors, self.configuration, parent=parent
        )
        before = self.watches[-1] if self.watches else None
        watch = watch_night(inputs, before, dismissals or {}, self.configuration)
        if watch is not None:
            inputs = replace(
                inputs, left_out_from=watch.left_out_from, leak_digest=watch_digest(watch)
            )
        state = calibrate_night(inputs, self.configuration)
        self.states.append(state)
        self.watches.append(watch)
        return state

    def run_through(self, last: int) -> "LeakChain":
        """Calibrate the nights up to one; give the chain back."""
        for number in range(len(self.states), last + 1):
            self.run(number)
        return self

    def found_on(self) -> dict[ItemKey, date]:
        """Items left out, by the night that found them."""
        found: dict[ItemKey, date] = {}
        before = None
        for state, watch in zip(self.states, self.watches, strict=True):
            if watch is not None:
                found |= dict.fromkeys(newly_left_out(watch, before), state.partition)
            before = watch
        return found
