import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.irt.model import (
    fisher_information,
    from_internal,
    probability_gradients,
    response_probabilities,
    standard_errors,
    to_internal,
)

discriminations = st.floats(0.2, 3.0)
difficulties = st.floats(-6.0, 6.0)
guessings = st.one_of(st.just(0.0), st.floats(0.001, 0.35))
items = st.tuples(discriminations, difficulties, guessings).map(lambda row: np.array([row]))
abilities = st.floats(-4.0, 4.0).map(lambda theta: np.array([theta]))


@given(items)
def test_internal_parameters_come_back(parameters):
    has_guessing = parameters[:, 2] > 0
    back = from_internal(to_internal(parameters), has_guessing)
    np.testing.assert_allclose(back, parameters, rtol=1e-12, atol=1e-14)


@given(items, abilities, st.sampled_from([1.0, 1.7]))
def test_gradients_agree_with_finite_differences(parameters, theta, scaling):
    has_guessing = parameters[:, 2] > 0
    internal, step = to_internal(parameters), 1e-5
    analytic = probability_gradients(theta, parameters, scaling)[0, :, 0]
    for coordinate in range(3):
        moved = np.zeros((1, 3))
        moved[0, coordinate] = step
        high = response_probabilities(theta, from_internal(internal + moved, has_guessing), scaling)
        low = response_probabilities(theta, from_internal(internal - moved, has_guessing), scaling)
        numerical = (high - low).item() / (2 * step)
        assert analytic[coordinate] == pytest.approx(numerical, abs=1e-7)


@given(items, abilities)
def test_information_is_the_squared_slope_over_the_variance(parameters, theta):
    p = response_probabilities(theta, parameters).item()
    slope = -probability_gradients(theta, parameters)[0, 1, 0]
    expected = slope**2 / (p * (1 - p))
    assert fisher_information(theta, parameters).item() == pytest.approx(expected, rel=1e-6)


def test_probability_at_the_difficulty_is_halfway_above_guessing():
    p = response_probabilities(np.array([0.7]), np.array([[1.3, 0.7, 0.2]]))
    assert p.item() == pytest.approx(0.6)


def test_scaling_constant_multiplies_discrimination():
    theta = np.linspace(-3, 3, 7)
    with_constant = response_probabilities(theta, np.array([[1.0, 0.3, 0.1]]), 1.7)
    without = response_probabilities(theta, np.array([[1.7, 0.3, 0.1]]))
    np.testing.assert_allclose(with_constant, without)


def test_standard_errors_agree_with_the_spread_of_transformed_draws():
    parameters = np.array([[1.4, -0.5, 0.2]])
    covariance = np.diag([0.05, 0.1, 0.08])[None] ** 2
    generator = np.random.default_rng(0)
    draws = generator.multivariate_normal(to_internal(parameters)[0], covariance[0], 200_000)
    spread = from_internal(draws, np.ones(len(draws), bool)).std(axis=0)
    np.testing.assert_allclose(standard_errors(parameters, covariance)[0], spread, rtol=0.02)


def test_standard_error_of_an_absent_coordinate_is_zero():
    errors = standard_errors(np.array([[1.0, 0.2, 0.0]]), np.diag([0.0, 0.04, 0.0])[None])
    np.testing.assert_allclose(errors, [[0.0, 0.2, 0.0]])
