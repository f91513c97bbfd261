"""How far an item moved between two nights whose windows overlap, and whether that is credible."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.records import (
    BoolArray,
    CalibrationState,
    FloatArray,
    IntArray,
)

SMALLEST_VARIANCE = 1e-4
"""Without any new answer, b still moves by a hundredth: the scale and the priors do."""


@dataclass(frozen=True)
class Movement:
    """Tonight's difficulty less the earlier night's, in tonight's item order.

    Attributes
    ----------
    change
        ``(n_items,)`` NaN where the nights aren't compared.
    z
        ``(n_items,)`` change over its standard error.
    change_variance
        ``(n_items, 3)`` of φ: what the answers that are new since then may move a stable item by.
    is_comparable
        ``(n_items,)`` estimated on both nights, and nothing dropped tonight.
    earlier
        ``(n_items,)`` position in the earlier state, −1 where it lacks the item.
    """

    change: FloatArray
    z: FloatArray
    change_variance: FloatArray
    is_comparable: BoolArray
    earlier: IntArray


def credible_movement(state: CalibrationState, earlier: CalibrationState) -> Movement:
    """Compare the difficulties of two nights.

    Tonight's answers contain almost all of last night's, so the two estimates are strongly
    correlated. For an efficient estimate on more data the variance of the change is the
    difference of the variances (Hausman 1978, Econometrica 46, lemma 2.1). The difference is
    taken at tonight's estimate, with and without the new answers: that of the two stored
    variances would be mostly the noise of having been evaluated at two estimates.

    Tonight's base prior may be another one, which moves an item without a single answer: the
    earlier estimates are restated under it.

    An item that lost what it carried isn't compared: it jumps for that reason, and has a verdict of
    its own.
    """
    lookup = {key: position for position, key in enumerate(earlier.keys)}
    positions = np.array([lookup.get(key, -1) for key in state.keys], np.int64)
    before = np.maximum(positions, 0)
    both = (positions >= 0) & ~state.is_anchor & (state.covariance[:, 1, 1] > 0)
    both &= (earlier.covariance[before, 1, 1] > 0) & _was_estimated(earlier)[before]
    new_answers = state.total_counts - earlier.total_counts[before]
    both &= ~state.is_contradicted
    # A released anchor is estimated for the first time: before, it stood where it was put.
    both &= ~earlier.is_anchor[before]
    change = np.full(len(state.keys), np.nan)
    restated = _difficulty_under_tonights_prior(state, earlier, both, before)
    change[both] = state.parameters[both, 1] - restated
    variance = np.zeros((len(state.keys), 3))
    variance[both] = _variance_of_change(state, both, new_answers[both])
    z = change / np.sqrt(np.maximum(variance[:, 1], SMALLEST_VARIANCE))
    return Movement(change, z, variance, both, positions)


def _difficulty_under_tonights_prior(
    state: CalibrationState, earlier: CalibrationState, both: BoolArray, before: IntArray
) -> FloatArray:
    """Earlier difficulties of the compared items, had tonight's prior been known then."""
    at = before[both]
    posterior, free, _ = _precision(earlier.covariance[at])
    phi = np.where(free, to_internal(earlier.parameters[at]), 0.0)
    old = np.where(free, earlier.prior_precision[at], 0.0)
    new = np.where(free, state.prior_precision[both], 0.0)
    pull = new * (state.prior_mean[both] - phi) - old * (earlier.prior_mean[at] - phi)
    precision = posterior + (new - old)[:, :, None] * np.eye(3)
    moved = np.linalg.solve(precision, np.where(free, pull, 0.0)[..., None])[..., 0]
    return np.asarray(phi[:, 1] + moved[:, 1])


def _was_estimated(state: CalibrationState) -> BoolArray:
    """Items whose values come from answers: a prior's mode is no estimate to have moved from."""
    return np.asarray(state.is_updated | (state.carried_information[:, 1, 1] > 0))


def _variance_of_change(
    state: CalibrationState, items: BoolArray, new_answers: IntArray
) -> FloatArray:
    """Variance without the new answers less that with them, ``(n_chosen, 3)``.

    The new answers' part of the window's information is their part of its answers.
    """
    covariance = state.covariance[items]
    precision, free, absent = _precision(covariance)
    carried = state.carried_information[items]
    pairs = free[:, :, None] & free[:, None, :]
    known = state.prior_precision[items][:, :, None] * np.eye(3) + carried
    window = np.where(pairs, precision - known, 0.0)
    share = np.clip(new_answers / np.maximum(state.window_counts[items], 1), 0.0, 1.0)
    without = np.linalg.inv(precision - share[:, None, None] * window)
    both = np.diagonal(without - covariance - absent, axis1=1, axis2=2)
    return np.where(free, np.maximum(both, 0.0), 0.0)


def _precision(covariance: FloatArray) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Inverse, which coordinates are free, and the ones put on the diagonal of the others."""
    free = np.diagonal(covariance, axis1=1, axis2=2) > 0
    absent = np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    return np.asarray(np.linalg.inv(covariance + absent), np.float64), free, absent
