"""Claims about many nights, checked against simulated truth."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from calibration_pipeline.irt.model import standard_errors, to_internal
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import CalibrationState
from calibration_pipeline_tests.simulated import (
    SimulatedPool,
    Traffic,
    make_pool,
    run_nights,
    simulate_days,
)

SEEDS = range(4)
TRAFFIC = Traffic(sessions=60, answers=20, pool_share=0.4)
Between = Callable[[CalibrationState], CalibrationState]


def posterior_as_prior(state: CalibrationState) -> CalibrationState:
    """The naive rule: last night's posterior is tonight's prior, overlapping window and all."""
    free = (np.diagonal(state.covariance, axis1=1, axis2=2) > 0) & ~state.is_anchor[:, None]
    pairs = free[:, :, None] & free[:, None, :]
    absent = np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    precision = np.linalg.inv(np.where(pairs, state.covariance, 0.0) + absent) - absent
    base = np.where(free, state.prior_precision, 0.0)
    linear = np.einsum("jkm,jm->jk", precision, to_internal(state.parameters))
    return replace(
        state,
        carried_information=precision - base[:, :, None] * np.eye(3),
        carried_linear=linear - base * state.prior_mean,
        folded_through=None,  # nothing leaves, nothing is kept out of the window
    )


@dataclass(frozen=True)
class Setting:
    """A window's length, and how many nights are calibrated under it."""

    window_days: int
    nights: int
    undisturbed: list[tuple[SimulatedPool, list[CalibrationState]]] = field(default_factory=list)

    def run(
        self, seed: int, *, first: int = 0, between: Between | None = None
    ) -> tuple[SimulatedPool, list[CalibrationState]]:
        """Simulate a pool and its nights; calibrate those from number `first` on."""
        generator = np.random.default_rng(seed)
        pool = make_pool(100, 16, generator)
        days = simulate_days(pool, self.nights, generator, TRAFFIC)
        settings = CalibrationConfiguration(window_days=self.window_days)
        return pool, run_nights(pool, days, settings, first=first, between=between)

    def later_half(self, states: list[CalibrationState]) -> list[CalibrationState]:
        return states[self.nights // 2 :]


def coverage_and_error(pool: SimulatedPool, states: list[CalibrationState]) -> tuple[float, float]:
    """Of 95% intervals of b, pooled over nights; and the last night's RMSE."""
    free = ~pool.is_anchor
    hits = []
    for state in states:
        error = (state.parameters - pool.truth)[free, 1]
        hits.append(
            np.abs(error) < 1.96 * standard_errors(state.parameters, state.covariance)[free, 1]
        )
    return float(np.mean(hits)), float(np.sqrt(np.square(error).mean()))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((15, 40), id="forty nights"),
        pytest.param((30, 60), id="sixty nights of the usual window", marks=pytest.mark.slow),
    ],
)
def setting(request: pytest.FixtureRequest) -> Setting:
    """Nights that count each answer once."""
    found = Setting(*request.param)
    found.undisturbed.extend(found.run(seed) for seed in SEEDS)
    return found


def test_every_answer_is_counted_exactly_once(setting: Setting) -> None:
    for _, states in setting.undisturbed:
        assert all(state.is_accepted for state in states)
        for number, state in enumerate(states):
            assert state.total_counts.sum() == (number + 1) * TRAFFIC.sessions * TRAFFIC.answers


def test_intervals_cover_the_truth_after_many_nights(setting: Setting) -> None:
    found = [
        coverage_and_error(pool, setting.later_half(states)) for pool, states in setting.undisturbed
    ]
    assert 0.91 <= np.mean([coverage for coverage, _ in found]) <= 0.98


@pytest.mark.slow
def test_the_naive_rule_fails_the_same_check(setting: Setting) -> None:
    """Counting each answer as often as nights see it: intervals far too narrow, a larger error."""
    naive = [setting.run(seed, between=posterior_as_prior) for seed in SEEDS[:2]]
    found, ours = (
        [coverage_and_error(pool, setting.later_half(states)) for pool, states in runs]
        for runs in (naive, setting.undisturbed[:2])
    )
    assert np.mean([coverage for coverage, _ in found]) < 0.6
    assert np.mean([error for _, error in found]) > 1.3 * np.mean([error for _, error in ours])


def test_carrying_beats_the_window_alone(setting: Setting) -> None:
    carried = [coverage_and_error(pool, states[-1:])[1] for pool, states in setting.undisturbed]
    alone = [coverage_and_error(*setting.run(seed, first=setting.nights - 1))[1] for seed in SEEDS]
    assert np.mean(carried) < 0.95 * np.mean(alone)


def test_a_pool_without_anchors_keeps_its_scale_while_the_population_drifts():
    """Candidates grow abler by .8 over the nights; the items don't grow easier."""
    settings = CalibrationConfiguration(window_days=10)
    generator = np.random.default_rng(0)
    pool = make_pool(50, 0, generator, model="2PL", author_error=None)
    traffic = Traffic(100, 15, 1.0, ability_mean=lambda day: 0.8 * day / 39)
    days = simulate_days(pool, 40, generator, traffic)
    states = run_nights(pool, days, settings, first=9)
    assert all(state.is_accepted for state in states)
    first, last = states[0], states[-1]
    shift = (last.parameters - first.parameters)[:, 1].mean()
    assert shift == pytest.approx(0.0, abs=0.06)
    stretch = np.polyfit(first.parameters[:, 1], last.parameters[:, 1], 1)[0]
    assert stretch == pytest.approx(1.0, abs=0.06)
    risen = last.scales[0].population_mean - first.scales[0].population_mean
    assert risen == pytest.approx(0.8 * 30 / 39, abs=0.1)
