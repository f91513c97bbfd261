"""Linking constants with their errors, and what remains between the common items after it."""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from calibration_pipeline.irt.configuration import LinkingMethod
from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.linking_bias import attenuation
from calibration_pipeline.irt.linking_curves import FORWARD, CurveSettings
from calibration_pipeline.irt.linking_errors import LinkingInfluence, linking_influence
from calibration_pipeline.irt.linking_methods import estimate_constants
from calibration_pipeline.irt.model import BoolArray, FloatArray

SMALLEST_VARIANCE = 1e-12
"""Of a difference; items known exactly would otherwise be judged by rounding."""


class _Chosen(TypedDict):
    """What estimates, their influence and their bias are asked alike."""

    slope_is_free: bool
    item_weights: FloatArray | None


@dataclass(frozen=True)
class CommonItems:
    """Items that two scales have in common, with their errors, as `estimate_constants` has them.

    Attributes
    ----------
    new, reference
        ``(n_common, 3)`` discrimination, difficulty, guessing on either scale.
    new_covariance, reference_covariance
        ``(n_common, 3, 3)`` of φ; 0 for what is known exactly.
    method, settings, slope_is_free
        How they are linked.
    corrects_attenuation
        Whether the bias that the items' errors cause is taken off (`linking_bias.py`).
    weighs_by_precision
        Whether an item counts as much as its difficulty is known, or all items count alike.
    """

    new: FloatArray
    reference: FloatArray
    new_covariance: FloatArray
    reference_covariance: FloatArray
    method: LinkingMethod = "stocking-lord"
    settings: CurveSettings = FORWARD
    slope_is_free: bool = True
    corrects_attenuation: bool = False
    weighs_by_precision: bool = False

    @property
    def weights(self) -> FloatArray | None:
        """Precisions of the differences in difficulty, relative to their mean, ``(n_common,)``.

        None where all items count alike.
        """
        if not self.weighs_by_precision:
            return None
        variance = self.new_covariance[:, 1, 1] + self.reference_covariance[:, 1, 1]
        precision = 1.0 / np.maximum(variance, SMALLEST_VARIANCE)
        return np.asarray(precision / precision.mean())


@dataclass(frozen=True)
class Differences:
    """What remains between linked items and their references, ``(n_common,)`` each.

    Attributes
    ----------
    difficulty, difficulty_se
        Linked minus reference, positive where the item has become harder.
    log_discrimination, log_discrimination_se
        The same for log a; zeros where the slope isn't free.
    """

    difficulty: FloatArray
    difficulty_se: FloatArray
    log_discrimination: FloatArray
    log_discrimination_se: FloatArray

    @property
    def difficulty_z(self) -> FloatArray:
        """In standard errors."""
        return self.difficulty / self.difficulty_se

    @property
    def discrimination_z(self) -> FloatArray:
        """In standard errors."""
        return self.log_discrimination / self.log_discrimination_se

    @property
    def distance(self) -> FloatArray:
        """The larger of the two |z|."""
        return np.maximum(np.abs(self.difficulty_z), np.abs(self.discrimination_z))


