from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.expectation import expect
from calibration_pipeline.irt.model import FREE_COORDINATES, from_internal, to_internal
from calibration_pipeline.irt.observed_information import (
    MAXIMUM_PARAMETERS,
    in_standard_population,
    observed_information,
    slope_intercept_standard_errors,
)
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import (
    FIXED,
    FREE,
    PRIOR_MEAN,
    PRIOR_SD,
    SETTINGS,
    fit_quietly,
    problem_of,
)
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items

PRECISE = EMConfiguration(
    tolerance=1e-7, maximum_cycles=5000, quadrature_nodes=121, quadrature_bound=12.0
)
"""Nodes reach so far that a spread population loses nothing at the ends."""


def numerical_hessian(function, point: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Second differences of a function of n values, ``(n, n)``."""
    n = len(point)
    hessian = np.empty((n, n))
    for k, along in enumerate(step * np.eye(n)):
        for m, across in enumerate(step * np.eye(n)):
            hessian[k, m] = (
                function(point + along + across)
                - function(point + along - across)
                - function(point - along + across)
                + function(point - along - across)
            ) / (4 * step**2)
    return hessian


@pytest.fixture(scope="module")
def mixed():
    """Items of every model, one of them fixed, priors on some, a free population, D = 1.7."""
    generator = np.random.default_rng(2)
    models = ["3PL", "2PL", "Rasch", "3PL", "2PL", "2PL"]
    free = np.array([FREE_COORDINATES[model] for model in models], bool)
    free[5] = False
    truth = draw_items(6, generator)
    truth[~np.array([model == "3PL" for model in models]), 2] = 0.0
    truth[2, 0] = 1.0
    start = np.where(free, [0.8, 0.1, 0.2], truth)
    data = adaptive_data(truth, generator.normal(0.3, 1.2, 500), generator, answers=5, pool_share=1)
    priors = ItemPriors.normal(PRIOR_MEAN, PRIOR_SD, free)
    settings = replace(PRECISE, scaling_constant=1.7)
    problem = ItemProblem(start, free, priors)
    return data, problem, fit(data, problem, FREE, settings), settings


def test_information_is_minus_the_hessian_of_the_log_posterior(mixed):
    data, problem, result, settings = mixed
    free, n_free = problem.free, int(problem.free.sum())
    internal = to_internal(result.parameters)

    def log_posterior(vector):
        phi = internal.copy()
        phi[free] = vector[:n_free]
        items = np.where(free, from_internal(phi, problem.has_guessing), problem.start)
        population = Population(vector[n_free], np.exp(vector[n_free + 1]))
        found = expect(data, items, population, settings).log_likelihood
        return found + problem.priors.log_density(phi)

    population = [result.population.mean[0], np.log(result.population.sd[0])]
    brute = -numerical_hessian(log_posterior, np.concatenate([internal[free], population]))
    joint = observed_information(data, problem, result, settings)
    np.testing.assert_allclose(joint.information, brute, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(joint.covariance, np.linalg.inv(brute), rtol=1e-3, atol=1e-5)


def test_blocks_are_cut_out_of_the_joint_covariance(mixed):
    data, problem, result, settings = mixed
    joint = observed_information(data, problem, result, settings)
    blocks = joint.item_covariance
    assert blocks.shape == (6, 3, 3)
    np.testing.assert_array_equal(blocks[0], joint.covariance[:3, :3])
    np.testing.assert_array_equal(blocks[1, :2, :2], joint.covariance[3:5, 3:5])
    np.testing.assert_array_equal(joint.population_covariance, joint.covariance[-2:, -2:])
    assert (blocks[5] == 0).all()
    assert (blocks[2, [0, 2]] == 0).all()
    assert blocks[2, 1, 1] > 0


def test_an_item_is_less_certain_when_nothing_else_is_held(mixed):
    data, problem, result, settings = mixed
    joint = observed_information(data, problem, result, settings)
    alone = np.linalg.inv(joint.information[:3, :3])
    assert (np.diagonal(joint.item_covariance[0]) > np.diagonal(alone)).all()


@pytest.fixture(scope="module")
def one_slope():
    """A 1PL: slopes of 1 and a free spread."""
    generator = np.random.default_rng(5)
    truth = draw_items(5, generator, "1PL")
    abilities = generator.normal(0, 1.6, 400)
    data = adaptive_data(truth, abilities, generator, answers=5, pool_share=1)
    problem = problem_of(5, "1PL", "none")
    return data, problem, fit(data, problem, Population(sd_is_estimated=True), PRECISE)


def test_a_1pl_is_stated_as_one_slope_in_a_standard_population(one_slope):
    data, problem, result = one_slope
    joint = observed_information(data, problem, result, PRECISE)
    parameters, covariance = in_standard_population(result.parameters, joint)
    sd = result.population.sd[0]
    np.testing.assert_allclose(parameters[:, 0], sd)

    def log_likelihood(vector):
        items = np.column_stack([np.full(5, np.exp(vector[0])), vector[1:], np.zeros(5)])
        return expect(data, items, FIXED, PRECISE).log_likelihood

    point = np.concatenate([[np.log(sd)], parameters[:, 1]])
    brute = np.linalg.inv(-numerical_hessian(log_likelihood, point))
    for j in range(5):
        own = np.ix_([0, j + 1], [0, j + 1])
        np.testing.assert_allclose(covariance[j, :2, :2], brute[own], rtol=1e-3, atol=1e-7)
    assert (covariance[:, 2] == 0).all()


def test_a_free_mean_enters_fixed_items_too(mixed):
    data, problem, result, settings = mixed
    joint = observed_information(data, problem, result, settings)
    parameters, covariance = in_standard_population(result.parameters, joint)
    mean, sd = result.population.mean[0], result.population.sd[0]
    a, b, _ = problem.start[5]
    np.testing.assert_allclose(parameters[5], [a * sd, (b - mean) / sd, 0.0])
    by_population = np.array([[0.0, 1.0], [-1.0 / sd, -(b - mean) / sd]])
    expected = by_population @ joint.population_covariance @ by_population.T
    np.testing.assert_allclose(covariance[5, :2, :2], expected)


def test_a_standard_population_changes_nothing():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (200, 4)))
    problem = problem_of(4, "2PL")
    result = fit(data, problem, FIXED, PRECISE)
    joint = observed_information(data, problem, result, PRECISE)
    parameters, covariance = in_standard_population(result.parameters, joint)
    np.testing.assert_array_equal(parameters, result.parameters)
    np.testing.assert_array_equal(covariance, joint.item_covariance)
    assert (joint.population_covariance == 0).all()


def test_slope_and_intercept_errors_follow_the_delta_method():
    generator = np.random.default_rng(0)
    phi = np.array([[0.2, -1.1, 0.0], [-0.4, 0.6, -1.5]])
    root = 0.01 * generator.normal(size=(2, 3, 3))
    covariance = root @ root.transpose(0, 2, 1)
    parameters = from_internal(phi, np.array([False, True]))
    errors = slope_intercept_standard_errors(parameters, covariance)
    for j in range(2):
        draws = generator.multivariate_normal(phi[j], covariance[j], 200_000)
        a = np.exp(draws[:, 0])
        np.testing.assert_allclose(errors[j], [a.std(), (-a * draws[:, 1]).std()], rtol=0.02)


def test_a_learned_prior_counts_as_it_was_learned():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (200, 6)))
    problem = problem_of(6, prior="learned")
    result = fit_quietly(data, problem)
    own = replace(problem, priors=result.priors.for_items(problem.free))
    learned = observed_information(data, problem, result, SETTINGS)
    given = observed_information(data, own, replace(result, priors=own.priors), SETTINGS)
    np.testing.assert_array_equal(learned.information, given.information)


def test_nothing_free_gives_an_empty_covariance():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (50, 3)))
    problem = problem_of(3)
    problem.free[:] = False
    joint = observed_information(data, problem, fit_quietly(data, problem), SETTINGS)
    assert joint.covariance.shape == (0, 0)
    assert (joint.item_covariance == 0).all()


def test_an_item_that_the_answers_leave_open_is_named():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (50, 3)))
    wider = ResponseData(data.session_offsets, data.item, data.correct, 4)
    problem = problem_of(4, "Rasch", "none")
    with pytest.raises(ValueError, match="don't determine item 3"):
        observed_information(wider, problem, fit_quietly(wider, problem), SETTINGS)


def test_too_many_parameters_are_refused():
    n_items = MAXIMUM_PARAMETERS + 1
    data = complete_data(np.random.default_rng(0).integers(0, 2, (5, n_items)))
    problem = problem_of(n_items, "Rasch")
    with pytest.raises(ValueError, match=f"at most {MAXIMUM_PARAMETERS}"):
        observed_information(data, problem, fit_quietly(data, problem), SETTINGS)


def test_population_groups_are_refused():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (50, 3)))
    problem = problem_of(3)
    result = replace(fit_quietly(data, problem), population=Population([0, 0], [1, 1]))
    with pytest.raises(ValueError, match="one normal population"):
        observed_information(data, problem, result, SETTINGS)
