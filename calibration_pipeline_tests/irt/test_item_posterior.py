"""The exact posterior of an item has the score that the estimator works with."""

import numpy as np
import pytest

from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.item_posterior import ItemPosterior, item_evidence
from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.irt.population import Population
from calibration_pipeline_tests.irt.problems import SETTINGS
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

POPULATION = Population(0.1, 0.9)
ITEM = 7


@pytest.fixture(scope="module")
def posed() -> tuple[np.ndarray, object]:
    generator = np.random.default_rng(5)
    truth = draw_items(60, generator)
    return truth, adaptive_data(truth, generator.normal(size=300), generator, pool_share=0.6)


def test_its_slope_is_the_marginal_score(posed) -> None:
    """Which holds only if an answer is left out of what is known of its own session."""
    truth, data = posed
    evidence = item_evidence(data, ITEM, truth, POPULATION, SETTINGS)
    assert evidence.n_answers == data.item_counts[ITEM] > 50
    np.testing.assert_allclose(evidence.ability_weights.sum(axis=1), 1.0)
    posterior = ItemPosterior(evidence, np.zeros((3, 3)), np.zeros(3), np.ones(3, bool), True)
    internal, step = to_internal(truth[[ITEM]]), 1e-4 * np.eye(3)
    above, below = posterior.log_density(internal + step), posterior.log_density(internal - step)
    score = marginal_derivatives(data, truth, POPULATION, SETTINGS).score[ITEM]
    np.testing.assert_allclose((above - below) / 2e-4, score, rtol=1e-5, atol=1e-5)


def test_the_prior_is_part_of_it(posed) -> None:
    truth, data = posed
    evidence = item_evidence(data, ITEM, truth, POPULATION, SETTINGS)
    precision, mean = np.diag([4.0, 1.0, 9.0]), np.array([0.2, -0.3, -1.5])
    plain = ItemPosterior(evidence, np.zeros((3, 3)), np.zeros(3), np.ones(3, bool), True)
    known = ItemPosterior(evidence, precision, precision @ mean, np.ones(3, bool), True)
    values = np.array([[0.0, 0.5, -1.0], [0.4, -0.5, -2.0]])
    added = known.log_density(values) - plain.log_density(values)
    quadratic = -0.5 * np.einsum("nk,km,nm->n", values - mean, precision, values - mean)
    assert np.diff(added)[0] == pytest.approx(np.diff(quadratic)[0])


def test_answers_that_count_less_say_less(posed) -> None:
    truth, data = posed
    evidence = item_evidence(data, ITEM, truth, POPULATION, SETTINGS)
    shapes = []
    for weight in (1.0, 0.5, 0.0):
        weighted = type(evidence)(
            evidence.nodes,
            evidence.ability_weights,
            evidence.correct,
            np.full(evidence.n_answers, weight),
            evidence.scaling_constant,
        )
        posterior = ItemPosterior(weighted, np.zeros((3, 3)), np.zeros(3), np.ones(3, bool), True)
        low, high = posterior.log_density(
            np.array([[0.2, -3.0, -1.5], [0.2, truth[ITEM, 1], -1.5]])
        )
        shapes.append(high - low)
    assert shapes[0] > shapes[1] > shapes[2] == pytest.approx(0.0)
