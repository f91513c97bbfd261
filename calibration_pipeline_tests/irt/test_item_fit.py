from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from calibration_pipeline.irt.expectation import estimate_abilities, marginal_derivatives
from calibration_pipeline.irt.item_fit import (
    collapse_cells,
    expected_right_by_score,
    infit_outfit_at_abilities,
    summed_score_fit,
    summed_score_likelihoods,
)
from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import FIXED, SETTINGS, free_coordinates
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items

NODES = np.linspace(-3, 3, 7)
WEIGHTS = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()


def simulated(n_sessions: int, n_items: int, seed: int = 0, model: str = "2PL"):
    """Everybody answers everything; gives truth, answers as a table, and the generator."""
    generator = np.random.default_rng(seed)
    truth = draw_items(n_items, generator, model)
    p = response_probabilities(generator.normal(size=n_sessions), truth).T
    return truth, (generator.random(p.shape) < p).astype(int), generator


def score_fit(answers: ResponseData, parameters, n_free: int = 0):
    free = np.zeros((len(parameters), 3), bool)
    free[:, :n_free] = True
    return summed_score_fit(answers, parameters, FIXED, SETTINGS, free)


def test_score_likelihoods_are_those_of_all_patterns():
    p = response_probabilities(NODES, draw_items(5, np.random.default_rng(0)))
    expected = np.zeros((6, len(NODES)))
    for pattern in product([0, 1], repeat=5):
        x = np.array(pattern)[:, None]
        expected[sum(pattern)] += np.prod(np.where(x, p, 1 - p), axis=0)
    found = summed_score_likelihoods(p)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(found.sum(axis=0), 1.0)


def test_expected_shares_are_those_of_all_patterns():
    p = response_probabilities(NODES, draw_items(5, np.random.default_rng(1)))
    right, persons = np.zeros((5, 6)), np.zeros(6)
    for pattern in product([0, 1], repeat=5):
        x = np.array(pattern)
        likelihood = np.prod(np.where(x[:, None], p, 1 - p), axis=0) @ WEIGHTS
        right[:, x.sum()] += x * likelihood
        persons[x.sum()] += likelihood
    np.testing.assert_allclose(expected_right_by_score(p, WEIGHTS), (right / persons)[:, 1:5])


@pytest.mark.parametrize(
    ("persons", "small", "expected"),
    [
        pytest.param([9, 9, 9], [], [9, 9, 9], id="large enough"),
        pytest.param([9, 0, 9], [], [9, 9], id="nobody had that score"),
        pytest.param([1, 9, 9], [], [10, 9], id="one person joins the next score"),
        pytest.param([9, 1, 1, 9], [], [9, 2, 9], id="two single persons join each other"),
        pytest.param([9, 9, 1], [], [9, 10], id="the last single person joins the one before"),
        pytest.param([9, 8, 7], [0], [17, 7], id="first"),
        pytest.param([9, 8, 7], [2], [9, 15], id="last"),
        pytest.param([9, 5, 7], [1], [9, 12], id="joins the less populated"),
        pytest.param([9, 5, 9], [1], [14, 9], id="the lower one on a tie"),
        pytest.param([9, 8, 7], [0, 1, 2], [24], id="all too small"),
    ],
)
def test_cells_are_merged_in_the_published_order(persons, small, expected):
    persons = np.array(persons, float)
    observed = np.column_stack([persons // 2, persons - persons // 2])
    counts = np.column_stack([persons - 2.0, np.full(len(persons), 2.0)])
    counts[persons < 3] = persons[persons < 3, None] + 1.0
    counts[small, 1] = 0.3
    total = counts.sum()
    found, found_expected = collapse_cells(observed, counts)
    np.testing.assert_array_equal(found.sum(axis=1), expected)
    assert found_expected.shape == found.shape
    assert found_expected.sum() == pytest.approx(total - counts[persons == 0].sum())


def test_merging_changes_none_of_its_arguments():
    observed, expected = np.full((3, 2), 4.0), np.full((3, 2), 0.5)
    collapse_cells(observed, expected)
    assert (observed == 4.0).all()
    assert (expected == 0.5).all()


def test_statistic_has_its_distribution_under_the_model():
    truth, answers, _ = simulated(3000, 20)
    found = score_fit(complete_data(answers), truth)
    assert (found.statistic / found.degrees_of_freedom).mean() == pytest.approx(1.0, abs=0.15)
    assert found.p_value.min() > 0.001
    assert ((found.degrees_of_freedom > 10) & (found.degrees_of_freedom < 20)).all()


def test_an_item_that_does_not_follow_its_curve_is_found():
    truth, answers, generator = simulated(3000, 20)
    answers[:, 3] = generator.random(3000) < 0.5
    found = score_fit(complete_data(answers), truth)
    assert found.p_value[3] < 1e-6
    assert found.p_value.argmin() == 3


def test_estimated_coordinates_cost_degrees_of_freedom():
    truth, answers, _ = simulated(3000, 20)
    data = complete_data(answers)
    known, estimated = score_fit(data, truth), score_fit(data, truth, n_free=2)
    np.testing.assert_array_equal(known.degrees_of_freedom - 2, estimated.degrees_of_freedom)
    population = Population(sd_is_estimated=True)
    free = np.zeros((20, 3), bool)
    shared = summed_score_fit(data, truth, population, SETTINGS, free)
    np.testing.assert_array_equal(known.degrees_of_freedom - 1, shared.degrees_of_freedom)


@pytest.mark.parametrize(
    "answers",
    [np.ones((30, 5)), np.zeros((30, 5)), [[0, 1, 1, 0, 1]], [[0], [1], [1]], [[0, 1], [1, 0]]],
    ids=["all right", "all wrong", "one session", "one item", "two items"],
)
def test_no_degree_of_freedom_gives_no_statistic(answers):
    data = complete_data(np.array(answers))
    parameters = np.tile([1.0, 0.0, 0.0], (data.n_items, 1))
    found = score_fit(data, parameters, n_free=2)
    assert np.isnan(found.statistic).all()
    assert np.isnan(found.p_value).all()
    assert (found.degrees_of_freedom == 0).all()


def test_a_score_of_no_probability_is_no_crash():
    """Forty items that nobody gets wrong: 1 right answer has probability 1e-466."""
    shares = expected_right_by_score(np.full((40, 7), 1.0 - 1e-12), WEIGHTS)
    assert np.isfinite(shares).all()
    assert shares[0, 0] == 0.0
    assert shares[0, -1] == pytest.approx(39 / 40)


def incomplete(case: str) -> ResponseData:
    data = complete_data(np.random.default_rng(0).integers(0, 2, (40, 5)))
    if case == "an answer is missing":
        offsets = np.append(data.session_offsets[:-1], data.n_responses - 1)
        return ResponseData(offsets, data.item[:-1], data.correct[:-1], 5)
    if case == "an item nobody answered":
        return replace(data, n_items=6)
    item = data.item.copy()
    item[0] = item[1]
    return replace(data, item=item)


@pytest.mark.parametrize(
    "case", ["an answer is missing", "an item nobody answered", "an item twice, another never"]
)
def test_incomplete_data_are_refused(case):
    data = incomplete(case)
    with pytest.raises(ValueError, match="every item exactly once"):
        score_fit(data, np.tile([1.0, 0.0, 0.0], (data.n_items, 1)))


def test_weights_are_refused():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (40, 5)))
    weighted = replace(data, weights=np.full(data.n_responses, 0.5))
    with pytest.raises(ValueError, match="carry weights"):
        score_fit(weighted, np.tile([1.0, 0.0, 0.0], (5, 1)))


