import numpy as np
import pytest

from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.expectation import expect, marginal_derivatives
from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline_tests.irt.problems import (
    FIXED,
    FREE,
    PRIOR_MEAN,
    PRIOR_SD,
    SETTINGS,
    adaptive_night,
    free_coordinates,
    problem_of,
)
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items


@pytest.mark.parametrize("seed", [0, 1])
def test_a_night_is_recovered(seed):
    """2,400 items, 290 anchors, 20,000 adaptive sessions of 30 answers.

    Prototype: .162 for b. The population's variance comes out 2–10% low, since the mode over
    two thousand sparse discriminations lies above their mean; peers are 44% and 51% high.
    """
    truth, data, problem, is_anchor = adaptive_night(seed)
    result = fit(data, problem, FREE, SETTINGS)
    judged = (data.item_counts >= 300) & ~is_anchor
    error = np.sqrt(np.square(result.parameters - truth)[judged].mean(axis=0))
    assert judged.sum() > 800
    assert error[1] <= 0.165
    assert error[0] <= 0.245
    assert error[2] <= 0.055
    assert result.population.mean == pytest.approx(0.0, abs=0.05)
    assert 0.9 <= result.population.sd**2 <= 1.05


def test_a_dense_test_is_recovered_on_its_raw_scale():
    """1,000 items, 500 students, R mirt's raw RMSE of b is .658."""
    generator = np.random.default_rng(42)
    theta = generator.normal(0, 1, 500)
    a = generator.uniform(0.5, 2.5, 1000)
    b = generator.normal(0, 1, 1000)
    c = generator.uniform(0.05, 0.3, 1000)
    p = c + (1 - c) / (1 + np.exp(-a * (theta[:, None] - b)))
    data = complete_data(generator.random((500, 1000)) < p)
    result = fit(data, problem_of(1000, prior="learned"), FIXED, SETTINGS)
    error = np.sqrt(np.square(result.parameters - np.column_stack([a, b, c])).mean(axis=0))
    assert error[1] <= 0.22
    assert error[2] <= 0.061
    found = expect(data, result.parameters, FIXED, SETTINGS).mass / 500
    nodes = np.linspace(-6, 6, 61)
    assert found @ nodes**2 - (found @ nodes) ** 2 == pytest.approx(1.0, abs=0.05)


def interval_coverage(seeds: range) -> np.ndarray:
    """Share of 95% intervals of (a, b, c) that hold the truth, items with 100 answers."""
    hits = []
    for seed in seeds:
        truth, data, problem, is_anchor = adaptive_night(
            seed, n_sessions=2500, n_items=300, n_anchors=60
        )
        result = fit(data, problem, FREE, SETTINGS)
        found = marginal_derivatives(data, result.parameters, result.population, SETTINGS)
        assert isinstance(problem.priors, ItemPriors)
        judged = (data.item_counts >= 100) & ~is_anchor
        precision = (found.information + problem.priors.precision)[judged]
        errors = standard_errors(result.parameters[judged], np.linalg.inv(precision))
        hits.append(np.abs((result.parameters - truth)[judged] / errors) < 1.96)
    return np.concatenate(hits).mean(axis=0)


def test_intervals_of_difficulty_cover_the_truth_95_times_in_100():
    coverage = interval_coverage(range(8))
    assert 0.93 <= coverage[1] <= 0.97
    assert coverage[0] >= 0.9


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (0.5, 1.2), (1.0, 1.4)])
def test_fixed_items_let_the_population_be_found(mean, sd):
    """Kim (2006): fixed-parameter calibration is unbiased when the population follows."""
    generator = np.random.default_rng(0)
    truth = draw_items(60, generator, "2PL")
    data = adaptive_data(
        truth, generator.normal(mean, sd, 4000), generator, answers=20, pool_share=1
    )
    free = free_coordinates(60, "2PL")
    free[:12] = False
    start = np.where(free, [1.0, 0.0, 0.0], truth)
    problem = ItemProblem(start, free, ItemPriors.normal(PRIOR_MEAN, PRIOR_SD, free))
    result = fit(data, problem, FREE, SETTINGS)
    assert result.population.mean == pytest.approx(mean, abs=0.08)
    assert result.population.sd == pytest.approx(sd, abs=0.08)
    assert (result.parameters - truth)[12:, 1].mean() == pytest.approx(0.0, abs=0.06)
