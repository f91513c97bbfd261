"""Claims about many nights, checked against simulated truth."""

from dataclasses import replace

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

SETTINGS = CalibrationConfiguration()
NIGHTS, SEEDS = 60, range(4)


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


def simulated_run(seed: int, between=None) -> tuple[SimulatedPool, list[CalibrationState]]:
    generator = np.random.default_rng(seed)
    pool = make_pool(100, 16, generator)
    days = simulate_days(pool, NIGHTS, generator, Traffic(60, 20, 0.4))
    return pool, run_nights(pool, days, SETTINGS, between=between)


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


@pytest.fixture(scope="module")
def each_answer_once() -> list[tuple[SimulatedPool, list[CalibrationState]]]:
    return [simulated_run(seed) for seed in SEEDS]


def test_every_answer_is_counted_exactly_once(each_answer_once):
    for _, states in each_answer_once:
        assert all(state.is_accepted for state in states)
        for number, state in enumerate(states):
            assert state.total_counts.sum() == (number + 1) * 60 * 20


def test_intervals_cover_the_truth_after_sixty_nights(each_answer_once):
    found = [coverage_and_error(pool, states[30:]) for pool, states in each_answer_once]
    assert 0.91 <= np.mean([coverage for coverage, _ in found]) <= 0.98


def test_the_naive_rule_fails_the_same_check(each_answer_once):
    """Counting each answer up to 30 times: intervals far too narrow, and a larger error."""
    naive = [simulated_run(seed, posterior_as_prior) for seed in list(SEEDS)[:2]]
    found = [coverage_and_error(pool, states[30:]) for pool, states in naive]
    ours = [coverage_and_error(pool, states[30:]) for pool, states in each_answer_once[:2]]
    assert np.mean([coverage for coverage, _ in found]) < 0.6
    assert np.mean([error for _, error in found]) > 1.3 * np.mean([error for _, error in ours])


def test_carrying_beats_the_window_alone(each_answer_once):
    pools = each_answer_once
    carried = np.mean([coverage_and_error(pool, states[-1:])[1] for pool, states in pools])
    alone = []
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        pool = make_pool(100, 16, generator)
        days = simulate_days(pool, NIGHTS, generator, Traffic(60, 20, 0.4))
        alone.append(coverage_and_error(pool, run_nights(pool, days, SETTINGS, first=59))[1])
    assert carried < 0.95 * np.mean(alone)


def test_a_pool_without_anchors_keeps_its_scale_while_the_population_drifts():
    """Candidates grow abler by .8 over the nights; the items don't grow easier."""
    settings = replace(SETTINGS, window_days=10)
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