@dataclass(frozen=True)
class EstimatedLink:
    """Linking constants with their errors, and what the common items say about them.

    Attributes
    ----------
    constants
        The constants.
    covariance
        ``(2, 2)`` of (slope, intercept).
    influence
        Derivatives of the constants by every common item's φ; 0 for those left out.
    is_kept
        ``(n_common,)`` items that the constants were estimated from.
    differences
        Of all common items, at these constants.
    rounds
        Estimates that it took.
    is_settled
        False where so many had drifted that the nearest were kept to make up the minimum.
    """

    constants: LinkingConstants
    covariance: FloatArray
    influence: LinkingInfluence
    is_kept: BoolArray
    differences: Differences
    rounds: int
    is_settled: bool

    @property
    def standard_errors(self) -> FloatArray:
        """Of slope and intercept, ``(2,)``."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))


def link_plainly(items: CommonItems) -> EstimatedLink:
    """Link by all common items.

    Raises
    ------
    ValueError
        If the items can't tell the constants.
    """
    return estimate_link(items, np.ones(len(items.new), bool))


def estimate_link(items: CommonItems, keep: BoolArray, rounds: int = 1) -> EstimatedLink:
    """Link by some of the common items, and state what remains for all of them.

    Parameters
    ----------
    items
        The common items.
    keep
        ``(n_common,)`` those to link by.
    rounds
        Estimates made so far, this one included.

    Raises
    ------
    ValueError
        If the items can't tell the constants.
    """
    new, reference = items.new[keep], items.reference[keep]
    weights = None if items.weights is None else items.weights[keep]
    chosen: _Chosen = {"slope_is_free": items.slope_is_free, "item_weights": weights}
    constants = estimate_constants(items.method, new, reference, items.settings, **chosen)
    of_kept = linking_influence(items.method, new, reference, constants, items.settings, **chosen)
    errors = items.new_covariance[keep], items.reference_covariance[keep]
    covariance = of_kept.covariance(*errors)
    if items.corrects_attenuation:
        bias = attenuation(
            items.method, (new, reference), errors, constants, items.settings, **chosen
        )
        constants = LinkingConstants(
            constants.slope - float(bias[0]), constants.intercept - float(bias[1])
        )
    influence = LinkingInfluence(*np.zeros((2, len(keep), 2, 3)))
    influence.new[keep], influence.reference[keep] = of_kept.new, of_kept.reference
    differences = remaining_differences(items, constants, influence, covariance)
    return EstimatedLink(
        constants, covariance, influence, keep, differences, rounds, is_settled=True
    )


def remaining_differences(
    items: CommonItems,
    constants: LinkingConstants,
    influence: LinkingInfluence,
    covariance: FloatArray,
) -> Differences:
    """What remains of the items' differences once the constants are applied.

    Parameters
    ----------
    items
        The common items.
    constants, influence, covariance
        What was estimated from them, as in `EstimatedLink`.
    """
    slope, b, n = constants.slope, items.new[:, 1], len(items.new)
    difficulty = slope * b + constants.intercept - items.reference[:, 1]
    by_constants = np.column_stack([b, np.ones(n)])
    difficulty_se = _errors(items, influence, covariance, by_constants, 1, slope)
    if not items.slope_is_free:
        return Differences(difficulty, difficulty_se, np.zeros(n), np.ones(n))
    log_discrimination = np.log(items.new[:, 0] / (slope * items.reference[:, 0]))
    by_constants = np.tile([-1.0 / slope, 0.0], (n, 1))
    return Differences(
        difficulty,
        difficulty_se,
        log_discrimination,
        _errors(items, influence, covariance, by_constants, 0, 1.0),
    )


def _errors(
    items: CommonItems,
    influence: LinkingInfluence,
    covariance: FloatArray,
    by_constants: FloatArray,
    coordinate: int,
    stretch: float,
) -> FloatArray:
    """Standard errors of stretch · φ_new + (by_constants · x) − φ_reference in one coordinate.

    An item that the constants were estimated from hangs together with them.
    """
    of_new = items.new_covariance[:, :, coordinate]
    of_reference = items.reference_covariance[:, :, coordinate]
    variance = stretch**2 * of_new[:, coordinate] + of_reference[:, coordinate]
    variance = variance + np.einsum("jx,xy,jy->j", by_constants, covariance, by_constants)
    for sign, by_item, own in (
        (stretch, influence.new, of_new), (-1.0, influence.reference, of_reference)
    ):  # fmt: skip
        variance += 2.0 * sign * np.einsum("jx,jxk,jk->j", by_constants, by_item, own)
    return np.asarray(np.sqrt(np.maximum(variance, SMALLEST_VARIANCE)))
