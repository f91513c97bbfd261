from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reference import (
    DIFFICULTY,
    LOGIT_GUESSING,
    shift_from_reference,
)
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import (
    draw_items,
    make_bank,
    make_pool,
    night_inputs,
    simulate_days,
)

BANK = make_bank(4)
TRUTH = draw_items(4, np.random.default_rng(0))
BEFORE = make_state(BANK, TRUTH)


def later(shift: float = 0.0, **changes):
    """A window later: every difficulty differs by `shift`, nothing was carried."""
    state = make_state(BANK, TRUTH + np.array([0.0, shift, 0.0]))
    return replace(state, partition=BEFORE.partition + timedelta(days=30), **changes)


def test_two_samples_that_agree_differ_by_nothing():
    for coordinate in (DIFFICULTY, LOGIT_GUESSING):
        found = shift_from_reference(later(), BEFORE, coordinate)
        np.testing.assert_allclose(found.shift, 0.0, atol=1e-9)
        assert found.is_compared.all()


def test_the_errors_of_two_samples_add_up_and_the_prior_is_no_evidence():
    """b: precision 100, of it 0.5 prior, and no correlation with the other coordinates."""
    found = shift_from_reference(later(0.3), BEFORE)
    np.testing.assert_allclose(found.shift_se, np.sqrt(2 / 99.5))
    # Each estimate is a compromise with the prior's mean of 0, which is taken back.
    np.testing.assert_allclose(found.shift, 0.3 * 100 / 99.5)


def test_what_is_carried_counts_with_the_reference_alone():
    """The same answers, carried and faded by half: the window's own are what is left."""
    carried = np.tile(np.diag([0.0, 49.75, 0.0]), (4, 1, 1))
    state = make_state(BANK, TRUTH, difficulty_se=(0.5 + 49.75 + 99.5) ** -0.5)
    linear = np.zeros((4, 3))
    linear[:, 1] = 49.75 * TRUTH[:, 1]
    state = replace(state, carried_information=carried, carried_linear=linear)
    np.testing.assert_allclose(shift_from_reference(state, BEFORE).shift_se, np.sqrt(2 / 99.5))


def test_more_answers_take_the_error_to_that_of_the_reference():
    found = shift_from_reference(later(), BEFORE, times_answers=np.array([1.0, 2.0, 4.0, 1e9]))
    expected = np.sqrt(1 / 99.5 + 1 / 99.5 / np.array([1.0, 2.0, 4.0, 1e9]))
    np.testing.assert_allclose(found.shift_se, expected)


def test_what_is_not_compared():
    few = make_state(BANK, TRUTH, difficulty_se=0.4)
    assert not shift_from_reference(
        replace(few, partition=later().partition), BEFORE
    ).is_compared.any()
    assert not shift_from_reference(later(anchor_digest="other"), BEFORE).is_compared.any()
    idle = later(is_updated=np.array([True, False, True, True]))
    assert shift_from_reference(idle, BEFORE).is_compared.tolist() == [True, False, True, True]
    anchors = replace(BEFORE, is_anchor=np.array([False, False, True, False]))
    assert shift_from_reference(later(), anchors).is_compared.tolist() == [True, True, False, True]
    absent = replace(later(), keys=(("new", 1), *BEFORE.keys[1:]))
    assert shift_from_reference(absent, BEFORE).is_compared.tolist() == [False, True, True, True]


def test_z_of_stable_items_is_standard_normal():
    """Six pools, two nights each, of windows of ten days that follow one another.

    As if the estimates of two nights were independent, though the later one has the earlier one's
    answers in it, the sd is about .7, and drift would hardly ever be seen.
    """
    settings = CalibrationConfiguration(window_days=10)
    z, independent = [], []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        pool = make_pool(100, 16, generator)
        days = simulate_days(pool, 20, generator)
        reference = calibrate_night(
            night_inputs(days[9].revision.day, days, pool.bank, pool.anchors, settings), settings
        )
        inputs = night_inputs(
            days[19].revision.day, days, pool.bank, pool.anchors, settings, parent=reference
        )
        state = calibrate_night(inputs, settings)
        found = shift_from_reference(state, reference)
        z.append(found.z[found.is_compared])
        error = np.sqrt(state.covariance[:, 1, 1] + reference.covariance[:, 1, 1])
        change = (state.parameters - reference.parameters)[:, 1]
        independent.append((change / error)[found.is_compared])
    pooled = np.concatenate(z)
    assert len(pooled) > 250
    assert pooled.std() == pytest.approx(1.0, abs=0.12)
    assert abs(pooled.mean()) < 0.2
    assert (np.abs(pooled) > 3).mean() < 0.012
    assert np.concatenate(independent).std() < 0.8
