import numpy as np
import pytest

from calibration_pipeline.irt.acceleration import AndersonMixing


def linear_map(n: int, seed: int = 0):
    """A contraction x ↦ A x + b, and its fixed point."""
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(n, n)))
    matrix = rotation @ np.diag(np.linspace(0.3, 0.9, n)) @ rotation.T
    offset = generator.normal(size=n)
    return lambda x: matrix @ x + offset, np.linalg.solve(np.eye(n) - matrix, offset)


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_a_linear_fixed_point_of_n_unknowns_takes_n_plus_one_images(n):
    image, solution = linear_map(n)
    mixing, plain, x = AndersonMixing(n), np.zeros(n), np.zeros(n)
    for _ in range(n + 1):
        x = mixing.propose(x, image(x))
        plain = image(plain)
    np.testing.assert_allclose(x, solution, atol=1e-4 * np.abs(solution).max())
    assert np.abs(plain - solution).max() > 0.01


def test_a_memory_of_zero_is_the_plain_iteration():
    image, _ = linear_map(3)
    mixing, x = AndersonMixing(0), np.ones(3)
    for _ in range(5):
        proposed = mixing.propose(x, image(x))
        np.testing.assert_array_equal(proposed, image(x))
        x = proposed


def test_old_cycles_leave_the_memory():
    """Two in memory: what was proposed longer ago changes nothing."""
    image, _ = linear_map(4)
    points = np.random.default_rng(1).normal(size=(5, 4))
    long, short = AndersonMixing(2), AndersonMixing(2)
    for x in points:
        last = long.propose(x, image(x))
    for x in points[-3:]:
        same = short.propose(x, image(x))
    np.testing.assert_array_equal(last, same)


def test_what_is_forgotten_has_no_say():
    image, _ = linear_map(4)
    mixing = AndersonMixing(4)
    for x in np.random.default_rng(1).normal(size=(3, 4)):
        mixing.propose(x, image(x))
    mixing.forget()
    here = np.ones(4)
    np.testing.assert_array_equal(mixing.propose(here, image(here)), image(here))


def test_a_fixed_point_stays_one():
    """Residuals of zero leave nothing to solve for."""
    mixing, x = AndersonMixing(3), np.array([1.0, -2.0])
    for _ in range(4):
        np.testing.assert_array_equal(mixing.propose(x, x), x)


def test_the_same_point_again_and_again_does_not_blow_up():
    mixing, x = AndersonMixing(3), np.array([1.0, -2.0])
    for _ in range(4):
        np.testing.assert_array_equal(mixing.propose(x, x + 0.5), x + 0.5)


def test_a_proposal_does_not_depend_on_what_its_owner_does_to_it_later():
    image, solution = linear_map(2)
    mixing, x = AndersonMixing(2), np.zeros(2)
    for _ in range(6):
        x = mixing.propose(x, image(x)).copy()
    np.testing.assert_allclose(x, solution, rtol=1e-6)
