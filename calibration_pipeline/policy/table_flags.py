"""What a reader of a single fit must know about an item before using its values."""

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import BoolArray, FloatArray

ANCHOR = "anchor"
NO_ANSWERS = "no_answers"
FEW_ANSWERS = "few_answers"
ALL_RIGHT = "all_right"
ALL_WRONG = "all_wrong"
UNLINKED = "unlinked"
"""Whoever answered the item answered nothing else: only its proportion right is known."""
NOT_DETERMINED = "not_determined"
AT_BOUND = ("discrimination_at_bound", "difficulty_at_bound", "guessing_at_bound")
MISFIT_INFIT = "misfit_infit"
MISFIT_OUTFIT = "misfit_outfit"


def flags_of_answers(
    counts: NDArray[np.int64],
    right: NDArray[np.int64],
    linked: NDArray[np.int64],
    configuration: CalibrationConfiguration,
) -> dict[str, BoolArray]:
    """Flags that need no fit: flag → ``(n_items,)``.

    Parameters
    ----------
    counts, right, linked
        ``(n_items,)`` answers, right answers, and answers in sessions that hold others.
    configuration
        Says how many answers are few.
    """
    answered = counts > 0
    return {
        NO_ANSWERS: ~answered,
        FEW_ANSWERS: answered & (counts < configuration.minimum_responses),
        ALL_RIGHT: answered & (right == counts),
        ALL_WRONG: answered & (right == 0),
        UNLINKED: answered & (linked == 0),
    }


def flag_misfit(
    statistic: FloatArray,
    error: FloatArray,
    counts: NDArray[np.int64],
    configuration: CalibrationConfiguration,
) -> BoolArray:
    """Credible misfit, ``(n_items,)``: outside the range, by enough standard errors.

    Parameters
    ----------
    statistic, error
        ``(n_items,)`` mean square and its standard deviation under the model; NaN if unknown.
    counts
        ``(n_items,)`` answers; with too few of them nothing is said.
    configuration
        The range, and the z from which it is credible.
    """
    low, high = configuration.misfit_low, configuration.misfit_high
    with np.errstate(invalid="ignore", divide="ignore"):
        outside = (statistic < low) | (statistic > high)
        credible = np.abs(statistic - 1.0) >= configuration.credible_z * error
    return np.asarray(outside & credible & (counts >= configuration.minimum_responses))


def names_of_flags(flags: dict[str, BoolArray], n_items: int) -> tuple[tuple[str, ...], ...]:
    """Give each item's flags, in the order of the mapping."""
    return tuple(
        tuple(name for name, raised in flags.items() if raised[item]) for item in range(n_items)
    )
