"""How free items and anchors stand to each other, compared with what their authors expected.

Anchors that all become easier by the same amount look like candidates who have become abler: the
fit follows, and no comparison among anchors shows anything. But then all free items look harder. So
their residuals, estimate less author's difficulty, are compared with those of the anchors' shadow
refits, and the contrast with what it was on an earlier night. The scale of the night cancels, and
so does a population that changes. Of an item that was there on both nights the author's error
cancels as well. Items that are new since then are held against the mean residual of those before
them.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import (
    BoolArray,
    CalibrationState,
    FloatArray,
    IntArray,
    ItemBank,
)

FEWEST_ITEMS = 5
"""On either side: means of fewer say more about these items than about the scale."""


@dataclass(frozen=True)
class ResidualShift:
    """By how much free items have become harder compared with anchors, and its standard error."""

    shift: float
    standard_error: float


NOTHING = ResidualShift(np.nan, np.nan)


def residual_shift(
    state: CalibrationState,
    baseline: CalibrationState,
    bank: ItemBank,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
) -> ResidualShift:
    """Compare one scale's residuals tonight with those of an earlier night under the same anchors.

    The answers that two overlapping windows share make the standard error too large, never too
    small; errors of the scale are common to both sides and cancel.

    Parameters
    ----------
    state, baseline
        Tonight's, and the earlier one.
    bank
        The pool, for what authors expected.
    in_scale
        ``(n_items,)`` items of the scale.
    configuration
        The answers that items need to be judged.
    """
    lookup = {key: position for position, key in enumerate(baseline.keys)}
    before = np.array([lookup.get(key, -1) for key in state.keys], np.int64)
    place = bank.positions(baseline.keys)
    was_in_scale = (place >= 0) & in_scale[place]
    free, held = (
        _mean_change(
            state,
            baseline,
            before,
            bank,
            part(state, configuration) & in_scale,
            part(baseline, configuration) & was_in_scale,
        )
        for part in (_free, _held)
    )
    return ResidualShift(
        free.shift - held.shift, float(np.hypot(free.standard_error, held.standard_error))
    )


def _free(state: CalibrationState, configuration: CalibrationConfiguration) -> BoolArray:
    enough = state.window_counts >= configuration.minimum_responses
    return np.asarray(state.is_updated & enough & (state.covariance[:, 1, 1] > 0))


def _held(state: CalibrationState, configuration: CalibrationConfiguration) -> BoolArray:
    enough = state.window_counts >= configuration.minimum_anchor_responses
    return np.asarray(state.is_anchor & enough & (state.covariance[:, 1, 1] > 0))


def _mean_change(
    state: CalibrationState,
    baseline: CalibrationState,
    before: IntArray,
    bank: ItemBank,
    chosen: BoolArray,
    had: BoolArray,
) -> ResidualShift:
    """Weighted mean change of the chosen items' residuals, `had` being their like at the baseline.

    `shadow_parameters` are the refits of anchors and the estimates of other items.
    """
    paired = np.flatnonzero(chosen & (before >= 0) & had[before])
    place = before[paired]
    change = state.shadow_parameters[paired, 1] - baseline.shadow_parameters[place, 1]
    variance = state.covariance[paired, 1, 1] + baseline.covariance[place, 1, 1]
    new = np.setdiff1d(np.flatnonzero(chosen & np.isfinite(bank.author_difficulty)), paired)
    usual = _residuals(baseline, np.flatnonzero(had), bank)
    if len(new) and len(usual) >= FEWEST_ITEMS:
        residual = state.shadow_parameters[new, 1] - bank.author_difficulty[new]
        change = np.append(change, residual - usual.mean())
        spread = float(usual.var(ddof=1))
        variance = np.append(variance, state.covariance[new, 1, 1] + spread)
    if len(change) < FEWEST_ITEMS:
        return NOTHING
    weight = 1.0 / variance
    return ResidualShift(float(weight @ change / weight.sum()), float(1.0 / np.sqrt(weight.sum())))


def _residuals(state: CalibrationState, rows: IntArray, bank: ItemBank) -> FloatArray:
    """Estimates less authors' difficulties, of the items that have one."""
    place = bank.positions([state.keys[j] for j in rows])
    residual = state.shadow_parameters[rows, 1] - bank.author_difficulty[place]
    return np.asarray(residual[np.isfinite(residual)])
