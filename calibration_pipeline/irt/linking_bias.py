"""The part of linking constants that is due to the items' errors alone, to second order.

Errors don't average out of what is not linear in the items. The mean of curves of items with errors
is flatter than the curve of the items themselves, and difficulties with errors spread wider: the
more uncertain scale looks stretched, and slopes come out too near 0 (new items uncertain) or too
large (reference uncertain). With 300 anchors of 250 answers each that is three percent, twice
the slope's standard error. For unbiased φ with covariance Σ_j, and stationarity g(x, φ) = 0,

    E[x] − x ≈ −(∂g/∂x)⁻¹ · ½ Σ_j tr(∂²g/∂φ_j² Σ_j).

Terms that fall with the number of items are left out. Source: the second-order expansion of an
M-estimator in its nuisance parameters, as in Carroll, Ruppert, Stefanski & Crainiceanu (2006),
*Measurement Error in Nonlinear Models*, ch. 5; written out here for the linking criteria.
"""

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
from calibration_pipeline.irt.linking_errors import Stationarity
from calibration_pipeline.irt.linking_methods import weight_shares, weighted_sd
from calibration_pipeline.irt.model import FloatArray

LARGEST_VARIANCE = 0.25
"""Of log a and of a·b, as far as an item's counts: an expansion to second order overstates what
larger errors do to curves, which can't become flatter than flat."""


def attenuation(
    method: LinkingMethod,
    items: tuple[FloatArray, FloatArray],
    covariances: tuple[FloatArray, FloatArray],
    constants: LinkingConstants,
    settings: CurveSettings = FORWARD,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> FloatArray:
    """Bias of (slope, intercept), to be taken off the constants, ``(2,)``.

    Parameters
    ----------
    method, settings, slope_is_free, item_weights
        As they went to `estimate_constants`.
    items, covariances
        ``(n_common, 3)`` the new and the reference items, and ``(n_common, 3, 3)`` of their φ.
    constants
        What `estimate_constants` gave back.
    """
    new, reference = (_saturated(side, own) for side, own in zip(items, covariances, strict=True))
    covariances = new, reference
    if method in ("mean-mean", "mean-sigma"):
        shares = weight_shares(item_weights, len(items[0]))
        return _of_moments(method, items, covariances, constants, shares, slope_is_free)
    sums_items = method == "stocking-lord"
    by_constants, pull = np.zeros((2, 2)), np.zeros(2)
    for side in comparisons(*items, settings, curve_weights(method, item_weights)):
        moved, still = covariances[::-1] if side.is_back else covariances
        by_constants += Stationarity.of(side, constants, sums_items).by_constants
        pull += _pull(side, constants, moved, still, sums_items)
    if not slope_is_free:
        return np.array([0.0, -pull[1] / by_constants[1, 1]])
    return np.asarray(-np.linalg.solve(by_constants, pull))


def _saturated(items: FloatArray, covariance: FloatArray) -> FloatArray:
    """Covariances scaled down where a variance goes beyond `LARGEST_VARIANCE`."""
    of_slope, of_place = covariance[:, 0, 0], items[:, 0] ** 2 * covariance[:, 1, 1]
    largest = np.maximum(np.maximum(of_slope, of_place), LARGEST_VARIANCE)
    return np.asarray(covariance * (LARGEST_VARIANCE / largest)[:, None, None])


def _of_moments(
    method: LinkingMethod,
    items: tuple[FloatArray, FloatArray],
    covariances: tuple[FloatArray, FloatArray],
    constants: LinkingConstants,
    shares: FloatArray,
    slope_is_free: bool,
) -> FloatArray:
    """Errors raise a mean of a by ½ mean(a·var log a), a variance of b by its mean variance."""
    if not slope_is_free:
        return np.zeros(2)
    if method == "mean-mean":
        new, reference = (
            0.5 * float(shares @ (side[:, 0] * own[:, 0, 0]) / (shares @ side[:, 0]))
            for side, own in zip(items, covariances, strict=True)
        )
    else:
        reference, new = (
            0.5 * float(shares @ own[:, 1, 1]) / weighted_sd(side[:, 1], shares) ** 2
            for side, own in zip(items, covariances, strict=True)
        )
    slope = constants.slope * (new - reference)
    return np.array([slope, -slope * float(shares @ items[0][:, 1])])


def _pull(
    side: Comparison,
    x: LinkingConstants,
    moved_covariance: FloatArray,
    still_covariance: FloatArray,
    sums_items: bool,
) -> FloatArray:
    """½ Σ_j tr(∂²g/∂φ_j² Σ_j) on one scale, ``(2,)``.

    With r the differences and t their derivatives by x, that is E[δr]·t + Cov(r, t): the term with
    r·E[δt] is of higher order, since r is nearly 0 itself.
    """
    moved, stretch = side.move(x), side.stretch(x)
    gradient, curvature = side.gradients_by(moved), side.curvatures_by(moved)
    spread = moved_covariance * stretch[:, :, None] * stretch[:, None, :]
    raised = 0.5 * np.einsum("jkmq,jkm->jq", curvature, spread)
    raised -= 0.5 * np.einsum("jkmq,jkm->jq", side.curvatures_by(side.still), still_covariance)
    t = side.gradients(x)
    if sums_items:
        t = np.broadcast_to(t.sum(axis=0), t.shape)
    _, mixed = side.second_movements(x)
    by_own = np.einsum("jmx,jmkq,jk->jxkq", side.movement(x), curvature, stretch)
    by_own += np.einsum("jmxk,jmq->jxkq", mixed, gradient)
    shared = np.einsum("jmq,jm,jmk,jxkq->jxq", gradient, stretch, moved_covariance, by_own)
    return np.asarray(np.einsum("q,jxq->x", side.weights, raised[:, None] * t + shared))
