"""The verdict on a night's fit: accepted, or rejected with every reason."""

from dataclasses import replace
from datetime import date

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import with_digest
from calibration_pipeline.policy.flag_reference import has_same_anchors
from calibration_pipeline.policy.movement import credible_movement
from calibration_pipeline.policy.quarantine_reasons import bad_rows, worst_reason
from calibration_pipeline.records import (
    CalibrationState,
    DayRevision,
    IntArray,
    NightAcceptance,
    ScaleState,
)

FEWEST_CONTRADICTED = 5
"""Fewer items than this may well have changed on the same day, however small their scale."""


def judge_fit(
    state: CalibrationState,
    parent: CalibrationState | None,
    scale_index: IntArray,
    configuration: CalibrationConfiguration,
) -> CalibrationState:
    """Give the state back with its verdict. Unknown counts against.

    Parameters
    ----------
    state, parent
        Tonight's, and the one that it started from.
    scale_index
        ``(n_items,)`` place of each item's scale in `state.scales`.
    configuration
        Bounds and shares.
    """
    reasons = [
        reason for scale in state.scales if scale.fitted for reason in _judge(scale, configuration)
    ]
    if not _is_finite(state):
        is_finite = np.isfinite(state.parameters).all(axis=1)
        is_finite &= np.isfinite(state.covariance).all(axis=(1, 2))
        bad = int((~is_finite).sum())
        reasons.append(f"estimates that are not finite ({bad} items)")
    elif parent is not None:
        reasons += _judge_movement(state, parent, configuration)
        reasons += _judge_contradictions(state, scale_index, configuration)
    return replace(state, is_accepted=not reasons, reasons=tuple(reasons))


def can_be_accepted(state: CalibrationState) -> bool:
    """Whether a person may accept a rejected state: it has a fit, and all of it is finite.

    A night that was blocked before its fit has nothing to accept, and numbers that are none would
    be the prior of every later night.
    """
    return not state.is_accepted and any(s.fitted for s in state.scales) and _is_finite(state)


def nothing_to_accept(night: date, state: CalibrationState | None) -> str:
    """Say why a night's newest try can't be accepted, and what to do; an empty string if it can."""
    command = f"`calibrate night --date {night}`"
    if state is None:
        return f"{night} has no fit to accept: run {command} first"
    if state.is_accepted:
        return f"the newest fit of {night} was accepted, there is nothing to decide: run {command}"
    if can_be_accepted(state):
        return ""
    why = "; ".join(state.reasons)
    if any(scale.fitted for scale in state.scales):
        return f"{night} can't be accepted ({why}): mend the answers or the bank and run {command}"
    return (
        f"{night} was stopped before its fit, so there is nothing to accept ({why}); to let the "
        "day's good sessions count as they are, raise CALIBRATION_POLICY__MAXIMUM_QUARANTINED_SHARE"
    )


def accepted_in_spite(
    state: CalibrationState, acceptance: NightAcceptance | None
) -> CalibrationState:
    """Accept a rejected state if a person has decided so for exactly this result.

    The reasons of the rejection stay, with the decision behind them, and are part of the digest.
    A state with another digest than the one decided on is given back as it was judged.
    """
    if acceptance is None or acceptance.state_digest != state.digest or not can_be_accepted(state):
        return state
    decision = f"accepted all the same by {acceptance.decided_by}: {acceptance.reason}"
    return with_digest(replace(state, is_accepted=True, reasons=(*state.reasons, decision)))


def _is_finite(state: CalibrationState) -> bool:
    return bool(np.isfinite(state.parameters).all() and np.isfinite(state.covariance).all())


def _judge(scale: ScaleState, configuration: CalibrationConfiguration) -> list[str]:
    reasons = []
    if not scale.converged:
        reasons.append(f"scale {scale.name}: not converged after {scale.cycles} cycles")
    checks = [
        ("population mean", scale.population_mean, configuration.population_mean_range),
        ("population sd", scale.population_sd, configuration.population_sd_range),
        ("linking slope", scale.linking_slope, configuration.linking_slope_range),
        ("linking intercept", scale.linking_intercept, configuration.linking_intercept_range),
    ]
    for name, value, (low, high) in checks:
        if not low <= value <= high:
            reasons.append(f"scale {scale.name}: {name} {value:.3f} outside [{low}, {high}]")
    return reasons


def _judge_movement(
    state: CalibrationState, parent: CalibrationState, configuration: CalibrationConfiguration
) -> list[str]:
    if not has_same_anchors(state, parent):
        return []  # another set restates the scale: what moved by that is no movement of items
    movement = credible_movement(state, parent)
    judged = movement.is_comparable & (state.window_counts >= configuration.minimum_responses)
    if not judged.any():
        return []
    moved = judged & (np.abs(movement.change) > configuration.difficulty_drift)
    moved &= np.abs(movement.z) >= configuration.credible_z
    share = moved.sum() / judged.sum()
    if share <= configuration.maximum_moved_share:
        return []
    return [
        f"{moved.sum()} of {judged.sum()} difficulties moved credibly by more than "
        f"{configuration.difficulty_drift} since {parent.partition} ({share:.0%}; at most "
        f"{configuration.maximum_moved_share:.0%})"
    ]


def _judge_contradictions(
    state: CalibrationState, scale_index: IntArray, configuration: CalibrationConfiguration
) -> list[str]:
    """Items change one by one; where many seem to, the scale or the answers are another thing."""
    reasons = []
    for number, scale in enumerate(state.scales):
        in_scale = scale_index == number
        n_compared = int(np.isfinite(state.carried_shift[in_scale]).sum())
        n_changed = int(state.is_contradicted[in_scale].sum())
        share = n_changed / max(n_compared, 1)
        if n_changed >= FEWEST_CONTRADICTED and share > configuration.maximum_moved_share:
            reasons.append(
                f"scale {scale.name}: the window contradicts what {n_changed} of {n_compared} "
                f"items carry ({share:.0%}; at most {configuration.maximum_moved_share:.0%}): look "
                "at the source and at the anchors before you raise maximum_moved_share"
            )
    return reasons


def too_many_bad_rows(revision: DayRevision, configuration: CalibrationConfiguration) -> str:
    """Why a day's answers can't be used, or an empty string."""
    bad = bad_rows(revision.quarantine_counts)
    rows = revision.response_count + sum(revision.quarantine_counts.values())
    if bad <= configuration.maximum_quarantined_share * rows:
        return ""
    reason, number = worst_reason(revision.quarantine_counts)
    return (
        f"{bad} of {rows} rows of {revision.day} were quarantined ({bad / rows:.1%}; at most "
        f"{configuration.maximum_quarantined_share:.1%}), {number} of them as {reason}: see "
        f"`calibrate quarantine --day {revision.day}`, mend the source and run the night again "
        "with --refresh"
    )
