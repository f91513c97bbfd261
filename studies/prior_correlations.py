"""What it costs that a night's base priors are independent by coordinate.

    python studies/prior_correlations.py

Items are drawn from a normal distribution whose coordinates are correlated, and answered. Their
exact posteriors are found twice, by importance sampling: under that distribution, and under the one
with the same means and spreads and no correlations. What came out is in docs/new-items.md.
"""

import sys
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.irt.model import (  # noqa: E402
    FloatArray,
    from_internal,
    response_probabilities,
)

MEAN, SD = np.array([0.2, 0.0, -1.4]), np.array([0.28, 0.5, 0.33])
"""Of (log a, b, logit c): what an author's statement and a family leave open."""
CORRELATIONS = ((0.2, 0.1, 0.0), (0.5, 0.0, 0.0), (-0.5, 0.0, 0.0), (0.5, 0.3, 0.3))
"""Of log a and b, log a and logit c, b and logit c."""
ANSWERS, DRAWS = (25, 50, 100, 200), 3000
ABILITIES = np.linspace(-3.0, 3.0, 25)
TWO_SIDED_95 = 1.959964


def covariance_of(correlations: tuple[float, float, float]) -> FloatArray:
    """Put a covariance together, ``(3, 3)``."""
    ab, ac, bc = correlations
    matrix = np.array([[1.0, ab, ac], [ab, 1.0, bc], [ac, bc, 1.0]])
    return np.asarray(matrix * np.outer(SD, SD))


def compare(
    correlations: tuple[float, float, float], items: int, generator: np.random.Generator
) -> FloatArray:
    """Errors and standard deviations, ``(len(ANSWERS), 2, items, 2, 3)``; with, then without."""
    covariance = covariance_of(correlations)
    draws = generator.multivariate_normal(MEAN, covariance, DRAWS)
    away = draws - MEAN
    # What the independent prior has over the correlated one that the draws are from.
    quadratic = np.einsum("nk,km,nm->n", away, np.linalg.inv(covariance), away)
    without = 0.5 * quadratic - 0.5 * np.square(away / SD).sum(axis=1)
    p = response_probabilities(ABILITIES, from_internal(draws, np.ones(DRAWS, bool)))
    log_right, log_wrong = np.log(p), np.log1p(-p)
    phi = generator.multivariate_normal(MEAN, covariance, items)
    truth = from_internal(phi, np.ones(items, bool))
    found = np.empty((len(ANSWERS), 2, items, 2, 3))
    for j, (a, b, c) in enumerate(truth):
        theta = np.clip(generator.normal(0.8 * b, 0.8, ANSWERS[-1]), -3.0, 3.0)
        at = np.abs(ABILITIES[:, None] - theta).argmin(axis=0)
        right = generator.random(len(at)) < c + (1 - c) / (1 + np.exp(-a * (ABILITIES[at] - b)))
        by_answer = np.where(right, log_right[:, at], log_wrong[:, at]).cumsum(axis=1)
        for n, answers in enumerate(ANSWERS):
            for k, prior in enumerate((0.0, without)):
                log_weight = by_answer[:, answers - 1] + prior
                weight = np.exp(log_weight - log_weight.max())
                weight /= weight.sum()
                mean = weight @ draws
                found[n, k, j] = mean - phi[j], np.sqrt(weight @ np.square(draws - mean))
    return found


@click.command()
@click.option("--items", type=click.IntRange(min=10), default=1500, show_default=True)
def main(items: int) -> None:
    """Print what is lost, by correlations and answers."""
    generator = np.random.default_rng(5)
    for correlations in CORRELATIONS:
        click.echo(f"correlations {correlations}")
        for answers, both in zip(ANSWERS, compare(correlations, items, generator), strict=True):
            rmse = np.sqrt(np.square(both[:, :, 0]).mean(axis=1))
            covered = (np.abs(both[:, :, 0]) < TWO_SIDED_95 * both[:, :, 1]).mean(axis=1)
            click.echo(
                f"  {answers:3d} answers: RMSE without / with {(rmse[1] / rmse[0]).round(3)}, "
                f"covered with {covered[0].round(3)}, without {covered[1].round(3)}"
            )


if __name__ == "__main__":
    main()
