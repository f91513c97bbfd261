"""Linking that finds for itself which common items have drifted, and leaves them out.

1. Start: medians of the differences give rough constants, and the half of the items that agrees
   best with them gives the first proper ones. Up to half of the items may have drifted, all of
   them in the same direction, and this start still stands with the others.
2. State every item's remaining difference from its reference, in standard errors. Its variance
   has the item's error on either scale and that of the constants in it.
3. Keep the items that are nearer than the limit, those that were out before included; estimate
   the constants again; repeat until the same items are kept. Should a choice come back that was
   made before, nobody returns from there on.

Items that only look drifted are left out as well, symmetrically: that costs precision, and
`rejection_loss` puts it into the errors of the constants.
Source: Huber & Ronchetti (2009), *Robust Statistics*, ch. 4 (rejection by a limit), and Rousseeuw
& Leroy (1987), *Robust Regression and Outlier Detection*, ch. 4 (the start).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.linking_errors import LinkingInfluence
from calibration_pipeline.irt.linking_estimates import (
    CommonItems,
    Differences,
    EstimatedLink,
    estimate_link,
    remaining_differences,
)
from calibration_pipeline.irt.model import BoolArray, FloatArray

MAXIMUM_ROUNDS = 50
"""Two to six are usual."""


@dataclass(frozen=True)
class Rejection:
    """When an item is taken to have drifted.

    Attributes
    ----------
    z
        Standard errors from which its remaining difference counts as drift.
    largest_difference
        A difficulty further off is left out whatever its error, in units of θ.
    minimum_items
        At least so many are kept: the nearest ones, should more have drifted.
    """

    z: float = 2.5
    largest_difference: float = float("inf")
    minimum_items: int = 2


def link_robustly(items: CommonItems, rejection: Rejection) -> EstimatedLink:
    """Link by the common items that have not drifted.

    Parameters
    ----------
    items
        The common items; without errors on either scale every difference would look credible.
    rejection
        When an item has drifted.

    Raises
    ------
    ValueError
        If the items can't tell the constants.
    """
    keep = _consistent_half(items, rejection)
    seen: set[bytes] = set()
    may_return = True
    for rounds in range(1, MAXIMUM_ROUNDS + 1):
        link = estimate_link(items, keep, rounds)
        seen.add(keep.tobytes())
        near = _within(link.differences, rejection) & (may_return | keep)
        is_enough = bool(near.sum() >= min(rejection.minimum_items, len(near)))
        if not is_enough:
            near = _nearest(link.differences.distance, rejection.minimum_items)
        is_known = near.tobytes() in seen
        if (near == keep).all() or (is_known and not is_enough):
            break
        may_return &= not is_known
        keep = near
    loss = rejection_loss(rejection.z)
    return replace(link, covariance=link.covariance * loss, is_settled=is_enough)


def rejection_loss(z: float) -> float:
    """By how much rejecting beyond ±z raises the variance of a mean of normal differences.

    For an estimate that agrees with its own choice of items, the asymptotic variance is σ² / (n·m)
    with m = Φ(z) − Φ(−z) − 2zφ(z), against σ² / (n·(Φ(z) − Φ(−z))) for as many items chosen freely.
    """
    if not np.isfinite(z):
        return 1.0
    share = float(ndtr(z) - ndtr(-z))
    density = math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    return share / (share - 2.0 * z * density)


def _consistent_half(items: CommonItems, rejection: Rejection) -> BoolArray:
    """Items that agree best with medians: half of them, or the minimum if that is more."""
    new, reference = items.new, items.reference
    slope = 1.0
    if items.slope_is_free:
        slope = float(np.exp(np.median(np.log(new[:, 0] / reference[:, 0]))))
    intercept = float(np.median(reference[:, 1] - slope * new[:, 1]))
    nothing = np.zeros((len(new), 2, 3))
    rough = remaining_differences(
        items,
        LinkingConstants(slope, intercept),
        LinkingInfluence(nothing, nothing),
        np.zeros((2, 2)),
    )
    half = max((len(new) + 1) // 2, rejection.minimum_items)
    return _nearest(rough.distance, half)


def _within(differences: Differences, rejection: Rejection) -> BoolArray:
    near = differences.distance < rejection.z
    return near & (np.abs(differences.difficulty) <= rejection.largest_difference)


def _nearest(distance: FloatArray, count: int) -> BoolArray:
    nearest = np.zeros(len(distance), bool)
    nearest[np.argsort(distance, kind="stable")[:count]] = True
    return nearest
