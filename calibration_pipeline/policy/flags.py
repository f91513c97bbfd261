"""Flags: verdicts on items, each with its size, what it is compared with, and its credibility.

At 1000 answers more than half of all stable 3PL items miss the truth by 0.15, so that a raw
threshold is noise: every flag says how many standard errors it is.
"""

from collections.abc import Iterator

import numpy as np

from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import differential_flags
from calibration_pipeline.policy.movement import Movement, credible_movement
from calibration_pipeline.records import CalibrationState, Flag

DIFFICULTY_DRIFT = "difficulty_drift"
CARRIED_CONTRADICTED = "carried_contradicted"
GUESSING_RISE = "guessing_rise"
LOW_DISCRIMINATION = "low_discrimination"
MISFIT = "misfit"
ANCHOR_DRIFT = "anchor_drift"


def raise_flags(
    state: CalibrationState,
    earlier: CalibrationState | None,
    configuration: CalibrationConfiguration,
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
    """
    flags = [
        *_low_discrimination(state, configuration),
        *_misfits(state, configuration),
        *_anchor_drifts(state, configuration),
        *_contradictions(state, configuration),
        *differential_flags(state.differences, configuration),
    ]
    if earlier is not None:
        movement = credible_movement(state, earlier)
        flags += _difficulty_drifts(state, movement, configuration)
        flags += _guessing_rises(state, earlier, movement, configuration)
    return tuple(sorted(flags, key=lambda flag: (flag.key, flag.reason)))


def _eligible(state: CalibrationState, configuration: CalibrationConfiguration) -> np.ndarray:
    return state.is_updated & (state.window_counts >= configuration.minimum_responses)


def _low_discrimination(
    state: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    floor = configuration.discrimination_floor
    errors = standard_errors(state.parameters, state.covariance)[:, 0]
    estimated = _eligible(state, configuration) & (errors > 0)
    for j in np.flatnonzero(estimated & (state.parameters[:, 0] < floor)):
        value = float(state.parameters[j, 0])
        z = (floor - value) / float(errors[j])
        yield Flag(
            state.keys[j], LOW_DISCRIMINATION, value, floor, floor, z,
            z >= configuration.credible_z,
            f"discrimination {value:.2f} is below {floor}: consider retiring the item",
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
            )  # fmt: skip


def _anchor_drifts(
    state: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    limit = configuration.difficulty_drift
    judged = state.is_anchor & (state.window_counts >= configuration.minimum_anchor_responses)
    shift = state.shadow_parameters[:, 1] - state.parameters[:, 1]
    for j in np.flatnonzero(judged & (np.abs(shift) > limit)):
        z = float(shift[j] / np.sqrt(max(state.covariance[j, 1, 1], 1e-12)))
        yield Flag(
            state.keys[j], ANCHOR_DRIFT, float(state.shadow_parameters[j, 1]),
            float(state.parameters[j, 1]), limit, z, abs(z) >= configuration.credible_z,
            f"tonight's answers put this anchor {shift[j]:+.2f} from its reference difficulty",
        )  # fmt: skip


def _contradictions(
    state: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """Drift from all that was known before the window: the two share no answer."""
    for j in np.flatnonzero(state.is_contradicted):
        shift, error = float(state.carried_shift[j]), float(state.carried_shift_se[j])
        value = float(state.parameters[j, 1])
        yield Flag(
            state.keys[j], CARRIED_CONTRADICTED, value, value - shift,
            configuration.contradiction_z * error, shift / error, True,
            f"later answers make it {abs(shift):.2f} {'harder' if shift > 0 else 'easier'} than "
            "earlier ones; what it carried from before the window no longer counts",
        )  # fmt: skip


def _difficulty_drifts(
    state: CalibrationState, movement: Movement, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    limit = configuration.difficulty_drift
    judged = movement.is_comparable & _eligible(state, configuration)
    for j in np.flatnonzero(judged & (np.abs(movement.change) > limit)):
        change, z = float(movement.change[j]), float(movement.z[j])
        value = float(state.parameters[j, 1])
        yield Flag(
            state.keys[j], DIFFICULTY_DRIFT, value, value - change, limit, z,
            abs(z) >= configuration.credible_z,
            f"difficulty moved by {change:+.2f} since the last accepted night",
        )  # fmt: skip


def _guessing_rises(
    state: CalibrationState,
    earlier: CalibrationState,
    movement: Movement,
    configuration: CalibrationConfiguration,
) -> Iterator[Flag]:
    limit = configuration.guessing_rise
    judged = movement.is_comparable & _eligible(state, configuration)
    before = np.maximum(movement.earlier, 0)
    value, reference = state.parameters[:, 2], earlier.parameters[before, 2]
    variance = movement.change_variance[:, 2]
    slope = value * (1.0 - value)
    for j in np.flatnonzero(judged & (value - reference > limit)):
        error = float(slope[j] * np.sqrt(max(variance[j], 1e-6)))
        z = float(value[j] - reference[j]) / error
        yield Flag(
            state.keys[j], GUESSING_RISE, float(value[j]), float(reference[j]), limit, z,
            z >= configuration.credible_z,
            f"guessing rose by {value[j] - reference[j]:.2f}: review the wording of the options",
        )  # fmt: skip
