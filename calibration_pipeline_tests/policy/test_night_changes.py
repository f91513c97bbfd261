"""Items that change, and items that don't: what a window does to what they carry."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import CalibrationState
from calibration_pipeline_tests.simulated import (
    SimulatedPool,
    Traffic,
    make_pool,
    run_nights,
    simulate_days,
)

SETTINGS = CalibrationConfiguration(window_days=10)
CHANGE_AFTER, NIGHTS, STEP = 25, 42, 1.5


def changing_pool(seed: int) -> tuple[SimulatedPool, SimulatedPool, np.ndarray]:
    """A pool before and after ten of its items became harder or easier, and which way each went."""
    generator = np.random.default_rng(seed)
    before = make_pool(60, 16, generator)
    chosen = generator.choice(np.flatnonzero(~before.is_anchor), 10, replace=False)
    direction = np.zeros(60)
    direction[chosen] = np.resize([1.0, -1.0], 10)
    truth = before.truth.copy()
    truth[:, 1] += STEP * direction
    return before, replace(before, truth=truth), direction


def calibrated(seed: int, settings: CalibrationConfiguration = SETTINGS):
    """Nights before and after the change; the pool's items, and which way each went."""
    before, after, direction = changing_pool(seed)
    generator = np.random.default_rng(100 + seed)
    traffic = Traffic(100, 20, 0.4)
    days = simulate_days(before, CHANGE_AFTER, generator, traffic)
    later = simulate_days(after, NIGHTS, generator, traffic)[CHANGE_AFTER:]
    return before, direction, run_nights(before, days + later, settings)


@pytest.fixture(scope="module")
def programmes():
    return [calibrated(seed) for seed in range(2)]


def followed(pool: SimulatedPool, direction: np.ndarray, state: CalibrationState) -> float:
    """Share of the step that the estimates have made."""
    moved = (state.parameters[:, 1] - pool.truth[:, 1]) * direction
    return float(moved[direction != 0].mean() / STEP)


def test_a_step_is_followed_once_the_window_is_past_it(programmes):
    shares = [followed(pool, direction, states[-1]) for pool, direction, states in programmes]
    assert np.mean(shares) > 0.8


def test_without_the_test_it_is_not(programmes):
    """The same answers with a threshold that nothing reaches: what was carried holds b back."""
    pool, direction, stubborn = calibrated(0, replace(SETTINGS, contradiction_z=1e9))
    assert not any(state.is_contradicted.any() for state in stubborn)
    assert followed(pool, direction, stubborn[-1]) < 0.7


def test_stable_items_keep_what_they_carry(programmes):
    compared = dropped = 0
    for _, direction, states in programmes:
        stable = direction == 0
        compared += sum(np.isfinite(state.carried_shift[stable]).sum() for state in states)
        dropped += sum(state.is_contradicted[stable].sum() for state in states)
    assert compared > 1500
    assert dropped / compared < 0.004


def test_what_was_dropped_starts_again_with_the_next_day(programmes):
    for _, _, states in programmes:
        for number, state in enumerate(states):
            dropped = state.is_contradicted
            assert not state.carried_information[dropped].any()
            assert not state.carried_linear[dropped].any()
            assert (state.carried_from[dropped] == np.datetime64(state.partition) + 1).all()
            for later in states[number + 1 : number + 1 + SETTINGS.window_days]:
                assert not later.carried_information[dropped].any()
            if number + 1 + SETTINGS.window_days < len(states):
                again = states[number + 1 + SETTINGS.window_days]
                answered = states[number + 1].window_counts != state.window_counts
                assert (
                    again.carried_information[dropped & answered, 1, 1].any()
                    or not (dropped & answered).any()
                )


def test_what_is_dropped_is_out_of_that_nights_own_estimate(programmes):
    """Its interval is that of the window, wider than the one of the night before."""
    widened = [
        state.covariance[dropped, 1, 1] / earlier.covariance[dropped, 1, 1]
        for _, _, states in programmes
        for earlier, state in pairwise(states)
        for dropped in [state.is_contradicted]
    ]
    assert np.median(np.concatenate(widened)) > 1.2


def test_every_answer_still_counts_towards_trust(programmes):
    for _, _, states in programmes:
        for number, state in enumerate(states):
            assert state.total_counts.sum() == (number + 1) * 100 * 20
