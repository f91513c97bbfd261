"""Suspected leaks as flags: an item's own alarm is credible, that of a variant is a hint."""

from collections.abc import Iterator

import numpy as np

from calibration_pipeline.policy.flag_reasons import SUSPECTED_LEAK
from calibration_pipeline.records import Flag, ItemKey, LeakVerdicts

NO_LEAK = "the same answers without a leak"


def leak_flags(verdicts: LeakVerdicts, keys: tuple[ItemKey, ...]) -> Iterator[Flag]:
    """One flag per item that is suspected, or has a variant that is.

    The value is log Λ; z is the root of twice that, as if the ratio had one degree of freedom.

    Parameters
    ----------
    verdicts
        Of the night.
    keys
        The items, in the same order.
    """
    for j in np.flatnonzero(verdicts.is_suspected).tolist():
        source = int(verdicts.alarm_item[j])
        value, threshold = float(verdicts.statistic[j]), float(verdicts.threshold[j])
        onset = verdicts.onset_day[j].item()
        yield Flag(
            keys[j], SUSPECTED_LEAK, value, 0.0, threshold, float(np.sqrt(2.0 * max(value, 0.0))),
            source == j,
            _own_alarm(verdicts, j) if source == j else
            f"a variant of it, {keys[source][0]}, is suspected to have leaked since {onset}; its "
            "own answers count",
            NO_LEAK, onset,
        )  # fmt: skip


def _own_alarm(verdicts: LeakVerdicts, j: int) -> str:
    return (
        f"suspected to have leaked since {verdicts.onset_day[j]}, and left out from then on: until "
        f"the alarm on {verdicts.alarm_day[j]}, {verdicts.answers_since_onset[j]} answers were "
        f"better{_quicker(verdicts, j)} than its parameters allow and like those to an item known "
        f"to {verdicts.share[j]:.0%} of candidates, log likelihood ratio "
        f"{verdicts.statistic[j]:.1f} (threshold at tonight's traffic {verdicts.threshold[j]:.1f})"
        f"{_too_few(verdicts, j)}"
    )


def _quicker(verdicts: LeakVerdicts, j: int) -> str:
    return " or quicker" if verdicts.uses_times[j] else ""


def _too_few(verdicts: LeakVerdicts, j: int) -> str:
    if verdicts.is_watched[j]:
        return ""
    return "; too few of its other answers are left in the window to watch it now"
