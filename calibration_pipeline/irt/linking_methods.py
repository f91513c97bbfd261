"""Four ways to estimate linking constants from the items that two scales have in common.

Sources: Loyd & Hoover (1980), Journal of Educational Measurement 17, 179–193 (mean/mean); Marco
(1977), JEM 14, 139–160 (mean/sigma); Haebara (1980), Japanese Psychological Research 22, 144–149;
Stocking & Lord (1983), Applied Psychological Measurement 7, 201–210. Symmetric criteria: Kim &
Kolen (2007), Applied Measurement in Education 20, 167–182. Items weighted by their information:
Wang, Zhang, Lee, Huang, Li, Li & Yu (2022), JEM 59, 423–441.
"""

from collections.abc import Callable, Sequence

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
from calibration_pipeline.irt.model import FloatArray

CURVE_METHODS: tuple[LinkingMethod, ...] = ("stocking-lord", "haebara")
"""They look at curves; the other two at means and spreads of parameters."""

Combination = Callable[[FloatArray], FloatArray]
"""How the items' curves, along the first axis, become what a criterion squares."""

_TOLERANCE = 1e-13
"""Relative, of the constants and of the criterion: far below any error of theirs."""


def estimate_constants(
    method: LinkingMethod,
    new: FloatArray,
    reference: FloatArray,
    settings: CurveSettings = FORWARD,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> LinkingConstants:
    """Estimate the constants that bring the new scale to the reference.

    Parameters
    ----------
    method
        One of `configuration.LINKING_METHODS`.
    new, reference
        ``(n_common, 3)`` the same items on either scale.
    settings
        Where the characteristic-curve methods compare curves; the others have no use for it.
    slope_is_free
        False for Rasch-type items, whose scales differ in origin only.
    item_weights
        ``(n_common,)`` how much each item counts, above 0; None: all alike.

    Raises
    ------
    ValueError
        If the items can't tell the constants: there are none, or the slope is free and mean/sigma
        is given difficulties without a spread.
    """
    if len(new) == 0:
        raise ValueError("there are no common items to link by")
    if method in ("mean-mean", "mean-sigma"):
        by_moments = mean_mean if method == "mean-mean" else mean_sigma
        return by_moments(new, reference, slope_is_free=slope_is_free, item_weights=item_weights)
    by_curves = haebara if method == "haebara" else stocking_lord
    return by_curves(
        new, reference, settings, slope_is_free=slope_is_free, item_weights=item_weights
    )


def mean_mean(
    new: FloatArray,
    reference: FloatArray,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> LinkingConstants:
    """Match the means of the common items' discriminations and difficulties.

    Parameters
    ----------
    new, reference, slope_is_free, item_weights
        As in `estimate_constants`.
    """
    shares = weight_shares(item_weights, len(new))
    slope = float(shares @ new[:, 0] / (shares @ reference[:, 0])) if slope_is_free else 1.0
    return _with_mean_difficulty(slope, new, reference, shares)


def mean_sigma(
    new: FloatArray,
    reference: FloatArray,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> LinkingConstants:
    """Match mean and standard deviation of the common items' difficulties.

    Parameters
    ----------
    new, reference, slope_is_free, item_weights
        As in `estimate_constants`; a free slope takes two distinct difficulties on either scale.

    Raises
    ------
    ValueError
        If the difficulties of either scale are all the same, and the slope is free.
    """
    shares = weight_shares(item_weights, len(new))
    if not slope_is_free:
        return _with_mean_difficulty(1.0, new, reference, shares)
    if not (np.ptp(new[:, 1]) > 0.0 and np.ptp(reference[:, 1]) > 0.0):
        raise ValueError("mean/sigma needs common items of different difficulty on either scale")
    slope = weighted_sd(reference[:, 1], shares) / weighted_sd(new[:, 1], shares)
    return _with_mean_difficulty(slope, new, reference, shares)


def haebara(
    new: FloatArray,
    reference: FloatArray,
    settings: CurveSettings = FORWARD,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> LinkingConstants:
    """Match each common item's characteristic curve: minimise Σ_q w_q Σ_j v_j (ΔP_j(θ_q))².

    Parameters
    ----------
    new, reference, settings, slope_is_free, item_weights
        As in `estimate_constants`.
    """
    sides = comparisons(new, reference, settings, curve_weights("haebara", item_weights))
    start = mean_mean(new, reference, slope_is_free=slope_is_free, item_weights=item_weights)
    return _least_squares(sides, start, np.asarray, slope_is_free)


def stocking_lord(
    new: FloatArray,
    reference: FloatArray,
    settings: CurveSettings = FORWARD,
    *,
    slope_is_free: bool = True,
    item_weights: FloatArray | None = None,
) -> LinkingConstants:
    """Match the common items' test characteristic curves: minimise Σ_q w_q (Σ_j v_j ΔP_j(θ_q))².

    Parameters
    ----------
    new, reference, settings, slope_is_free, item_weights
        As in `estimate_constants`.
    """
    sides = comparisons(new, reference, settings, curve_weights("stocking-lord", item_weights))
    start = mean_mean(new, reference, slope_is_free=slope_is_free, item_weights=item_weights)
    return _least_squares(sides, start, _over_items, slope_is_free)


def _over_items(curves: FloatArray) -> FloatArray:
    """Sum curves over the items, their first axis, and keep the axis."""
    return np.asarray(curves.sum(axis=0, keepdims=True))


def weight_shares(item_weights: FloatArray | None, n: int) -> FloatArray:
    """Weights that sum to 1, ``(n,)``; all alike where there are none."""
    return np.full(n, 1.0 / n) if item_weights is None else item_weights / item_weights.sum()


def weighted_sd(values: FloatArray, shares: FloatArray) -> float:
    """Root of the weighted mean square around the weighted mean."""
    return float(np.sqrt(shares @ (values - shares @ values) ** 2))


def _with_mean_difficulty(
    slope: float, new: FloatArray, reference: FloatArray, shares: FloatArray
) -> LinkingConstants:
    return LinkingConstants(slope, float(shares @ reference[:, 1] - slope * (shares @ new[:, 1])))


def _least_squares(
    sides: Sequence[Comparison],
    start: LinkingConstants,
    combine: Combination,
    slope_is_free: bool,
) -> LinkingConstants:
    """Minimise the weighted squares of the combined curve differences over (log A, B), or B."""

    def constants_of(free: FloatArray) -> LinkingConstants:
        return LinkingConstants(float(np.exp(free[0])) if slope_is_free else 1.0, float(free[-1]))

    def residuals(free: FloatArray) -> FloatArray:
        return _stacked(sides, combine, constants_of(free))

    def jacobian(free: FloatArray) -> FloatArray:
        constants = constants_of(free)
        by_constants = _stacked_gradients(sides, combine, constants)
        by_constants[:, 0] *= constants.slope
        return by_constants if slope_is_free else by_constants[:, 1:]

    first = np.array([np.log(start.slope), start.intercept] if slope_is_free else [start.intercept])
    from scipy.optimize import least_squares  # a third of a second that most commands don't need

    found = least_squares(
        residuals, first, jacobian, xtol=_TOLERANCE, ftol=_TOLERANCE, gtol=_TOLERANCE
    )
    return constants_of(found.x)


def _stacked(
    sides: Sequence[Comparison], combine: Combination, constants: LinkingConstants
) -> FloatArray:
    """Root-weighted differences of the combined curves, ``(n_residuals,)``."""
    return np.concatenate(
        [(np.sqrt(side.weights) * combine(side.differences(constants))).ravel() for side in sides]
    )


def _stacked_gradients(
    sides: Sequence[Comparison], combine: Combination, constants: LinkingConstants
) -> FloatArray:
    """Derivatives of `_stacked` by (A, B), ``(n_residuals, 2)``."""
    return np.concatenate(
        [
            (np.sqrt(side.weights) * combine(side.gradients(constants)))
            .transpose(0, 2, 1)
            .reshape(-1, 2)
            for side in sides
        ]
    )
