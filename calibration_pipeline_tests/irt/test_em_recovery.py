from dataclasses import replace

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
    with_fixed_items,
)
from calibration_pipeline_tests.irt.recoveries import draw_from_prior, honest_problem, random_data
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items

JOINT_MODE = replace(SETTINGS, integrates_items=False)


def test_a_night_is_recovered():
    """2,400 items, 290 anchors, 20,000 adaptive sessions of 30 answers.

    A single night's population variance lies between .97 and 1.06, by seed: the anchors' own
    sample of slopes decides. R mirt is 44% and irtQ 51% too high.
    """
    variances = []
    for seed in (0, 1, 2):
        truth, data, problem, is_anchor = adaptive_night(seed)
        result = fit(data, problem, FREE, SETTINGS)
        judged = (data.item_counts >= 300) & ~is_anchor
        error = np.sqrt(np.square(result.parameters - truth)[judged].mean(axis=0))
        assert judged.sum() > 800
        assert error[1] <= 0.165
        assert error[0] <= 0.245
        assert error[2] <= 0.055
        assert result.population.mean == pytest.approx(0.0, abs=0.05)
        variances.append(result.population.sd[0] ** 2)
    assert np.mean(variances) == pytest.approx(1.0, abs=0.03)
    assert np.ptp(variances) < 0.1


@pytest.mark.parametrize("selection", [pytest.param("random", marks=pytest.mark.slow), "adaptive"])
def test_the_population_is_as_wide_as_it_is_with_the_items_integrated_out(selection):
    """Items fitted to the answers that they explain make the joint mode 9% too narrow.

    The engine believes in another pool's items: what it chooses tells nothing about these.
    """
    integrated, mode = [], []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        truth = draw_from_prior(600, "3PL", generator)
        abilities = generator.normal(size=5000)
        abilities = (abilities - abilities.mean()) / abilities.std()
        if selection == "random":
            data = random_data(truth, abilities, 20, generator)
        else:
            believed = generator.permutation(truth)
            data = adaptive_data(
                truth, abilities, generator, answers=20, pool_share=0.1, believed=believed
            )
        problem = honest_problem(truth, "3PL", 72)
        integrated.append(fit(data, problem, FREE, SETTINGS).population.sd[0] ** 2)
        mode.append(fit(data, problem, FREE, JOINT_MODE).population.sd[0] ** 2)
    assert np.mean(integrated) == pytest.approx(1.0, abs=0.03)
    assert np.mean(mode) < 0.94


def test_without_priors_nothing_is_integrated():
    """Maximum likelihood is compared with other programs: it stays what it is."""
    generator = np.random.default_rng(0)
    truth = draw_from_prior(20, "2PL", generator)
    data = adaptive_data(truth, generator.normal(size=600), generator, answers=15, pool_share=1)
    problem = with_fixed_items(problem_of(20, "2PL", "none"), truth, 5)
    found, mode = (fit(data, problem, FREE, settings) for settings in (SETTINGS, JOINT_MODE))
    assert found.parameters.tobytes() == mode.parameters.tobytes()
    assert found.population.sd.tobytes() == mode.population.sd.tobytes()


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
