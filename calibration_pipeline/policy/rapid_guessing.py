"""Answers too quick to be more than a guess.

Source: the normative threshold method of Wise & Ma (2012), *Setting response time thresholds for a
CAT item pool*, NCME; with the median in place of the mean, which long breaks would move.
"""

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.gathering import GatheredAnswers
from calibration_pipeline.records import BoolArray, FloatArray

_TIME_BITS = 32


def rapid_guess_thresholds(
    answers: GatheredAnswers, n_items: int, configuration: CalibrationConfiguration
) -> FloatArray:
    """Time below which an answer to each item is a rapid guess, milliseconds, ``(n_items,)``.

    A share of the item's median time, at most the cap; NaN with too few timed answers.
    """
    thresholds = np.full(n_items, np.nan)
    if answers.time_ms is None:
        return thresholds
    timed = answers.is_scored & (answers.time_ms >= 0)
    # One sort for all items: the item in the high bits, the time in the low ones.
    item = answers.item[timed].astype(np.int64)
    packed = np.sort((item << _TIME_BITS) | answers.time_ms[timed])
    counts = np.bincount(item, minlength=n_items)
    enough = counts >= configuration.rapid_guess_minimum_times
    starts = (np.cumsum(counts) - counts)[enough]
    times = packed & ((1 << _TIME_BITS) - 1)
    low, high = times[starts + (counts[enough] - 1) // 2], times[starts + counts[enough] // 2]
    thresholds[enough] = np.minimum(
        configuration.rapid_guess_share * (low + high) / 2.0,
        configuration.rapid_guess_cap_seconds * 1000.0,
    )
    return thresholds


def rapid_guesses(answers: GatheredAnswers, thresholds: FloatArray) -> BoolArray:
    """Mark the scored answers that took less than their item's threshold, ``(n_answers,)``."""
    if answers.time_ms is None:
        return np.zeros(len(answers.item), np.bool_)
    is_quick = answers.time_ms < thresholds[answers.item]  # never below NaN
    return np.asarray(answers.is_scored & (answers.time_ms >= 0) & is_quick)
