"""Items as draws from a hierarchy: what calibrated items teach, and the prior of a new one.

    φ = (log a, b, logit c) ~ N(mean + option_slope · x + family effect, residual covariance)
    family effect           ~ N(0, family covariance)
    author's difficulty     ~ N(bias + scale · b, error_sd²)

x is the standardised logit of guessing blindly, logit(1 / options). The author's difficulty is
read as a noisy measurement of b: a statement that is missing is one measurement less, and no
other rule is needed. Docs: docs/new-items.md.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class ItemFeatures:
    """What is known of items before any answer.

    Attributes
    ----------
    author_difficulty
        ``(n_items,)`` in the author's own units; NaN where nothing was said.
    family
        ``(n_items,)`` number of each item's content family; −1 for one that nothing is known of.
    option_counts
        ``(n_items,)`` answer options; below 2 where unknown.
    """

    author_difficulty: FloatArray
    family: IntArray
    option_counts: IntArray

    def of_items(self, kept: BoolArray | IntArray) -> "ItemFeatures":
        """Take some of the items."""
        return ItemFeatures(
            self.author_difficulty[kept], self.family[kept], self.option_counts[kept]
        )

    @property
    def chance(self) -> FloatArray:
        """Logit of guessing blindly, ``(n_items,)``; NaN where the options are unknown."""
        known = self.option_counts >= 2
        return np.where(known, -np.log(np.maximum(self.option_counts, 2) - 1.0), np.nan)


@dataclass(frozen=True)
class LikelihoodSummaries:
    """What answers alone say of items: log likelihood = linear·φ − ½ φᵀ precision φ + const.

    Attributes
    ----------
    precision
        ``(n_items, 3, 3)`` positive semidefinite; zero in directions of which answers say nothing.
    linear
        ``(n_items, 3)``.
    """

    precision: FloatArray
    linear: FloatArray


@dataclass(frozen=True)
class HierarchyDraws:
    """Draws from the posterior of one scale's hierarchy, ``(n_draws, …)`` each.

    Attributes
    ----------
    mean, option_slope
        ``(n_draws, 3)`` of φ: at average options, and by one standard deviation of x.
    residual, between
        ``(n_draws, 3, 3)`` covariance of items within a family, and of families.
    author
        ``(n_draws, 3)`` bias, scale and standard deviation of the error, in the author's units.
    family_mean, family_covariance
        ``(n_draws, n_families, 3)`` and ``(n_draws, n_families, 3, 3)`` of each family's effect,
        given the draw.
    chance_center, chance_sd
        Mean and standard deviation by which x is standardised.
    """

    mean: FloatArray
    option_slope: FloatArray
    residual: FloatArray
    between: FloatArray
    author: FloatArray
    family_mean: FloatArray
    family_covariance: FloatArray
    chance_center: float
    chance_sd: float

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.mean)

    def standardised(self, chance: FloatArray) -> FloatArray:
        """Bring logits of blind guessing to x, ``(n_items,)``; NaN stays NaN."""
        return np.asarray((chance - self.chance_center) / self.chance_sd)


@dataclass(frozen=True)
class OwnEvidence:
    """What each item that taught says of its family's effect u, by draw.

    Log likelihood: gradient·u − ½ uᵀ curvature u; ``(n_draws, n_items, 3)`` and ``(n_draws,
    n_items, 3, 3)``.
    """

    gradient: FloatArray
    curvature: FloatArray


@dataclass(frozen=True)
class PredictedItems:
    """Gaussian priors of items: mean ``(n_items, 3)`` and covariance ``(n_items, 3, 3)`` of φ."""

    mean: FloatArray
    covariance: FloatArray

    @property
    def sd(self) -> FloatArray:
        """Standard deviations, ``(n_items, 3)``."""
        return np.asarray(np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2)))

    def of_items(self, kept: BoolArray | IntArray) -> "PredictedItems":
        """Take some of the items."""
        return PredictedItems(self.mean[kept], self.covariance[kept])


def predict_items(
    draws: HierarchyDraws, features: ItemFeatures, own: OwnEvidence | None = None
) -> PredictedItems:
    """Posterior predictive of items: moments of the mixture over the draws.

    Given a draw all is normal. An item of an unseen family is given a family effect from all
    families, one without stated options an x from all items.

    Parameters
    ----------
    draws
        Of the hierarchy.
    features
        The items'.
    own
        What these very items taught, to be taken out of their families' effects: a prior never
        rests on its item's own answers. (They stay in the hyperparameters, as one item of all.)
        None for items that taught nothing.
    """
    n = len(features.family)
    mean, square, within = np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros((n, 3, 3))
    for draw in range(draws.n_draws):
        center, covariance = _predicted_by_draw(draws, draw, features, own)
        mean += center
        square += center[:, :, None] * center[:, None, :]
        within += covariance
    mean /= draws.n_draws
    between = square / draws.n_draws - mean[:, :, None] * mean[:, None, :]
    return PredictedItems(mean, within / draws.n_draws + between)


def _predicted_by_draw(
    draws: HierarchyDraws, draw: int, features: ItemFeatures, own: OwnEvidence | None
) -> tuple[FloatArray, FloatArray]:
    """Mean ``(n_items, 3)`` and covariance ``(n_items, 3, 3)`` of φ, given one draw.

    The author's statement is taken in as one observation of b (a Kalman update).
    """
    slope = draws.option_slope[draw]
    x = draws.standardised(features.chance)
    has_options = np.isfinite(x)
    effect, uncertainty = _family_effects(draws, draw, features.family, own)
    mean = draws.mean[draw] + np.where(has_options, x, 0.0)[:, None] * slope + effect
    covariance = draws.residual[draw] + uncertainty
    covariance[~has_options] += np.outer(slope, slope)
    return _with_author(mean, covariance, features.author_difficulty, draws.author[draw])


def _family_effects(
    draws: HierarchyDraws, draw: int, family: IntArray, own: OwnEvidence | None
) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance of each item's family effect, without what the item itself taught."""
    is_seen = family >= 0
    mean = np.zeros((len(family), 3))
    covariance = np.tile(draws.between[draw], (len(family), 1, 1))
    mean[is_seen] = draws.family_mean[draw][family[is_seen]]
    covariance[is_seen] = draws.family_covariance[draw][family[is_seen]]
    if own is not None and is_seen.any():
        gradient, curvature = own.gradient[draw][is_seen], own.curvature[draw][is_seen]
        known = covariance[is_seen]
        # (C⁻¹ − K)⁻¹ = (I − C K)⁻¹ C needs no inverse of C, which may be nearly singular.
        grow = np.linalg.inv(np.eye(3) - known @ curvature)
        back = mean[is_seen] - np.einsum("jkm,jm->jk", known, gradient)
        mean[is_seen] = np.einsum("jkm,jm->jk", grow, back)
        covariance[is_seen] = grow @ known
    return mean, covariance


def _with_author(
    mean: FloatArray, covariance: FloatArray, stated: FloatArray, author: FloatArray
) -> tuple[FloatArray, FloatArray]:
    bias, scale, error_sd = author
    spoke = np.isfinite(stated)
    surprise = np.where(spoke, stated - bias - scale * mean[:, 1], 0.0)
    with_b = scale * covariance[:, :, 1]
    variance = scale * with_b[:, 1] + error_sd**2
    gain = np.where(spoke[:, None], with_b / variance[:, None], 0.0)
    return mean + gain * surprise[:, None], covariance - gain[:, :, None] * with_b[:, None, :]
