from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.population import Population, quadrature_nodes
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline_tests.simulated import complete_data, draw_items

FREE_2PL = np.tile([True, True, False], (8, 1))


@pytest.fixture(scope="module")
def answers():
    generator = np.random.default_rng(0)
    a, b, _ = draw_items(8, generator, "2PL").T
    theta = generator.normal(size=(1500, 1))
    return complete_data(generator.random((1500, 8)) < 1 / (1 + np.exp(-a * (theta - b))))


def fit_2pl(answers, configuration, start=1.0):
    problem = ItemProblem(np.tile([start, 0.0, 0.0], (8, 1)), FREE_2PL, ItemPriors.none(8))
    return fit(answers, problem, Population(), configuration).parameters


def test_quadrature_follows_its_settings():
    nodes = quadrature_nodes(EMConfiguration(quadrature_nodes=21, quadrature_bound=4.0))
    assert (len(nodes), nodes[0], nodes[-1]) == (21, -4.0, 4.0)


def test_the_scaling_constant_divides_every_discrimination(answers):
    plain = EMConfiguration(tolerance=1e-6, maximum_cycles=500)
    one = fit_2pl(answers, plain)
    ogive = fit_2pl(answers, replace(plain, scaling_constant=1.7))
    np.testing.assert_allclose(ogive[:, 0] * 1.7, one[:, 0], atol=1e-3)
    np.testing.assert_allclose(ogive[:, 1], one[:, 1], atol=1e-3)


def test_estimates_stay_within_bounds(answers):
    narrow = EMConfiguration(discrimination_bounds=(0.9, 1.1), difficulty_bounds=(-0.5, 0.5))
    parameters = fit_2pl(answers, narrow)
    assert (parameters[:, 0] >= 0.9).all()
    assert (parameters[:, 0] <= 1.1 + 1e-12).all()
    assert (np.abs(parameters[:, 1]) <= 0.5).all()


def test_a_start_outside_the_bounds_comes_back_inside(answers):
    loose = EMConfiguration()
    outside = fit_2pl(answers, loose, start=9.0)
    np.testing.assert_allclose(outside, fit_2pl(answers, loose), atol=0.02)
