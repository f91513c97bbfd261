import numpy as np
import pytest

from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.model_fit import (
    assess_model,
    count_parameters,
    count_population_parameters,
)
from calibration_pipeline.irt.population import Population
from calibration_pipeline_tests.irt.problems import FIXED, FREE, SETTINGS, problem_of
from calibration_pipeline_tests.simulated import complete_data


@pytest.mark.parametrize(
    ("population", "expected"),
    [
        (FIXED, 0),
        (Population(sd_is_estimated=True), 1),
        (FREE, 2),
        (Population([0, 0, 0], [1, 1, 1]), 4),
        (Population([0, 0, 0], [1, 1, 1], mean_is_estimated=True, sd_is_estimated=True), 6),
        (Population(has_covariate=True), 1),
        (Population(mean_is_estimated=True, sd_is_estimated=True, has_covariate=True), 3),
    ],
)
def test_parameters_of_the_population_are_counted(population, expected):
    assert count_population_parameters(population) == expected


@pytest.mark.parametrize(
    ("model", "expected"), [("Rasch", 5), ("1PL", 5), ("2PL", 10), ("3PL", 15)]
)
def test_free_coordinates_of_items_are_counted(model, expected):
    assert count_parameters(problem_of(5, model), FIXED) == expected
    assert count_parameters(problem_of(5, model), FREE) == expected + 2


def test_fixed_items_cost_nothing():
    problem = problem_of(5)
    problem.free[1:] = False
    assert count_parameters(problem, FIXED) == 3


def test_information_criteria_follow_from_the_likelihood():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (60, 4)))
    problem = problem_of(4, "Rasch", "none")
    result = fit(data, problem, Population(sd_is_estimated=True), SETTINGS)
    found = assess_model(problem, result, data.n_sessions)
    assert found.n_parameters == 5
    assert found.log_likelihood == result.log_likelihood
    assert found.aic == pytest.approx(-2 * result.log_likelihood + 10)
    assert found.bic == pytest.approx(-2 * result.log_likelihood + 5 * np.log(60))
    with pytest.raises(ValueError, match="at least 1 session"):
        assess_model(problem, result, 0)
