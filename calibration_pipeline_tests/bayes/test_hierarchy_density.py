"""The likelihood without items and families, against one large normal distribution."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra bayes is not installed")
pytest.importorskip("pyro", reason="the extra bayes is not installed")

from calibration_pipeline.bayes.hierarchy_density import (
    Hyperparameters,
    by_family,
    family_effects,
    hierarchy_data,
    integrate_items,
    marginal_log_likelihood,
)
from calibration_pipeline.irt.item_hierarchy import ItemFeatures, LikelihoodSummaries

N, FAMILIES = 7, 3
FEATURES = ItemFeatures(
    author_difficulty=np.array([0.4, np.nan, -1.2, 0.8, 2.0, np.nan, 0.1]),
    family=np.array([0, 0, 1, 1, 1, -1, 0]),
    option_counts=np.array([4, 3, 0, 5, 4, 4, 2]),
)


def random_covariance(generator: np.random.Generator, size: float) -> np.ndarray:
    root = generator.normal(size=(3, 3))
    return size * (root @ root.T + 0.3 * np.eye(3))


def hyperparameters(seed: int) -> tuple[Hyperparameters, dict[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    values = {
        "mean": generator.normal(size=3),
        "option_slope": 0.3 * generator.normal(size=3),
        "residual": random_covariance(generator, 0.3),
        "between": random_covariance(generator, 0.2),
        "author": np.array([0.2, 1.1, 0.6]) + 0.1 * seed,
    }
    tensors = {name: torch.as_tensor(value)[None] for name, value in values.items()}
    return Hyperparameters(**tensors), values


def observed() -> tuple[LikelihoodSummaries, np.ndarray, np.ndarray]:
    """Estimates with errors, of full rank."""
    generator = np.random.default_rng(3)
    errors = np.array([random_covariance(generator, 0.1) for _ in range(N)])
    estimates = generator.normal(size=(N, 3))
    precision = np.linalg.inv(errors)
    linear = np.einsum("jkm,jm->jk", precision, estimates)
    return LikelihoodSummaries(precision, linear), estimates, errors


def joint(at: dict[str, np.ndarray], errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all φ and all statements at once, with the errors of estimates."""
    data = hierarchy_data(observed()[0], FEATURES, FAMILIES)
    x, slope = data.chance.numpy(), at["option_slope"]
    mean = at["mean"] + x[:, None] * slope
    covariance = np.zeros((3 * N, 3 * N))
    for j in range(N):
        for k in range(N):
            block = at["residual"] * (j == k)
            same = FEATURES.family[j] == FEATURES.family[k] >= 0
            block = block + at["between"] * (same or j == k)
            if j == k and FEATURES.option_counts[j] < 2:
                block = block + np.outer(slope, slope)
            covariance[3 * j : 3 * j + 3, 3 * k : 3 * k + 3] = block
    bias, scale, noise = at["author"]
    pick = np.zeros((N, 3 * N))
    pick[np.arange(N), 3 * np.arange(N) + 1] = scale
    spoke = np.flatnonzero(np.isfinite(FEATURES.author_difficulty))
    noise_part = np.zeros((4 * N, 4 * N))
    for j in range(N):
        noise_part[3 * j : 3 * j + 3, 3 * j : 3 * j + 3] = errors[j]
        noise_part[3 * N + j, 3 * N + j] = noise**2
    whole = np.vstack([np.eye(3 * N), pick])
    kept = np.concatenate([np.arange(3 * N), 3 * N + spoke])
    center = np.concatenate([mean.ravel(), bias + scale * mean[:, 1]])
    return center[kept], (whole @ covariance @ whole.T + noise_part)[np.ix_(kept, kept)]


def log_normal(values: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    away = values - mean
    quadratic = away @ np.linalg.solve(covariance, away)
    return float(-0.5 * (quadratic + np.linalg.slogdet(covariance)[1]))


def test_it_is_the_joint_density_up_to_a_constant() -> None:
    """With missing authors, options and families among the items."""
    summaries, estimates, errors = observed()
    data = hierarchy_data(summaries, FEATURES, FAMILIES)
    stated = data.author.numpy()[data.has_author.numpy() > 0]
    values = np.concatenate([estimates.ravel(), stated])
    differences = []
    for seed in range(4):
        at, plain = hyperparameters(seed)
        found = float(marginal_log_likelihood(data, at))
        differences.append(found - log_normal(values, *joint(plain, errors)))
    np.testing.assert_allclose(differences, differences[0], atol=1e-8)


def test_a_singular_likelihood_is_the_limit_of_a_vague_one() -> None:
    summaries, _, _ = observed()
    flat = LikelihoodSummaries(summaries.precision.copy(), summaries.linear.copy())
    flat.precision[:, 2, :] = flat.precision[:, :, 2] = flat.linear[:, 2] = 0.0
    vague = LikelihoodSummaries(flat.precision + np.diag([0.0, 0.0, 1e-9]), flat.linear)
    at, _ = hyperparameters(1)
    found, limit = (
        float(marginal_log_likelihood(hierarchy_data(s, FEATURES, FAMILIES), at))
        for s in (flat, vague)
    )
    assert found == pytest.approx(limit, abs=1e-5)


def test_family_effects_are_those_of_the_joint_distribution() -> None:
    """Regress the effects on all that is observed."""
    summaries, estimates, errors = observed()
    data = hierarchy_data(summaries, FEATURES, FAMILIES)
    at, plain = hyperparameters(2)
    mean, covariance = family_effects(by_family(data, integrate_items(data, at)[1]), at.between)
    center, spread = joint(plain, errors)
    stated = data.author.numpy()[data.has_author.numpy() > 0]
    away = np.concatenate([estimates.ravel(), stated]) - center
    spoke = np.flatnonzero(np.isfinite(FEATURES.author_difficulty))
    for family in range(FAMILIES):
        member = (FEATURES.family == family).astype(float)
        cross = np.vstack(
            [np.kron(member[:, None], plain["between"])]
            + [member[j] * plain["author"][1] * plain["between"][1:2] for j in spoke]
        )
        weights = np.linalg.solve(spread, cross).T
        np.testing.assert_allclose(mean[0, family].numpy(), weights @ away, atol=1e-9)
        np.testing.assert_allclose(
            covariance[0, family].numpy(), plain["between"] - weights @ cross, atol=1e-9
        )
