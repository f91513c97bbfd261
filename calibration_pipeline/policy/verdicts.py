"""The verdict on a night's fit: accepted, or rejected with every reason."""

from dataclasses import replace

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.movement import credible_movement
from calibration_pipeline.records import CalibrationState, DayRevision, ScaleState

HARMLESS = ("duplicate", "session_incomplete")
"""Reasons that don't make a day bad: an answer that is there once more, and good answers that go
with their session."""


def judge_fit(
    state: CalibrationState,
    parent: CalibrationState | None,
    configuration: CalibrationConfiguration,
) -> CalibrationState:
    """Give the state back with its verdict. Unknown counts against."""
    reasons = [
        reason for scale in state.scales if scale.fitted for reason in _judge(scale, configuration)
    ]
    if not (np.isfinite(state.parameters).all() and np.isfinite(state.covariance).all()):
        is_finite = np.isfinite(state.parameters).all(axis=1)
        is_finite &= np.isfinite(state.covariance).all(axis=(1, 2))
        bad = int((~is_finite).sum())
        reasons.append(f"estimates that are not finite ({bad} items)")
    elif parent is not None:
        reasons += _judge_movement(state, parent, configuration)
        reasons += _judge_contradictions(state, configuration)
    return replace(state, is_accepted=not reasons, reasons=tuple(reasons))


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
        f"{configuration.difficulty_drift} in one night ({share:.0%}; at most "
        f"{configuration.maximum_moved_share:.0%})"
    ]


def _judge_contradictions(
    state: CalibrationState, configuration: CalibrationConfiguration
) -> list[str]:
    """Items change one by one; where many seem to, the scale or the answers are another thing."""
    compared = np.isfinite(state.carried_shift)
    share = state.is_contradicted.sum() / max(compared.sum(), 1)
    if share <= configuration.maximum_moved_share:
        return []
    return [
        f"the window contradicts what {state.is_contradicted.sum()} of {compared.sum()} items "
        f"carry ({share:.0%}; at most {configuration.maximum_moved_share:.0%}): look at the source "
        "and at the anchors before you raise maximum_moved_share"
    ]


def too_many_bad_rows(revision: DayRevision, configuration: CalibrationConfiguration) -> str:
    """Why a day's answers can't be used, or an empty string."""
    left_out = sum(revision.quarantine_counts.values())
    bad = left_out - sum(revision.quarantine_counts.get(reason, 0) for reason in HARMLESS)
    rows = revision.response_count + left_out
    if bad <= configuration.maximum_quarantined_share * rows:
        return ""
    return (
        f"{bad} of {rows} rows of {revision.day} were quarantined ({bad / rows:.1%}; at most "
        f"{configuration.maximum_quarantined_share:.1%}): mend the source "
        "and run the night again with --refresh"
    )
