"""How far an item moved between two nights whose windows overlap, and whether that is credible."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.records import BoolArray, CalibrationState, FloatArray

SMALLEST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Movement:
    """Tonight's difficulty less the earlier night's, in tonight's item order.

    Attributes
    ----------
    change
        ``(n_items,)`` NaN where either night didn't estimate the item.
    z
        ``(n_items,)`` change over its standard error.
    is_comparable
        ``(n_items,)`` estimated on both nights.
    earlier
        ``(n_items,)`` position in the earlier state, −1 where it lacks the item.
    """

    change: FloatArray
    z: FloatArray
    is_comparable: BoolArray
    earlier: np.ndarray


def credible_movement(state: CalibrationState, earlier: CalibrationState) -> Movement:
    """Compare the difficulties of two nights.

    Tonight's answers contain almost all of last night's, so the two estimates are strongly
    correlated. For an efficient estimate on more data the variance of the change is the
    difference of the variances (Hausman 1978, Econometrica 46, lemma 2.1).
    """
    lookup = {key: position for position, key in enumerate(earlier.keys)}
    positions = np.array([lookup.get(key, -1) for key in state.keys], np.int64)
    both = (positions >= 0) & ~state.is_anchor & (state.covariance[:, 1, 1] > 0)
    before = np.maximum(positions, 0)
    both &= earlier.covariance[before, 1, 1] > 0
    change = np.where(both, state.parameters[:, 1] - earlier.parameters[before, 1], np.nan)
    variance = np.abs(earlier.covariance[before, 1, 1] - state.covariance[:, 1, 1])
    z = change / np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
    return Movement(change, z, both, positions)
