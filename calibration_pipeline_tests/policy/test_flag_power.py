import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.irt.model import fisher_information
from calibration_pipeline.policy.flag_power import (
    answers_needed,
    answers_needed_per_item,
    false_flags_a_night,
    information_per_answer,
    smallest_move,
)
from calibration_pipeline.policy.flag_reference import shift_from_reference
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank

ITEMS = np.array([[0.7, -1.0, 0.2], [1.3, 0.5, 0.0], [2.0, 1.0, 0.25]])


def test_known_ability_gives_the_information_of_the_textbook():
    """About b it is as about θ: P depends on their difference alone."""
    for distance in (-1.0, 0.0, 1.5):
        expected = [
            fisher_information(ITEMS[j, 1:2] + distance, ITEMS[j : j + 1]) for j in range(3)
        ]
        found = information_per_answer(ITEMS, distance)
        np.testing.assert_allclose(found, np.ravel(expected), rtol=1e-6)


def test_ability_that_is_known_badly_tells_less():
    known, guessed = (information_per_answer(ITEMS, 0.0, error) for error in (0.0, 0.5))
    assert (guessed < known).all()


def test_the_answers_that_are_asked_for_give_the_power_that_was_promised():
    generator = np.random.default_rng(0)
    information, reference_se, move, z = 0.15, 0.05, 0.4, 3.5
    n = answers_needed(move, information, z, reference_se=reference_se)
    error = math.hypot((n * information) ** -0.5, reference_se)
    flagged = np.abs(generator.normal(move, error, 200_000)) / error >= z
    assert flagged.mean() == pytest.approx(0.8, abs=0.004)
    assert smallest_move(error, z) == pytest.approx(move, abs=0.001)


def test_no_number_of_answers_makes_up_for_a_reference_known_badly():
    assert answers_needed(0.4, 0.2, 3.5, reference_se=0.1) == math.inf
    assert answers_needed(0.4, 0.0, 3.5) == math.inf
    assert answers_needed(0.2, 0.2, 3.5) > answers_needed(0.4, 0.2, 3.5)
    assert answers_needed(-0.4, 0.2, 3.5) == answers_needed(0.4, 0.2, 3.5)


def test_answers_needed_per_item_bring_the_comparison_to_the_error_it_takes():
    bank, truth = make_bank(3), draw_items(3, np.random.default_rng(0))
    before = make_state(bank, truth, difficulty_se=0.05)
    state = replace(make_state(bank, truth), partition=before.partition + timedelta(days=30))
    state = replace(state, is_updated=np.array([True, True, False]))
    needed = answers_needed_per_item(state, before, 0.4, 3.5)
    assert np.isnan(needed[2])
    error = shift_from_reference(state, before, times_answers=needed / 500).shift_se[:2]
    np.testing.assert_allclose(smallest_move(error, 3.5), 0.4, atol=0.001)
    vague = make_state(bank, truth, difficulty_se=0.2)
    assert np.isinf(answers_needed_per_item(state, vague, 0.4, 3.5)[:2]).all()


def test_false_flags_of_a_pool_are_as_many_as_foretold():
    """A window's mean of white noise, night by night: stretches beyond ±z that begin anew."""
    generator = np.random.default_rng(0)
    items, nights, window, z = 4000, 300, 30, 3.0
    noise = np.cumsum(generator.normal(size=(nights + window, items)), axis=0)
    course = (noise[window:] - noise[:-window]) / math.sqrt(window)
    beyond = np.abs(course) >= z
    # One stretch: no longer gap than half a window.
    recent = np.array([beyond[max(0, n - window // 2) : n].any(axis=0) for n in range(1, nights)])
    begun = (beyond[1:] & ~recent).sum() / (nights - 1)
    assert begun == pytest.approx(false_flags_a_night(items, z, window), rel=0.2)
