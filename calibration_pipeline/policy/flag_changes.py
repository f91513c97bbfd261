"""Flags of items that are not what they were: against last night, and against a window ago.

Last night's window shares all but a day with tonight's, so that the variance of the change is that
which the new answers bring (`policy.movement`). The reference of a window ago shares no answer with
tonight's (`policy.flag_reference`); it sees what comes on slowly, one night being as good as
the next.

Nights under different anchor sets aren't compared. Another set restates the scale, and what items
seem to have moved by then is no drift.

Every item is compared every night. What is credible is therefore set by the number of false alarms
that a pool can afford (`drift_credible_z`), not by the confidence in a single comparison.
"""

from collections.abc import Iterator

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import (
    CARRIED_CONTRADICTED,
    DIFFICULTY_DRIFT,
    GUESSING_RISE,
    REFERENCE_DRIFT,
    is_eligible,
)
from calibration_pipeline.policy.flag_reference import (
    LOGIT_GUESSING,
    has_same_anchors,
    shift_from_reference,
)
from calibration_pipeline.policy.movement import credible_movement
from calibration_pipeline.records import CalibrationState, Flag

LAST_NIGHT = "the last accepted night, under the same anchors"
WINDOW_AGO = "all answers before the window, under the same anchors"
LEAST_NEW_ANSWERS = 25
"""Since last night, for what they did to an item to be credible."""


def change_flags(
    state: CalibrationState,
    earlier: CalibrationState | None,
    reference: CalibrationState | None,
    configuration: CalibrationConfiguration,
) -> Iterator[Flag]:
    """Compare tonight's items with what is known of their past.

    Parameters
    ----------
    state
        Tonight's accepted state.
    earlier
        The accepted state it started from; None on the first night.
    reference
        The newest accepted state that is at least a window old; None while there is none.
    configuration
        Thresholds, and the z from which a change is credible.
    """
    yield from _contradictions(state, configuration)
    if earlier is not None and has_same_anchors(state, earlier):
        yield from _difficulty_drifts(state, earlier, configuration)
    if reference is not None:
        yield from _reference_drifts(state, reference, configuration)
        yield from _guessing_rises(state, reference, configuration)


def _contradictions(
    state: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """What an item carried was dropped: the two samples share no answer.

    To drop it falsely costs some precision, to call a reviewer falsely costs a reviewer: for that
    the evidence has to be as strong as for other drifts.
    """
    for j in np.flatnonzero(state.is_contradicted):
        shift, error = float(state.carried_shift[j]), float(state.carried_shift_se[j])
        value = float(state.parameters[j, 1])
        yield Flag(
            state.keys[j], CARRIED_CONTRADICTED, value, value - shift,
            configuration.contradiction_z * error, shift / error,
            abs(shift / error) >= configuration.flags.drift_credible_z,
            f"later answers make it {abs(shift):.2f} {'harder' if shift > 0 else 'easier'} than "
            "earlier ones; what it carried from before the window no longer counts",
            "what it carried, and the older half of the window", state.folded_through,
        )  # fmt: skip


def _difficulty_drifts(
    state: CalibrationState, earlier: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """Credible only where enough answers are new.

    A handful of surprising answers isn't normally distributed: with two to nine new answers stable
    items were beyond z = 3.5 six times as often as they should.
    """
    limit, movement = configuration.difficulty_drift, credible_movement(state, earlier)
    before = np.maximum(movement.earlier, 0)
    is_enough = state.total_counts - earlier.total_counts[before] >= LEAST_NEW_ANSWERS
    judged = movement.is_comparable & is_eligible(state, configuration)
    for j in np.flatnonzero(judged & (np.abs(movement.change) > limit)):
        change, z = float(movement.change[j]), float(movement.z[j])
        value = float(state.parameters[j, 1])
        yield Flag(
            state.keys[j], DIFFICULTY_DRIFT, value, value - change, limit, z,
            bool(is_enough[j]) and abs(z) >= configuration.flags.drift_credible_z,
            f"difficulty moved by {change:+.2f} since the last accepted night",
            LAST_NIGHT, earlier.partition,
        )  # fmt: skip


def _reference_drifts(
    state: CalibrationState, reference: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    limit = configuration.difficulty_drift
    found = shift_from_reference(state, reference)
    judged = found.is_compared & is_eligible(state, configuration)
    for j in np.flatnonzero(judged & (np.abs(found.shift) > limit)):
        shift, z = float(found.shift[j]), float(found.z[j])
        before = float(reference.parameters[found.positions[j], 1])
        yield Flag(
            state.keys[j], REFERENCE_DRIFT, before + shift, before, limit, z,
            abs(z) >= configuration.flags.drift_credible_z,
            f"the window's answers make it {abs(shift):.2f} "
            f"{'harder' if shift > 0 else 'easier'} than all answers up to {reference.partition}",
            WINDOW_AGO, reference.partition,
        )  # fmt: skip


def _guessing_rises(
    state: CalibrationState, reference: CalibrationState, configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """Both must have risen: the published value, and what the answers say of the change.

    Last night isn't compared with. A day's answers say so little of c that the change they bring
    isn't normal: 2% of stable items were beyond z = 3, which a window's answers put right.
    """
    found = shift_from_reference(state, reference, LOGIT_GUESSING)
    before = reference.parameters[np.maximum(found.positions, 0), 2]
    rise = state.parameters[:, 2] - before
    rose = found.is_compared & is_eligible(state, configuration) & (found.shift > 0)
    for j in np.flatnonzero(rose & (rise > configuration.guessing_rise)):
        z = float(found.z[j])
        yield Flag(
            state.keys[j], GUESSING_RISE, float(state.parameters[j, 2]), float(before[j]),
            configuration.guessing_rise, z, z >= configuration.flags.drift_credible_z,
            f"guessing rose by {rise[j]:.2f} since {reference.partition}: review the wording of "
            "the options",
            WINDOW_AGO, reference.partition,
        )  # fmt: skip
