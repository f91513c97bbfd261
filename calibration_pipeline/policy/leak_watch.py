"""The leak watch of a night: from last night's running values to tonight's, and the verdicts.

A day is watched once, by the first accepted night that reads it, against what was accepted before
that night. Answers that come for it later are not watched; running the night again with `--refresh`
takes them in. So running values follow from the days and revisions that the night's state and its
forebears name.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date

import numpy as np

from calibration_pipeline.irt.leak_detection import NO_DAY, DetectorState
from calibration_pipeline.irt.leak_model import ItemKnowledge
from calibration_pipeline.irt.leak_times import TimeStatistics
from calibration_pipeline.policy.carrying import carry_over
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.policy.leak_days import NightAnswers
from calibration_pipeline.policy.leak_verdicts import judge_leaks
from calibration_pipeline.policy.leaks import LeakState, in_new_order, reset_items, watch_day
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.records import (
    BoolArray,
    CalibrationState,
    DayArray,
    FloatArray,
    IntArray,
    ItemBank,
    ItemKey,
    LeakVerdicts,
    LeakWatch,
)


def watch_night(
    inputs: NightInputs,
    before: LeakWatch | None,
    dismissals: Mapping[ItemKey, date],
    configuration: CalibrationConfiguration,
) -> LeakWatch | None:
    """Take in the days that no accepted night has watched yet; None where leaks aren't watched.

    Where there are no running values yet, the window's older days tell usual times and traffic
    alone: the accepted parameters rest on their answers.

    Parameters
    ----------
    inputs
        What the night reads.
    before
        Running values of the night that it starts from; None if there are none.
    dismissals
        Items whose suspicion a reviewer has dismissed, with the newest night that the reviewer had
        seen. They are watched afresh.
    configuration
        The settings.
    """
    if not configuration.leaks.watch:
        return None
    bank, parent, settings = inputs.bank, inputs.parent, configuration.leaks
    constant = configuration.em.scaling_constant
    digest = settings.detection_digest(constant)
    state = _taken_over(before, bank, digest, settings)
    state = reset_items(state, _dismissed(state, bank, dismissals), settings)
    carried = carry_over(parent, inputs.baselines, bank, inputs.anchors)
    days = [*inputs.leaving, *inputs.window]
    answers = NightAnswers(days, bank, carried.parameters, carried.populations, configuration)
    nothing = np.full((bank.n_items, 3), np.nan), np.full((bank.n_items, 3, 3), np.nan)
    accepted = nothing
    if parent is not None:
        accepted = known_items(parent, bank, state.detectors.is_alarmed, configuration)
    for number, day in enumerate(days):
        is_new = parent is None or day.revision.day > parent.partition
        if is_new or before is None:
            watched = answers.of_day(number, _left_out_from(state))
            known = accepted if is_new else nothing
            state = watch_day(state, watched, *known, settings, constant)
    return _handed_on(state, bank.keys, digest)


def judge_night(
    watch: LeakWatch,
    state: CalibrationState,
    bank: ItemBank,
    configuration: CalibrationConfiguration,
) -> LeakVerdicts:
    """Say of every item of a state whether it is suspected, and how soon a leak would be seen.

    Parameters
    ----------
    watch
        After the night's day.
    state
        The night's accepted state, in the same order.
    bank
        Tells families.
    configuration
        The settings.
    """
    leaks = _running_state(watch)
    positions = bank.positions(state.keys)
    families = [bank.content_families[j] if j >= 0 else None for j in positions.tolist()]
    parameters, covariance = known_items(state, None, leaks.detectors.is_alarmed, configuration)
    return judge_leaks(
        leaks, parameters, covariance, families, configuration.leaks,
        configuration.em.scaling_constant,
    )  # fmt: skip


def known_items(
    state: CalibrationState,
    bank: ItemBank | None,
    is_alarmed: BoolArray,
    configuration: CalibrationConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Give what answers are held against: parameters and covariances of φ; NaN: not watched.

    An item is watched once it has the answers that its publication takes, and its difficulty was
    estimated. An anchor is held against what its own answers in the window said: its reference may
    be off for reasons that are no leak.

    Parameters
    ----------
    state
        An accepted one.
    bank
        Whose order to give them in; the state's where None.
    is_alarmed
        ``(n_items,)`` in that order: whose answers may have left the window.
    configuration
        The least numbers of answers.
    """
    positions = np.arange(len(state.keys)) if bank is None else bank.positions(state.keys)
    enough = np.where(
        state.is_anchor,
        state.window_counts >= configuration.minimum_anchor_responses,
        state.total_counts >= configuration.minimum_responses,
    )
    enough |= is_alarmed[np.maximum(positions, 0)]
    known = (positions >= 0) & enough & (state.covariance[:, 1, 1] > 0)
    n_items = len(is_alarmed)
    parameters, covariance = np.full((n_items, 3), np.nan), np.full((n_items, 3, 3), np.nan)
    parameters[positions[known]] = state.shadow_parameters[known]
    covariance[positions[known]] = state.covariance[known]
    return parameters, covariance


