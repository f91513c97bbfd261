"""Flags of estimates that stand at the end of their range: what is published is the range's end."""

from collections.abc import Iterator

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import ESTIMATE_AT_BOUND, is_eligible
from calibration_pipeline.records import CalibrationState, Flag, FloatArray

PARAMETERS = ("discrimination", "difficulty", "guessing")
_TOLERANCE = 1e-9
_LEAST_LEARNED = 1e-6
"""Variance about φ: of a coordinate that answers say nothing of, the prior is the estimate."""


def bound_flags(state: CalibrationState, configuration: CalibrationConfiguration) -> Iterator[Flag]:
    """One flag per item with an estimate at a bound, for the parameter that is farthest out.

    How far a parameter would lie beyond its bound is not known: the estimator stops there. z says
    how far out the bound itself lies for an item of this pool. If the item were one of those that
    its base prior describes, the posterior's mean would scatter around the prior's with the
    variance of the prior less that of the posterior; z is in units of that.

    A guessing parameter near 0 is none: it says that nobody guesses.
    """
    z = _unusual(state)
    low, high = _ranges(configuration)
    at_low = state.parameters <= low + _TOLERANCE
    at_high = state.parameters >= high - _TOLERANCE
    at_low[:, 2] = False
    estimated = np.diagonal(state.covariance, axis1=1, axis2=2) > 0
    estimated &= (is_eligible(state, configuration) & ~state.is_anchor)[:, None]
    at_bound = (at_low | at_high) & estimated
    for j in np.flatnonzero(at_bound.any(axis=1)):
        k = int(np.argmax(np.where(at_bound[j], np.abs(z[j]), -1.0)))
        bound, end = (low[k], "lower") if at_low[j, k] else (high[k], "upper")
        value, usual = float(state.parameters[j, k]), float(_usual(state)[j, k])
        yield Flag(
            state.keys[j], ESTIMATE_AT_BOUND, value, usual, float(bound), float(z[j, k]),
            abs(float(z[j, k])) >= configuration.credible_z,
            f"{PARAMETERS[k]} stands at the {end} end of its range, {bound:g}: the answers may "
            "not be those of one item with one key",
            f"the {PARAMETERS[k]} expected of an item like it",
        )  # fmt: skip


def _ranges(configuration: CalibrationConfiguration) -> tuple[FloatArray, FloatArray]:
    em = configuration.em
    ranges = np.array([em.discrimination_bounds, em.difficulty_bounds, em.guessing_bounds])
    return ranges[:, 0], ranges[:, 1]


def _unusual(state: CalibrationState) -> FloatArray:
    """How far each coordinate of φ lies from its base prior, in standard deviations, ``(n, 3)``."""
    variance = np.diagonal(state.covariance, axis1=1, axis2=2)
    learned = 1.0 / np.maximum(state.prior_precision, 1e-12) - variance
    return np.asarray(
        (to_internal(state.parameters) - state.prior_mean)
        / np.sqrt(np.maximum(learned, _LEAST_LEARNED))
    )


def _usual(state: CalibrationState) -> FloatArray:
    """Parameters at the base prior's mode, ``(n_items, 3)``."""
    a, b, c = state.prior_mean.T
    return np.column_stack([np.exp(a), b, 1.0 / (1.0 + np.exp(-c))])
