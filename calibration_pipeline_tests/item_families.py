"""Items drawn from a hierarchy that is known: families, authors, options."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.item_hierarchy import (
    HierarchyDraws,
    ItemFeatures,
    LikelihoodSummaries,
    PredictedItems,
    predict_items,
)
from calibration_pipeline.irt.model import BoolArray, FloatArray

MEAN = np.array([0.2, 0.0, -0.3])
"""Of φ; of logit c above the logit of guessing blindly."""
OPTION_SLOPE = np.array([0.0, 0.0, 1.0])
BETWEEN_SD = np.array([0.12, np.sqrt(0.35), 0.15])
RESIDUAL_SD = np.array([0.25, np.sqrt(0.65), 0.3])
RESIDUAL_CORRELATION = np.array([[1.0, 0.2, 0.1], [0.2, 1.0, 0.0], [0.1, 0.0, 1.0]])
AUTHOR = np.array([0.3, 1.2, 0.7])
"""Bias, scale and noise of what authors state of b, whose variance is 1."""
TWO_SIDED_95 = 1.959964


@dataclass(frozen=True)
class FamilyPool:
    """Items and the hierarchy behind them.

    `phi` is ``(n_items, 3)``, `effects` ``(n_families, 3)``.
    """

    phi: FloatArray
    features: ItemFeatures
    effects: FloatArray

    @property
    def n_families(self) -> int:
        """Number of families, those without items included."""
        return len(self.effects)

    def oracle(self) -> HierarchyDraws:
        """Give the hierarchy itself, as one draw that is the truth."""
        residual = RESIDUAL_CORRELATION * np.outer(RESIDUAL_SD, RESIDUAL_SD)
        return HierarchyDraws(
            mean=MEAN[None],
            option_slope=OPTION_SLOPE[None],
            residual=residual[None],
            between=np.diag(BETWEEN_SD**2)[None],
            author=AUTHOR[None],
            family_mean=self.effects[None],
            family_covariance=np.zeros((1, self.n_families, 3, 3)),
            chance_center=0.0,
            chance_sd=1.0,
        )


def draw_family_pool(n_items: int, n_families: int, generator: np.random.Generator) -> FamilyPool:
    """Draw a pool whose families differ in size, down to a handful of items."""
    effects = generator.normal(0.0, BETWEEN_SD, (n_families, 3))
    shares = generator.dirichlet(np.full(n_families, 2.0))
    family = generator.choice(n_families, n_items, p=shares)
    options = generator.integers(3, 6, n_items)
    residual = RESIDUAL_CORRELATION * np.outer(RESIDUAL_SD, RESIDUAL_SD)
    own = generator.multivariate_normal(np.zeros(3), residual, n_items)
    chance = -np.log(options - 1.0)
    phi = MEAN + OPTION_SLOPE * chance[:, None] + effects[family] + own
    bias, scale, noise = AUTHOR
    stated = bias + scale * phi[:, 1] + noise * generator.normal(size=n_items)
    return FamilyPool(phi, ItemFeatures(stated, family, options), effects)


def noisy_summaries(
    phi: FloatArray, generator: np.random.Generator, errors: tuple[float, float, float]
) -> LikelihoodSummaries:
    """Gaussian likelihoods of items: estimates with errors of these sizes, twice as large in some.

    Each error is correlated with the others, as those of a 3PL item are.
    """
    correlation = np.array([[1.0, 0.3, 0.3], [0.3, 1.0, 0.5], [0.3, 0.5, 1.0]])
    size = np.array(errors) * generator.choice([0.7, 1.0, 1.5], (len(phi), 1))
    covariance = correlation * size[:, :, None] * size[:, None, :]
    root = np.linalg.cholesky(covariance)
    estimate = phi + np.einsum("jkm,jm->jk", root, generator.normal(size=phi.shape))
    precision = np.linalg.inv(covariance)
    return LikelihoodSummaries(precision, np.einsum("jkm,jm->jk", precision, estimate))


def coverage(priors: PredictedItems, phi: FloatArray) -> FloatArray:
    """Share of the items whose 95% interval holds the truth, ``(3,)``."""
    return np.asarray((np.abs(priors.mean - phi) < TWO_SIDED_95 * priors.sd).mean(axis=0))


def rmse(priors: PredictedItems, phi: FloatArray) -> FloatArray:
    """Root mean square error of the priors' means, ``(3,)``."""
    return np.asarray(np.sqrt(np.square(priors.mean - phi).mean(axis=0)))


def oracle_rmse(pool: FamilyPool, rows: BoolArray) -> FloatArray:
    """The same of priors made by who knows the hierarchy, ``(3,)``."""
    return rmse(predict_items(pool.oracle(), pool.features.of_items(rows)), pool.phi[rows])