def left_out_in(watch: LeakWatch | None, bank: ItemBank) -> DayArray | None:
    """Give the first day whose answers are left out, in a bank's order; None without a watch."""
    if watch is None:
        return None
    left_out = np.full(bank.n_items, np.datetime64("NaT"), "datetime64[D]")
    positions = bank.positions(watch.keys)
    left_out[positions[positions >= 0]] = watch.left_out_from[positions >= 0]
    return left_out


def newly_left_out(watch: LeakWatch, before: LeakWatch | None) -> dict[ItemKey, date]:
    """Give the items that are left out since tonight, with their onsets."""
    earlier: dict[ItemKey, date | None] = {}
    if before is not None:
        earlier = dict(zip(before.keys, before.left_out_from.tolist(), strict=True))
    tonight = zip(watch.keys, watch.left_out_from.tolist(), strict=True)
    return {key: onset for key, onset in tonight if onset and earlier.get(key) != onset}


def watch_digest(watch: LeakWatch | None) -> str:
    """SHA-256 of a watch's running values; empty where there are none."""
    return digest_of(*(getattr(watch, f.name) for f in fields(watch))) if watch else ""


def _taken_over(
    before: LeakWatch | None, bank: ItemBank, digest: str, settings: LeakConfiguration
) -> LeakState:
    """Bring running values into tonight's order; under other alternatives detectors begin anew."""
    if before is None:
        return LeakState.empty(bank.n_items, settings)
    state = _running_state(before)
    if before.settings_digest != digest:
        fresh = LeakState.empty(len(before.keys), settings)
        state = replace(fresh, times=state.times, traffic=state.traffic)
    return in_new_order(state, bank.positions(before.keys), bank.n_items, settings)


def _dismissed(state: LeakState, bank: ItemBank, dismissals: Mapping[ItemKey, date]) -> BoolArray:
    """Items whose present alarm a reviewer had seen and dismissed, ``(n_items,)``."""
    alarm_day = _days(state.detectors.alarm_day)
    seen = np.full(bank.n_items, np.datetime64("NaT"), "datetime64[D]")
    for key, night in dismissals.items():
        (position,) = bank.positions([key])
        if position >= 0:
            seen[position] = night
    return np.asarray(alarm_day <= seen)


def _left_out_from(state: LeakState) -> DayArray:
    """Estimated onset of each alarm, ``(n_items,)``; NaT without one."""
    detectors = state.detectors
    every = np.arange(len(detectors.alarm_day))
    onset = detectors.onset[every, np.maximum(detectors.alarm_share, 0)]
    return _days(np.where(detectors.is_alarmed, onset, NO_DAY))


def _handed_on(state: LeakState, keys: tuple[ItemKey, ...], digest: str) -> LeakWatch:
    detectors, known = state.detectors, state.detectors.knowledge
    times = state.times
    return LeakWatch(
        keys=keys,
        alarm_day=_days(detectors.alarm_day),
        alarm_share=detectors.alarm_share,
        left_out_from=_left_out_from(state),
        times=np.column_stack([times.count, times.total, times.square, times.speed_variance]),
        traffic=state.traffic,
        log_ratio=detectors.log_ratio,
        onset=_days(detectors.onset),
        answers=detectors.answers,
        parameters=known.parameters,
        covariance=known.covariance,
        time_mean=known.time_mean,
        time_mean_se=known.time_mean_se,
        time_variance=known.time_variance,
        null_weights=detectors.null_weights,
        leak_weights=detectors.leak_weights,
        settings_digest=digest,
        false_alarm_constants=state.false_alarm_constants,
    )


def _running_state(watch: LeakWatch) -> LeakState:
    detectors = DetectorState(
        log_ratio=watch.log_ratio,
        onset=_numbers(watch.onset),
        answers=watch.answers,
        knowledge=ItemKnowledge(
            watch.parameters,
            watch.covariance,
            watch.time_mean,
            watch.time_mean_se,
            watch.time_variance,
        ),
        null_weights=watch.null_weights,
        leak_weights=watch.leak_weights,
        alarm_day=_numbers(watch.alarm_day),
        alarm_share=watch.alarm_share,
    )
    times = TimeStatistics(*np.ascontiguousarray(watch.times.T))
    return LeakState(detectors, times, watch.traffic, watch.false_alarm_constants)


def _days(numbers: IntArray) -> DayArray:
    """Days of day numbers; NaT for none."""
    days = numbers.astype("datetime64[D]")
    days[numbers == NO_DAY] = np.datetime64("NaT")
    return days


def _numbers(days: DayArray) -> IntArray:
    return np.where(np.isnat(days), NO_DAY, days.astype(np.int64))
