from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.movement import credible_movement
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import (
    draw_items,
    make_bank,
    make_pool,
    run_nights,
    simulate_days,
)

BANK = make_bank(4)
TRUTH = draw_items(4, np.random.default_rng(0))
EARLIER = make_state(BANK, TRUTH)


def later(new_answers: int = 20, shift: float = 0.1):
    """Tonight's state: some answers more, every difficulty moved by `shift`."""
    state = make_state(BANK, TRUTH + np.array([0.0, shift, 0.0]))
    return replace(state, total_counts=EARLIER.total_counts + new_answers)


def test_a_change_is_compared_with_what_new_answers_could_do():
    movement = credible_movement(later(), EARLIER)
    # b: precision 100, of it 0.5 prior; the new answers hold 20/500 of the window's 99.5.
    variance = 1 / (100 - 99.5 * 20 / 500) - 1 / 100
    np.testing.assert_allclose(movement.change, 0.1)
    np.testing.assert_allclose(movement.change_variance[:, 1], variance)
    np.testing.assert_allclose(movement.z, 0.1 / np.sqrt(variance))


def test_an_item_that_lost_what_it_carried_is_not_compared():
    dropped = np.array([False, True, False, False])
    movement = credible_movement(replace(later(), is_contradicted=dropped), EARLIER)
    assert movement.is_comparable.tolist() == [True, False, True, True]


def test_a_released_anchor_has_not_moved():
    """What it was held at was no estimate of the night before."""
    was_anchor = np.array([True, False, False, False])
    movement = credible_movement(later(), replace(EARLIER, is_anchor=was_anchor))
    assert movement.is_comparable.tolist() == [False, True, True, True]


def test_without_a_new_answer_a_hundredth_says_nothing_and_a_jump_does():
    assert np.abs(credible_movement(later(0, shift=0.012), EARLIER).z).max() < 1.5
    assert np.abs(credible_movement(later(0, shift=0.2), EARLIER).z).min() > 10


def test_another_base_prior_moves_no_item():
    """What tonight's prior would have made of last night's answers is what b is compared with."""
    plain = later(shift=0.0)
    precision = 1.0 / EARLIER.covariance[:, 1, 1]
    old, new = EARLIER.prior_precision[:, 1], 4.0
    shift = new * (1.0 - TRUTH[:, 1]) - old * (EARLIER.prior_mean[:, 1] - TRUTH[:, 1])
    parameters = plain.parameters.copy()
    parameters[:, 1] += shift / (precision - old + new)
    prior_mean, prior_precision = plain.prior_mean.copy(), plain.prior_precision.copy()
    prior_mean[:, 1], prior_precision[:, 1] = 1.0, new
    moved = replace(
        plain, parameters=parameters, prior_mean=prior_mean, prior_precision=prior_precision
    )
    assert np.abs(moved.parameters[:, 1] - TRUTH[:, 1]).max() > 0.05
    np.testing.assert_allclose(credible_movement(moved, EARLIER).change, 0.0, atol=1e-12)


def test_the_more_answers_are_new_the_less_a_change_says():
    few, many = (credible_movement(later(n), EARLIER).z[0] for n in (5, 250))
    assert few > 2 * many


def test_items_new_fixed_or_unestimated_are_not_compared():
    bank = make_bank(5)
    truth = draw_items(5, np.random.default_rng(0))
    state = make_state(bank, truth, is_anchor=[True, False, False, False, False])
    state.covariance[1] = 0.0
    movement = credible_movement(state, EARLIER)
    assert movement.is_comparable.tolist() == [False, False, True, True, False]
    assert movement.earlier.tolist() == [0, 1, 2, 3, -1]
    assert np.isnan(movement.change[~movement.is_comparable]).all()


def test_a_priors_mode_is_no_estimate_to_have_moved_from():
    unanswered = replace(EARLIER, is_updated=np.array([False, True, True, True]))
    assert credible_movement(later(), unanswered).is_comparable.tolist() == [False] + [True] * 3
    carrying = replace(unanswered, carried_information=np.tile(np.eye(3), (4, 1, 1)))
    assert credible_movement(later(), carrying).is_comparable.all()


def test_z_of_stable_items_has_a_standard_deviation_near_one():
    """Thirty nights; the window starts to lose days at the fifteenth.

    With the difference of the two stored variances in its place the sd is 1.5, and one stable
    item in thirty lies beyond 3.
    """
    z = []
    for seed in range(2):
        generator = np.random.default_rng(seed)
        pool = make_pool(100, 16, generator)
        settings = CalibrationConfiguration(window_days=15)
        states = run_nights(pool, simulate_days(pool, 30, generator), settings)
        for earlier, state in pairwise(states[10:]):
            movement = credible_movement(state, earlier)
            enough = movement.is_comparable & (state.window_counts >= 25)
            z.append(movement.z[enough])
    pooled = np.concatenate(z)
    assert pooled.std() == pytest.approx(1.0, abs=0.15)
    assert (np.abs(pooled) > 3).mean() < 0.015
