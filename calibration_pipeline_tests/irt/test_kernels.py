import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from calibration_pipeline.irt import item_kernels, kernels
from calibration_pipeline.irt.model import from_internal, response_probabilities

NODES = np.linspace(-6, 6, 61)
LOWER, UPPER = np.array([np.log(0.2), -6.0, -6.9]), np.array([np.log(3.0), 6.0, -0.62])


def expected_counts(generator: np.random.Generator, answers: float) -> np.ndarray:
    """Expected wrong and right answers of one item that doesn't fit any curve very well."""
    mass = np.exp(-0.5 * (NODES - generator.normal()) ** 2)
    right = generator.uniform(0, 1) * generator.random(NODES.shape)
    counts = np.vstack([mass * (1 - right), mass * right])
    return counts * answers / counts.sum()


def objective(counts, phi, has_guessing, precision, linear) -> float:
    p = response_probabilities(NODES, from_internal(phi[None], np.array([has_guessing])))[0]
    p = np.clip(p, 1e-15, 1 - 1e-15)
    fit = (counts[1] * np.log(p) + counts[0] * np.log1p(-p)).sum()
    return float(fit + linear @ phi - 0.5 * phi @ precision @ phi)


def maximize(counts, phi, free, has_guessing, precision, linear, steps=5) -> np.ndarray:
    moved = phi[None].copy()
    item_kernels.maximize_items(
        counts, NODES, moved, free[None], np.array([has_guessing]), 1.0,
        precision[None], linear[None], LOWER, UPPER, steps,
    )  # fmt: skip
    return moved[0]


@given(
    seed=st.integers(0, 10_000),
    answers=st.sampled_from([0.0, 0.5, 20.0, 5000.0]),
    prior_strength=st.sampled_from([0.0, 1.0, 30.0]),
    free=st.sampled_from([(1, 1, 1), (1, 1, 0), (0, 1, 0), (0, 0, 0)]),
    steps=st.integers(1, 8),
)
@settings(max_examples=150, derandomize=True)
def test_a_step_never_lowers_the_objective_nor_leaves_the_bounds(
    seed, answers, prior_strength, free, steps
):
    generator = np.random.default_rng(seed)
    counts = expected_counts(generator, answers)
    is_free, has_guessing = np.array(free, bool), bool(free[2])
    phi = generator.uniform(LOWER, UPPER)
    if not has_guessing:
        phi[2] = 0.0
    precision = np.where(is_free, prior_strength, 0.0)[:, None] * np.eye(3)
    linear = precision @ generator.normal(size=3)
    moved = maximize(counts, phi, is_free, has_guessing, precision, linear, steps)
    after = objective(counts, moved, has_guessing, precision, linear)
    before = objective(counts, phi, has_guessing, precision, linear)
    assert after >= before - 1e-9 * abs(before)
    assert (moved[~is_free] == phi[~is_free]).all()
    assert (moved[is_free] >= LOWER[is_free]).all()
    assert (moved[is_free] <= UPPER[is_free]).all()


def test_many_steps_reach_the_maximum_that_another_optimiser_finds():
    generator = np.random.default_rng(4)
    truth = np.array([0.3, 0.5, -1.2])
    p = response_probabilities(NODES, from_internal(truth[None], np.array([True])))[0]
    mass = 2000 * np.exp(-0.5 * NODES**2)
    counts = np.vstack([mass * (1 - p), mass * p]) * generator.uniform(0.9, 1.1, (2, 61))
    precision, linear = np.diag([4.0, 0.5, 4.0]), np.array([0.8, 0.0, -6.0])
    free = np.ones(3, bool)
    moved = maximize(counts, np.array([0.0, 0.0, -1.0]), free, True, precision, linear, 100)
    best = minimize(
        lambda phi: -objective(counts, phi, True, precision, linear), truth, method="BFGS"
    )
    np.testing.assert_allclose(moved, best.x, atol=1e-3)


def test_gradient_and_curvature_agree_with_finite_differences():
    generator = np.random.default_rng(7)
    counts = expected_counts(generator, 300.0)
    phi, precision, linear = np.array([0.2, -0.4, -1.3]), np.diag([2.0, 1, 3]), np.ones(3)
    gradient, curvature = np.empty(3), np.empty((3, 3))
    item_kernels._item_gradient(
        counts[0], counts[1], NODES, phi, True, 1.0, precision, linear, gradient, curvature
    )
    for k in range(3):
        step = np.eye(3)[k] * 1e-5
        high = objective(counts, phi + step, True, precision, linear)
        low = objective(counts, phi - step, True, precision, linear)
        assert gradient[k] == pytest.approx((high - low) / 2e-5, rel=1e-5)
    assert np.linalg.eigvalsh(curvature).min() > 0


def test_session_posterior_is_a_distribution_even_after_a_thousand_answers():
    table = np.log(np.full((2, 61), 1e-9))
    rows = np.zeros(1000, np.int32)
    posterior, weights = np.empty(61), np.full(61, -np.log(61))
    once = np.empty(0)
    log_likelihood = kernels.session_posterior(rows, once, 0, 1000, table, weights, posterior)
    assert posterior.sum() == pytest.approx(1.0)
    assert log_likelihood == pytest.approx(1000 * np.log(1e-9))


def test_exponentials_agree_with_the_library_to_the_last_bits():
    values = np.concatenate([[0.0, -1e-300, -1e-9], -np.geomspace(1e-6, 699, 20_000)])
    found = values.copy()
    kernels.exponentiate(found)
    np.testing.assert_allclose(found, np.exp(values), rtol=5e-16)
    assert found[0] == 1.0
    hopeless = np.array([-np.inf, -1e308, -701.0])
    kernels.exponentiate(hopeless)
    assert ((hopeless >= 0.0) & (hopeless < 1e-300)).all()


def test_buffers_are_added_in_order():
    buffers = np.array([[[1e16]], [[1.0]], [[-1e16]]])
    total = np.zeros((1, 1))
    kernels.add_in_order(total, buffers, 3)
    assert total.item() == (1e16 + 1.0) - 1e16
