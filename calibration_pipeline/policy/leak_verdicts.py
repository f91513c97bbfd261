"""A night's verdicts on leaks: who is suspected, since when, and how soon a leak would be seen.

Items of one family share an alarm: who has one of them can work out the others.
"""

from collections.abc import Sequence

import numpy as np

from calibration_pipeline.irt.leak_delays import ItemTakers, expected_delays
from calibration_pipeline.irt.leak_detection import NO_DAY, DetectorState
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.policy.leaks import LeakState, item_knowledge, night_thresholds
from calibration_pipeline.records import DayArray, FloatArray, IntArray, LeakVerdicts

_USUAL_ABILITY_SD = 0.35


def judge_leaks(
    state: LeakState,
    parameters: FloatArray,
    covariance: FloatArray,
    families: Sequence[str | None],
    configuration: LeakConfiguration,
    scaling_constant: float = 1.0,
) -> LeakVerdicts:
    """Say of every item whether it is suspected, since when, and how soon a leak would be seen.

    Parameters
    ----------
    state
        After the night's day.
    parameters, covariance
        Accepted that night: what tomorrow's answers will be held against.
    families
        Clone family of each item; None for an item on its own.
    configuration, scaling_constant
        The settings, and the D of `parameters`.
    """
    detectors = state.detectors
    knowledge = item_knowledge(state, parameters, covariance, configuration)
    thresholds = night_thresholds(state, knowledge, configuration, scaling_constant)
    every = np.arange(len(parameters))
    leading = np.argmax(detectors.log_ratio - thresholds, axis=1)  # −∞ for all: the first
    leading = np.where(detectors.is_alarmed, detectors.alarm_share, leading)
    alarm_item = _shared_alarms(detectors, families)
    source = np.where(alarm_item >= 0, alarm_item, every)
    per_day = state.answers_per_day
    delays = expected_delays(
        knowledge, _takers(state, parameters), configuration.planned_share, thresholds,
        per_day * configuration.longest_delay_days, configuration.model(scaling_constant),
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        days = np.where(np.isfinite(delays), delays / per_day, np.inf)
    return LeakVerdicts(
        is_suspected=alarm_item >= 0,
        alarm_item=alarm_item,
        alarm_day=_days(detectors.alarm_day[source]),
        onset_day=_days(detectors.onset[source, leading[source]]),
        statistic=detectors.log_ratio[every, leading],
        threshold=thresholds[every, leading],
        share=np.array(configuration.shares)[leading],
        answers_since_onset=detectors.answers[every, leading],
        answers_per_day=per_day,
        is_watched=knowledge.is_known,
        uses_times=knowledge.is_timed,
        delay_answers=delays,
        delay_days=days,
    )


def _takers(state: LeakState, parameters: FloatArray) -> ItemTakers:
    """Who gets the items of late; for items without answers, candidates at their difficulty."""
    count = state.traffic[:, 1]
    seen = count > 0
    safe = np.where(seen, count, 1.0)
    _, _, mean, square, variance, speed = (state.traffic / safe[:, None]).T
    return ItemTakers(
        ability_mean=np.where(seen, mean, parameters[:, 1]),
        ability_spread=np.sqrt(np.where(seen, np.maximum(square - mean**2, 0.0), 0.0)),
        ability_sd=np.sqrt(np.where(seen, variance, _USUAL_ABILITY_SD**2)),
        speed_variance=np.where(seen, speed, 0.0),
    )


def _shared_alarms(detectors: DetectorState, families: Sequence[str | None]) -> IntArray:
    """Item whose alarm each item has, ``(n_items,)``: its own, or its family's earliest; −1."""
    alarm_item = np.where(detectors.is_alarmed, np.arange(len(families)), -1)
    first: dict[str, int] = {}
    for j in np.flatnonzero(detectors.is_alarmed).tolist():
        family = families[j]
        if family is not None:
            earlier = first.setdefault(family, j)
            if detectors.alarm_day[j] < detectors.alarm_day[earlier]:
                first[family] = j
    for j, family in enumerate(families):
        if family in first and alarm_item[j] < 0:
            alarm_item[j] = first[family]
    return np.asarray(alarm_item, np.int64)


def _days(numbers: IntArray) -> DayArray:
    """Days of day numbers, ``(n,)``; NaT for none."""
    days = numbers.astype("datetime64[D]")
    days[numbers == NO_DAY] = np.datetime64("NaT")
    return days
