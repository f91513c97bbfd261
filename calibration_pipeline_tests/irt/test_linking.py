import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.irt.linking import (
    LinkingConstants,
    linked_covariances,
    transform_covariances,
    transform_items,
    transform_natural,
)
from calibration_pipeline.irt.model import response_probabilities, to_internal
from calibration_pipeline_tests.simulated import draw_items

slopes, intercepts = st.floats(0.5, 2.0), st.floats(-1.5, 1.5)


@given(slopes, intercepts)
def test_answers_are_as_probable_on_either_scale(slope, intercept):
    items, theta = draw_items(5, np.random.default_rng(1)), np.linspace(-3, 3, 7)
    moved = transform_items(items, LinkingConstants(slope, intercept))
    np.testing.assert_allclose(
        response_probabilities(slope * theta + intercept, moved),
        response_probabilities(theta, items),
    )


@given(slopes, intercepts)
def test_natural_parameters_move_with_mean_and_covariance(slope, intercept):
    constants = LinkingConstants(slope, intercept)
    items = draw_items(4, np.random.default_rng(2))
    root = np.random.default_rng(3).normal(size=(4, 3, 3))
    information = root @ root.transpose(0, 2, 1) + np.eye(3)
    linear = np.einsum("jkm,jm->jk", information, to_internal(items))
    moved_information, moved_linear = transform_natural(information, linear, constants)
    mean = np.linalg.solve(moved_information, moved_linear[:, :, None])[:, :, 0]
    np.testing.assert_allclose(mean, to_internal(transform_items(items, constants)), atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.inv(moved_information),
        transform_covariances(np.linalg.inv(information), constants),
        atol=1e-12,
    )


@given(slopes, intercepts)
def test_constants_without_errors_add_none(slope, intercept):
    constants = LinkingConstants(slope, intercept)
    items = draw_items(4, np.random.default_rng(2))
    root = np.random.default_rng(3).normal(size=(4, 3, 3))
    covariance = root @ root.transpose(0, 2, 1)
    np.testing.assert_array_equal(
        linked_covariances(items, covariance, constants, np.zeros((2, 2))),
        transform_covariances(covariance, constants),
    )
