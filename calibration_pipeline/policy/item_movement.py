"""How far a published item's values lie from those of another version."""

import math

from calibration_pipeline.records import SnapshotItem


def in_standard_errors(shift: float, *standard_errors: float) -> float:
    """State a shift in units of the largest of the standard errors given.

    Versions that follow each other share most of their answers, so the errors of the two don't
    add up; the larger one is what a reader of either was told. No shift is 0 whatever the errors;
    a shift of what has no error (an anchor's) is infinite.
    """
    if shift == 0.0:
        return 0.0
    largest = max(standard_errors)
    return shift / largest if largest > 0.0 else math.copysign(math.inf, shift)


def difficulty_movement(before: SnapshotItem, after: SnapshotItem) -> tuple[float, float]:
    """Give the shift in difficulty, in units of theta and in published standard errors."""
    shift = after.difficulty - before.difficulty
    return shift, in_standard_errors(shift, before.difficulty_se, after.difficulty_se)
