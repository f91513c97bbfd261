"""Errors of linking constants, by the delta method from the errors of the common items.

The constants x = (A, B) are functions of the items' φ on either scale. Mean/mean and mean/sigma
say which; a curve method says it by its stationarity g(x, φ) = 0, so that the implicit-function
theorem gives

    dx/dφ = −(∂g/∂x)⁻¹ ∂g/∂φ,    Cov(x) = (dx/dφ) Cov(φ) (dx/dφ)ᵀ.

Second derivatives of the curves are kept: they matter where the scales fit each other badly.
Sources: Ogasawara (2000), Economic Review (Otaru) 51, 1–23, for the moments; Ogasawara (2001),
Applied Psychological Measurement 25, 53–67, for the curves; Battauz (2015), Journal of
Statistical Software 68(7), for chains.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.configuration import LinkingMethod
from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.linking_curves import (
    FORWARD,
    Comparison,
    CurveSettings,
    comparisons,
    curve_weights,
)
from calibration_pipeline.irt.linking_methods import weight_shares, weighted_sd
from calibration_pipeline.irt.model import FloatArray


@dataclass(frozen=True)
class LinkingInfluence:
    """How the constants follow the common items.

    Attributes
    ----------
    new, reference
        ``(n_common, 2, 3)`` derivatives of (slope, intercept) by each item's φ on either scale.
    """

    new: FloatArray
    reference: FloatArray

    def covariance(self, new: FloatArray, reference: FloatArray) -> FloatArray:
        """Covariance of (slope, intercept), ``(2, 2)``.

        Parameters
        ----------
        new, reference
            Covariances of φ on either scale: ``(n_common, 3, 3)`` where the items' errors are
            independent, else ``(3·n_common, 3·n_common)``, item by item.
        """
        found = _propagated(self.new, new) + _propagated(self.reference, reference)
        return 0.5 * (found + found.T)


def linking_influence(
    method: LinkingMethod,
    new: FloatArray,
    reference: FloatArray,
    constants: LinkingConstants,
    settings: CurveSettings = FORWARD,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> LinkingInfluence:
    """Derivatives of estimated constants by the items that they were estimated from.

    Parameters
    ----------
    method, new, reference, settings, slope_is_free, item_weights
        As they went to `estimate_constants`; the weights are taken as given.
    constants
        What it gave back.
    """
    shares = weight_shares(item_weights, len(new))
    if method == "mean-mean":
        return _of_means(new, reference, constants, shares, slope_is_free)
    if method == "mean-sigma":
        return _of_spreads(new, reference, constants, shares, slope_is_free)
    sides = comparisons(new, reference, settings, curve_weights(method, item_weights))
    return _of_curves(sides, constants, method == "stocking-lord", slope_is_free)


def _propagated(influence: FloatArray, covariance: FloatArray) -> FloatArray:
    if covariance.ndim == 3:
        return np.asarray(np.einsum("jxk,jkm,jym->xy", influence, covariance, influence))
    flat = influence.transpose(1, 0, 2).reshape(2, -1)
    return np.asarray(flat @ covariance @ flat.T)


def _of_means(
    new: FloatArray,
    reference: FloatArray,
    constants: LinkingConstants,
    shares: FloatArray,
    slope_is_free: bool,
) -> LinkingInfluence:
    """A = mean a / mean a*, B = mean b* − A · mean b; da/d log a = a."""
    by_new, by_reference = np.zeros((2, len(new), 2, 3))
    if slope_is_free:
        for by_side, side, sign in ((by_new, new, 1.0), (by_reference, reference, -1.0)):
            weighted = shares * side[:, 0]
            by_side[:, 0, 0] = sign * constants.slope * weighted / weighted.sum()
    return _with_intercepts(by_new, by_reference, new, constants, shares)


def _of_spreads(
    new: FloatArray,
    reference: FloatArray,
    constants: LinkingConstants,
    shares: FloatArray,
    slope_is_free: bool,
) -> LinkingInfluence:
    """A = sd b* / sd b, B = mean b* − A · mean b; d sd/db_j = s_j (b_j − mean b) / sd."""
    by_new, by_reference = np.zeros((2, len(new), 2, 3))
    if slope_is_free:
        for by_side, b, sign in ((by_new, new[:, 1], -1.0), (by_reference, reference[:, 1], 1.0)):
            relative = (b - shares @ b) / weighted_sd(b, shares) ** 2
            by_side[:, 0, 1] = sign * constants.slope * shares * relative
    return _with_intercepts(by_new, by_reference, new, constants, shares)


def _with_intercepts(
    by_new: FloatArray,
    by_reference: FloatArray,
    new: FloatArray,
    constants: LinkingConstants,
    shares: FloatArray,
) -> LinkingInfluence:
    mean = float(shares @ new[:, 1])
    for by_side, own in ((by_new, -constants.slope * shares), (by_reference, shares)):
        by_side[:, 1] = -mean * by_side[:, 0]
        by_side[:, 1, 1] += own
    return LinkingInfluence(by_new, by_reference)


def _of_curves(
    sides: tuple[Comparison, ...],
    constants: LinkingConstants,
    sums_items: bool,
    slope_is_free: bool,
) -> LinkingInfluence:
    n = len(sides[0].moved)
    by_constants, by_new, by_reference = np.zeros((2, 2)), np.zeros((n, 2, 3)), np.zeros((n, 2, 3))
    for side in sides:
        found = Stationarity.of(side, constants, sums_items)
        by_constants += found.by_constants
        by_new += found.by_still if side.is_back else found.by_moved
        by_reference += found.by_moved if side.is_back else found.by_still
    if slope_is_free:
        inverse = np.asarray(np.linalg.inv(by_constants), float)
    else:
        inverse = np.diag([0.0, 1.0 / by_constants[1, 1]])
    return LinkingInfluence(-inverse @ by_new, -inverse @ by_reference)


@dataclass(frozen=True)
class Stationarity:
    """Derivatives of g = Σ_q w_q r_q ∂r_q/∂x on one scale, r the difference that is squared.

    With r the items' own differences (Haebara) or their sum over the items (Stocking–Lord), and
    the item that is moved φ* = φ*(φ, x), the chain rule gives ∂r/∂x = ∇P(φ*)·∂φ*/∂x and so on.

    Attributes
    ----------
    by_constants
        ``(2, 2)``.
    by_moved, by_still
        ``(n_common, 2, 3)`` by the φ of the items that are moved, and of the others.
    """

    by_constants: FloatArray
    by_moved: FloatArray
    by_still: FloatArray

    @classmethod
    def of(cls, side: Comparison, x: LinkingConstants, sums_items: bool) -> "Stationarity":
        """Take the derivatives at x; `sums_items` says whether the criterion is Stocking–Lord's."""
        w = side.weights
        r, t = side.differences(x), side.gradients(x)
        squared_t = t.sum(axis=0, keepdims=True) if sums_items else t
        if sums_items:  # every item meets the difference and the gradient of all
            r, t = (np.broadcast_to(values.sum(axis=0), values.shape) for values in (r, t))
        moved = side.move(x)
        gradient, curvature = side.gradients_by(moved), side.curvatures_by(moved)
        by_x, by_own = side.movement(x), side.stretch(x)
        # Σ_q w r ∂²P: what is left of the differences meets the curves' second derivatives.
        bent = np.einsum("q,jq,jkmq->jkm", w, r, curvature)
        leaning = np.einsum("q,jq,jkq->jk", w, r, gradient)
        second, mixed = side.second_movements(x)
        return cls(
            by_constants=np.einsum("q,jxq,jyq->xy", w, squared_t, squared_t)
            + np.einsum("jkx,jkm,jmy->xy", by_x, bent, by_x)
            + np.einsum("jk,jkxy->xy", leaning, second),
            by_moved=np.einsum("q,jxq,jmq,jm->jxm", w, t, gradient, by_own)
            + np.einsum("jkx,jkm,jm->jxm", by_x, bent, by_own)
            + np.einsum("jk,jkxm->jxm", leaning, mixed),
            by_still=-np.einsum("q,jxq,jmq->jxm", w, t, side.gradients_by(side.still)),
        )
