"""One item's posterior, known exactly: by brute force on a grid of φ."""

import numpy as np

from calibration_pipeline.irt.item_posterior import ItemEvidence, ItemPosterior
from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.records import FloatArray

NODES = np.linspace(-6.0, 6.0, 61)
PRIOR_MEAN, PRIOR_SD = np.array([0.1, 0.0, -1.4]), np.array([0.4, 1.2, 0.4])
POINTS, REACH = 61, 8.0


def posterior_of(
    n_answers: int,
    truth: tuple[float, float, float],
    seed: int,
    *,
    ability_mean: float = 0.0,
    weight: float = 1.0,
    difficulty_sd: float = PRIOR_SD[1],
    free: tuple[bool, bool, bool] = (True, True, True),
) -> ItemPosterior:
    """An item answered by candidates whose abilities are known to ±0.35."""
    generator = np.random.default_rng(seed)
    believed = generator.normal(ability_mean, 1.0, n_answers)
    theta = believed + generator.normal(0.0, 0.35, n_answers)
    p = response_probabilities(theta, np.array([truth]))[0]
    density = np.exp(-0.5 * np.square((NODES - believed[:, None]) / 0.35))
    evidence = ItemEvidence(
        nodes=NODES,
        ability_weights=density / density.sum(axis=1, keepdims=True),
        correct=(generator.random(n_answers) < p).astype(np.uint8),
        weights=np.where(np.arange(n_answers) % 3 == 0, weight, 1.0),
        scaling_constant=1.0,
    )
    is_free = np.array(free)
    sd = np.array([PRIOR_SD[0], difficulty_sd, PRIOR_SD[2]])
    precision = np.where(is_free, sd**-2, 0.0)
    return ItemPosterior(
        evidence, np.diag(precision), precision * PRIOR_MEAN, is_free, has_guessing=free[2]
    )


def by_brute_force(posterior: ItemPosterior) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, standard deviation and (2, 3) ends of the 95% intervals, to about 1e-3 of an sd."""
    centre, covariance = gaussian_of(posterior)
    reach = REACH * np.sqrt(np.diagonal(covariance))
    axes = [
        np.linspace(middle - to_side, middle + to_side, POINTS) if is_free else np.array([0.0])
        for middle, to_side, is_free in zip(centre, reach, posterior.free, strict=True)
    ]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    log_density = np.concatenate([posterior.log_density(part) for part in np.array_split(grid, 50)])
    mass = np.exp(log_density - log_density.max()).reshape([len(axis) for axis in axes])
    mass /= mass.sum()
    means, sds, ends = np.zeros(3), np.zeros(3), np.zeros((2, 3))
    for k, axis in enumerate(axes):
        others = tuple(m for m in range(3) if m != k)
        marginal = mass.sum(axis=others)
        means[k] = marginal @ axis
        sds[k] = np.sqrt(marginal @ np.square(axis - means[k]))
        cumulative = np.cumsum(marginal) - 0.5 * marginal
        ends[:, k] = np.interp([0.025, 0.975], cumulative, axis)
    return means, sds, ends


def gaussian_of(posterior: ItemPosterior) -> tuple[FloatArray, FloatArray]:
    """Mode, and inverse of the curvature there: the Gaussian that a night would carry on."""
    from scipy.optimize import minimize

    free = np.flatnonzero(posterior.free)

    def internal(values: FloatArray) -> FloatArray:
        phi = np.zeros((1, 3))
        phi[0, free] = values
        return phi

    found = minimize(
        lambda values: -posterior.log_density(internal(values))[0], PRIOR_MEAN[free], method="BFGS"
    )
    step = 1e-3
    unit = step * np.eye(len(free))

    def value(shift: FloatArray) -> float:
        return float(posterior.log_density(internal(found.x + shift))[0])

    curvature = np.array(
        [
            [(value(e + f) - value(e - f) - value(f - e) + value(-e - f)) / (4 * step**2)
             for f in unit]
            for e in unit
        ]
    )  # fmt: skip
    covariance = np.zeros((3, 3))
    covariance[np.ix_(free, free)] = np.linalg.inv(-curvature)
    return internal(found.x)[0], covariance
