"""Starts and priors of a single fit."""

import numpy as np

from calibration_pipeline.irt.priors import LearnedPrior
from calibration_pipeline.policy.table_priors import (
    free_coordinates,
    is_at_bound,
    priors_from_anchors,
    priors_from_authors,
    starting_values,
    unanswered_values,
)
from calibration_pipeline_tests.policy.table_cases import SETTINGS
from calibration_pipeline_tests.simulated import draw_items, make_bank

LEARNED = LearnedPrior.starting_at(np.array([0.1, 0.2, -1.5]), np.array([0.3, 0.9, 0.4]))
NOBODY = np.zeros(3, bool)


def test_items_start_where_the_bank_says():
    known = np.array([[1.4, 0.3, 0.0], [np.nan, 0.5, 0.2], [0.9, -1.0, 0.0]])
    bank, is_anchor = make_bank(3, parameters=known), np.array([False, False, True])
    start = starting_values(bank, free_coordinates("3PL", is_anchor), is_anchor, 1.0, SETTINGS)
    np.testing.assert_allclose(start[0], [1.4, 0.3, 1 / (1 + np.exp(1.6))])
    np.testing.assert_allclose(start[1], [1.0, 0.5, 0.2])
    np.testing.assert_array_equal(start[2], known[2])
    rasch = starting_values(bank, free_coordinates("Rasch", NOBODY), NOBODY, 1.0, SETTINGS)
    np.testing.assert_array_equal(rasch, [[1, 0.3, 0], [1, 0.5, 0], [1, -1.0, 0]])


def test_priors_are_learned_from_anchors_where_there_are_enough():
    truth = draw_items(40, np.random.default_rng(0))
    bank = make_bank(40, parameters=truth)
    few, enough = np.arange(40) < 9, np.arange(40) < 30
    assert priors_from_anchors(bank, few, SETTINGS) is None
    priors = priors_from_anchors(bank, enough, SETTINGS)
    assert priors is not None
    np.testing.assert_allclose(priors.mean[35, 0], np.log(truth[enough, 0]).mean())


def test_authors_are_corrected_for_their_bias_and_scale():
    author = np.linspace(-2, 2, 50)
    difficulty = np.where(np.arange(50) < 40, 0.3 + 1.5 * author, np.nan)
    priors = priors_from_authors(author, LEARNED, difficulty, np.arange(50) < 40, SETTINGS)
    assert priors is not None
    np.testing.assert_allclose(priors.mean[:, 1], 0.3 + 1.5 * author)
    np.testing.assert_allclose(priors.mean[:, [0, 2]], np.tile([0.1, -1.5], (50, 1)))
    assert (priors.sd[:, 1] < 0.9).all()


def test_few_authors_are_taken_at_their_word_and_silent_ones_teach_nothing():
    author = np.array([0.7, np.nan, -0.5])
    priors = priors_from_authors(author, LEARNED, np.zeros(3), ~NOBODY, SETTINGS)
    assert priors is not None
    np.testing.assert_array_equal(priors.mean[:, 1], [0.7, 0.2, -0.5])
    np.testing.assert_array_equal(priors.sd[:, 1], [1.5, 0.9, 1.5])
    nothing = np.full(3, np.nan)
    assert priors_from_authors(nothing, LEARNED, np.zeros(3), ~NOBODY, SETTINGS) is None


def test_what_is_known_of_an_item_without_answers():
    bank = make_bank(2, parameters=np.array([[1.4, np.nan, 0.1], [np.nan, np.nan, np.nan]]))
    mean = np.tile([0.0, 0.6, -1.0], (2, 1))
    free = free_coordinates("2PL", np.zeros(2, bool))
    np.testing.assert_allclose(
        unanswered_values(bank, free, 1.0, mean), [[1.4, 0.6, 0.1], [1.0, 0.6, 0.0]]
    )
    np.testing.assert_array_equal(
        unanswered_values(bank, free, 1.0, None), [[1.4, np.nan, 0.1], [np.nan, np.nan, 0.0]]
    )


def test_estimates_at_a_bound_are_found():
    parameters = np.array([[0.2, 0.0, 0.1], [1.0, 6.0, 0.35], [1.0, 0.0, 0.001]])
    free = np.ones((3, 3), bool)
    expected = [[True, False, False], [False, True, True], [False, False, True]]
    assert is_at_bound(parameters, free, SETTINGS).tolist() == expected
    assert not is_at_bound(parameters, ~free, SETTINGS).any()