def test_population_groups_are_refused():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (40, 5)))
    groups = Population([0, 0], [1, 1])
    items = np.tile([1.0, 0.0, 0.0], (5, 1))
    with pytest.raises(ValueError, match="one normal population"):
        summed_score_fit(data, items, groups, SETTINGS, free_coordinates(5, "2PL"))


@pytest.fixture(scope="module")
def sparse():
    generator = np.random.default_rng(0)
    truth = draw_items(30, generator)
    return truth, adaptive_data(truth, generator.normal(size=300), generator, answers=12)


def test_mean_squares_are_those_of_a_plain_loop(sparse):
    truth, data = sparse
    theta, _ = estimate_abilities(data, truth, FIXED, SETTINGS)
    squares, variances, standardized = np.zeros((3, 30))
    for s in range(data.n_sessions):
        for r in range(data.session_offsets[s], data.session_offsets[s + 1]):
            j = data.item[r]
            p = response_probabilities(theta[s : s + 1], truth[j : j + 1])[0, 0]
            squares[j] += (data.correct[r] - p) ** 2
            variances[j] += p * (1 - p)
            standardized[j] += (data.correct[r] - p) ** 2 / (p * (1 - p))
    infit, outfit = infit_outfit_at_abilities(data, truth, FIXED, SETTINGS)
    seen = data.item_counts > 0
    np.testing.assert_allclose(infit[seen], (squares / variances)[seen])
    np.testing.assert_allclose(outfit[seen], (standardized / data.item_counts)[seen])
    np.testing.assert_array_equal(np.isnan(infit), ~seen)
    np.testing.assert_array_equal(np.isnan(outfit), ~seen)


def test_residuals_at_point_estimates_are_too_small_where_other_answers_predict_right():
    """Why the pipeline doesn't use them: five items, the model is true, mean square 1 is due."""
    truth, answers, _ = simulated(4000, 5)
    data = complete_data(answers)
    infit, _ = infit_outfit_at_abilities(data, truth, FIXED, SETTINGS)
    predicted = marginal_derivatives(data, truth, FIXED, SETTINGS)
    assert infit.mean() < 0.92
    assert predicted.infit.mean() == pytest.approx(1.0, abs=0.02)


def test_an_item_nobody_answered_has_no_mean_square():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (40, 3)))
    wider = replace(data, n_items=4)
    infit, outfit = infit_outfit_at_abilities(
        wider, np.tile([1.0, 0.0, 0.0], (4, 1)), FIXED, SETTINGS
    )
    np.testing.assert_array_equal(np.isnan(infit), [False, False, False, True])
    np.testing.assert_array_equal(np.isnan(outfit), [False, False, False, True])


def test_weight_two_counts_an_answer_twice():
    """The ability follows the weights as well, so all answers get the same one."""
    truth, answers, _ = simulated(50, 4)
    data = complete_data(answers)
    twice = ResponseData(
        2 * data.session_offsets, np.repeat(data.item, 2), np.repeat(data.correct, 2), 4
    )
    weighted = replace(data, weights=np.full(data.n_responses, 2.0))
    np.testing.assert_allclose(
        infit_outfit_at_abilities(weighted, truth, FIXED, SETTINGS),
        infit_outfit_at_abilities(twice, truth, FIXED, SETTINGS),
    )
