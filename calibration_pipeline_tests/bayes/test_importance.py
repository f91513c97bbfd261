"""Draws from densities that are known, and warnings where they can't be trusted."""

import pytest

torch = pytest.importorskip("torch", reason="the extra bayes is not installed")
pytest.importorskip("pyro", reason="the extra bayes is not installed")

from calibration_pipeline.bayes import importance
from calibration_pipeline.bayes.importance import Draws, draw, pareto_smoothed

CENTER = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-3.0, 1.0, 2.0]], dtype=torch.float64)


def normal(points: torch.Tensor) -> torch.Tensor:
    standard = torch.linalg.solve_triangular(ROOT, (points - CENTER).T, upper=False)
    return -0.5 * standard.square().sum(0)


def skewed(points: torch.Tensor) -> torch.Tensor:
    """Logarithms of standard deviations: normal to the right, a long tail to the left."""
    return (points - 0.5 * (2.0 * points).exp()).sum(-1)


def funnel(points: torch.Tensor) -> torch.Tensor:
    """Neal's: the logarithm of the spread of nine others, which no elliptic proposal follows."""
    log_spread, others = points[:, 0], points[:, 1:]
    squares = others.square().sum(-1) * (-log_spread).exp()
    return -0.5 * (log_spread.square() / 9.0 + squares + others.shape[1] * log_spread)


def test_a_normal_density_is_given_back() -> None:
    found = draw(normal, 3, seed=1, n_draws=4000)
    assert found.pareto_k < 0.5
    assert found.effective_size > 1000
    assert found.gradient_norm < 1e-3
    torch.testing.assert_close(found.points.mean(0), CENTER, atol=0.2, rtol=0.0)
    torch.testing.assert_close(found.points.T.cov(), ROOT @ ROOT.T, atol=0.0, rtol=0.15)


def test_a_skewed_density_is_given_back() -> None:
    """Its square is a chi-square with one degree of freedom."""
    found = draw(skewed, 2, seed=2, n_draws=4000)
    assert found.pareto_k < 0.7
    assert float((2.0 * found.points).exp().mean()) == pytest.approx(1.0, abs=0.08)


def test_the_same_seed_gives_the_same_draws_whatever_was_drawn_before() -> None:
    def points(seed: int) -> Draws:
        torch.rand(3)  # somebody else's random numbers
        return draw(normal, 3, seed=seed, n_draws=10)

    before = torch.random.get_rng_state()
    first = draw(normal, 3, seed=5, n_draws=10)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.points, points(5).points)
    assert not torch.equal(first.points, points(6).points)


def test_tails_that_are_missed_show_in_the_weights() -> None:
    assert draw(funnel, 10, seed=1, n_draws=10).pareto_k > 0.7


def test_the_round_with_the_best_weights_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proposal matched to the draws before it may be a worse one."""
    found = []

    def noted(log_weights: torch.Tensor) -> tuple[torch.Tensor, float]:
        weights, shape = pareto_smoothed(log_weights)
        found.append(shape)
        return weights, shape

    monkeypatch.setattr(importance, "pareto_smoothed", noted)
    said = draw(funnel, 5, seed=4, n_draws=10)
    large = found[len(importance.ROUNDS) - 1 :]
    assert len(large) > 2
    assert said.pareto_k == min(large) < large[-1]


def test_the_shape_of_a_pareto_tail_is_found() -> None:
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(20_000, dtype=torch.float64, generator=generator)
    for shape in (0.3, 0.9):
        weights, found = pareto_smoothed(-shape * uniform.log())
        assert found == pytest.approx(shape, abs=0.12)
        assert float(weights.sum()) == pytest.approx(1.0)
