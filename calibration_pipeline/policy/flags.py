"""Flags: verdicts on items, each with its size, what it is compared with, and its credibility.

At 1000 answers more than half of all stable 3PL items miss the truth by 0.15, so that a raw
threshold is noise: every flag says how many standard errors it is. What follows from a flag over
the nights is in `calibration_pipeline.policy.flag_episodes`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.anchor_errors import given_guessing, reference_covariances
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import differential_flags
from calibration_pipeline.policy.flag_bounds import bound_flags
from calibration_pipeline.policy.flag_changes import change_flags
from calibration_pipeline.policy.flag_reasons import (
    ANCHOR_DRIFT,
    LOW_DISCRIMINATION,
    MISFIT,
    is_eligible,
)
from calibration_pipeline.records import AnchorSet, CalibrationState, Flag

__all__ = ["ANCHOR_DRIFT", "raise_flags"]


def raise_flags(
    state: CalibrationState,
    earlier: CalibrationState | None,
    configuration: CalibrationConfiguration,
    *,
    reference: CalibrationState | None = None,
    anchors: AnchorSet | None = None,
    suspected_leaks: Sequence[Flag] = (),
) -> tuple[Flag, ...]:
    """Every threshold that tonight's fit crosses, in item order.

    Parameters
    ----------
    state
        Tonight's accepted state.
    earlier
        The accepted state it started from; None on the first night.
    configuration
        Thresholds, and the z from which a flag is credible.
    reference
        The newest accepted state that is at least a window old; None while there is none.
    anchors
        The set that the state was computed with, whose references may have errors; None: they are
        taken as known.
    suspected_leaks
        Verdicts of the leak detector, as flags of reason `flag_reasons.SUSPECTED_LEAK`.
    """
    flags = [
        *_low_discrimination(state, configuration),
        *_misfits(state, configuration),
        *_anchor_drifts(state, anchors, configuration),
        *bound_flags(state, configuration),
        *differential_flags(state.differences, configuration),
        *change_flags(state, earlier, reference, configuration),
        *suspected_leaks,
    ]
    return tuple(sorted(flags, key=lambda flag: (flag.key, flag.reason)))


def _low_discrimination(
    state: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """Judged on the logarithm, whose posterior is the closest to normal."""
    floor = configuration.discrimination_floor
    log_a, variance = to_internal(state.parameters)[:, 0], state.covariance[:, 0, 0]
    estimated = is_eligible(state, configuration) & (variance > 0)
    for j in np.flatnonzero(estimated & (state.parameters[:, 0] < floor)):
        value = float(state.parameters[j, 0])
        z = float((np.log(floor) - log_a[j]) / np.sqrt(variance[j]))
        yield Flag(
            state.keys[j], LOW_DISCRIMINATION, value, floor, floor, z,
            z >= configuration.credible_z,
            f"discrimination {value:.2f} is below {floor}: consider retiring the item",
            "the lowest discrimination that still measures",
        )  # fmt: skip


def _misfits(state: CalibrationState, configuration: CalibrationConfiguration) -> Iterator[Flag]:
    low, high = configuration.misfit_low, configuration.misfit_high
    judged = state.window_counts >= configuration.minimum_responses
    statistics = [
        ("infit", state.infit, state.infit_se),
        ("outfit", state.outfit, state.outfit_se),
    ]
    for name, values, errors in statistics:
        outside = judged & np.isfinite(values) & ((values < low) | (values > high))
        for j in np.flatnonzero(outside):
            value, threshold = float(values[j]), high if values[j] > high else low
            z = (value - 1.0) / max(float(errors[j]), 1e-6)
            yield Flag(
                state.keys[j], f"{MISFIT}_{name}", value, 1.0, threshold, z,
                abs(z) >= configuration.credible_z,
                f"{name} mean square {value:.2f} is outside {low} to {high}: "
                + ("answers are less predictable than the model says" if value > high
                   else "answers are more predictable than the model says"),
                "what the model expects",
            )  # fmt: skip


def _anchor_drifts(
    state: CalibrationState, anchors: AnchorSet | None, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """Shadow refits against references, either of which has errors.

    The refit stands at the reference's guessing, and so do the reference's errors.
    """
    variance = state.covariance[:, 1, 1]
    if anchors is not None:
        variance = variance + given_guessing(reference_covariances(state, anchors))[:, 1, 1]
    limit = configuration.difficulty_drift
    judged = state.is_anchor & (state.window_counts >= configuration.minimum_anchor_responses)
    shift = state.shadow_parameters[:, 1] - state.parameters[:, 1]
    for j in np.flatnonzero(judged & (np.abs(shift) > limit)):
        z = float(shift[j] / np.sqrt(max(variance[j], 1e-12)))
        yield Flag(
            state.keys[j], ANCHOR_DRIFT, float(state.shadow_parameters[j, 1]),
            float(state.parameters[j, 1]), limit, z, abs(z) >= configuration.credible_z,
            f"tonight's window puts this anchor {shift[j]:+.2f} from its reference difficulty",
            f"its reference value in anchor set {state.anchor_set_id}",
        )  # fmt: skip
