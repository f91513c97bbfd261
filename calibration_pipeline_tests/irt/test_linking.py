import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration_pipeline.irt.linking import (
    LinkingConstants,
    mean_sigma,
    stocking_lord,
    transform_covariances,
    transform_items,
    transform_natural,
)
from calibration_pipeline.irt.model import response_probabilities, to_internal
from calibration_pipeline_tests.reference_data import reference_file
from calibration_pipeline_tests.simulated import draw_items

slopes, intercepts = st.floats(0.5, 2.0), st.floats(-1.5, 1.5)


def common_items() -> tuple[np.ndarray, np.ndarray]:
    """Items 3, 6, …, 36 of Kolen and Brennan's forms X and Y."""
    forms = [pd.read_csv(reference_file(f"kb36_par_form{form}.csv")) for form in "XY"]
    new, reference = (form[["a", "b", "c"]].to_numpy()[2::3] for form in forms)
    return new, reference


@pytest.mark.parametrize(
    ("scaling", "slope", "intercept"), [(1.0, 1.119231, -0.485545), (1.7, 1.101547, -0.476496)]
)
def test_stocking_lord_reproduces_kolen_and_brennan(scaling, slope, intercept):
    constants = stocking_lord(*common_items(), scaling_constant=scaling)
    assert constants.slope == pytest.approx(slope, abs=5e-5)
    assert constants.intercept == pytest.approx(intercept, abs=5e-5)


def test_stocking_lord_takes_weights():
    nodes = np.linspace(-4, 4, 40)
    constants = stocking_lord(
        *common_items(), scaling_constant=1.7, nodes=nodes, weights=np.exp(-0.5 * nodes**2)
    )
    assert constants.slope == pytest.approx(1.090823, abs=5e-5)
    assert constants.intercept == pytest.approx(-0.496292, abs=5e-5)


def test_mean_sigma_reproduces_kolen_and_brennan():
    constants = mean_sigma(*common_items())
    assert constants.slope == pytest.approx(1.168892, abs=5e-6)
    assert constants.intercept == pytest.approx(-0.515543, abs=5e-6)


@given(slopes, intercepts, st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_stocking_lord_finds_a_known_change_of_scale(slope, intercept, seed):
    new = draw_items(12, np.random.default_rng(seed))
    reference = transform_items(new, LinkingConstants(slope, intercept))
    found = stocking_lord(new, reference)
    assert found.slope == pytest.approx(slope, abs=1e-5)
    assert found.intercept == pytest.approx(intercept, abs=1e-5)


def test_rasch_items_only_shift():
    reference = draw_items(12, np.random.default_rng(0), "Rasch")
    new = reference - [0.0, 0.4, 0.0]
    found = stocking_lord(new, reference, slope_is_free=False)
    assert found.slope == 1.0
    assert found.intercept == pytest.approx(0.4)


def test_items_of_one_difficulty_can_be_linked():
    new = np.array([[1.0, 0.3, 0.0], [1.4, 0.3, 0.0]])
    found = stocking_lord(new, transform_items(new, LinkingConstants(1.2, 0.1)))
    assert found.slope == pytest.approx(1.2, abs=1e-4)


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
