"""The leak watch: a state per item that every day's answers carry on.

    state of day D = watch_day(state of day D − 1, answers of day D, items accepted on day D − 1)

Nothing else enters, so that a restart or a backfill gives the same bytes. The verdicts are given in
`leak_verdicts`.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.leak_detection import DetectorState, WatchedAnswers, advance
from calibration_pipeline.irt.leak_model import ItemKnowledge
from calibration_pipeline.irt.leak_thresholds import alarm_thresholds, constants_for
from calibration_pipeline.irt.leak_times import TimeStatistics, learned_paces, paces
from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.records import BoolArray, FloatArray, IntArray

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class LeakState:
    """Everything that the next day needs, in the bank's order.

    Attributes
    ----------
    detectors
        Running values of the tests; days are counted from 1970-01-01.
    times
        What the items' usual times are estimated from.
    traffic
        ``(n_items, 6)`` decayed sums: days, answers, mean abilities, their squares, variances of
        the abilities, variances of the speeds.
    false_alarm_constants
        ``(2, n_shares)`` as far as found: of items without times, and with (`leak_thresholds`).
    """

    detectors: DetectorState
    times: TimeStatistics
    traffic: FloatArray
    false_alarm_constants: FloatArray

    @classmethod
    def empty(cls, n_items: int, configuration: LeakConfiguration) -> "LeakState":
        """Before the first day."""
        return cls(
            DetectorState.at_zero(n_items, configuration.model()),
            TimeStatistics.empty(n_items),
            np.zeros((n_items, 6)),
            np.full((2, len(configuration.shares)), np.nan),
        )

    @property
    def answers_per_day(self) -> FloatArray:
        """Current traffic, ``(n_items,)``."""
        return self.traffic[:, 1] / np.maximum(self.traffic[:, 0], 1.0)


@dataclass(frozen=True)
class LeakDay:
    """One day's answers to the items of all scales, in the order in which they were given.

    Attributes
    ----------
    day
        The local day.
    session_offsets
        ``(n_sessions + 1,)`` session s holds answers ``offsets[s]:offsets[s + 1]``.
    item, correct
        ``(n_responses,)`` item numbers in the bank's order, and scores.
    is_evidence
        ``(n_responses,)`` answers that the tests may use: scored, a candidate's first to the item,
        and no rapid guess. The others still tell speeds.
    ability_mean, ability_sd
        ``(n_responses,)`` given the session's other answers
        on the item's scale (`leak_abilities.abilities_from_other_answers`).
    seconds
        ``(n_responses,)`` NaN where the log has no time.
    """

    day: date
    session_offsets: IntArray
    item: NDArray[np.integer]
    correct: NDArray[np.integer]
    is_evidence: BoolArray
    ability_mean: FloatArray
    ability_sd: FloatArray
    seconds: FloatArray


def watch_day(
    state: LeakState,
    day: LeakDay,
    parameters: FloatArray,
    covariance: FloatArray,
    configuration: LeakConfiguration,
    scaling_constant: float = 1.0,
) -> LeakState:
    """Take one day's answers in.

    Parameters
    ----------
    state
        After the day before, in tonight's bank order.
    day
        The answers.
    parameters, covariance
        ``(n_items, 3)`` and ``(n_items, 3, 3)`` of φ: accepted before that day; NaN where nothing
        is known, or the item isn't to be watched.
    configuration, scaling_constant
        The settings, and the D of `parameters`.
    """
    log_seconds = np.full(len(day.item), np.nan)
    timed = day.seconds > 0  # never where unknown
    log_seconds[timed] = np.log(day.seconds[timed])
    knowledge = item_knowledge(state, parameters, covariance, configuration)
    model = configuration.model(scaling_constant)
    constants = constants_for(
        model, knowledge.is_timed[knowledge.is_known], state.false_alarm_constants
    )
    state = replace(state, false_alarm_constants=constants)
    pace, speed_variance = paces(
        day.session_offsets, day.item, log_seconds, knowledge.time_mean, knowledge.time_variance
    )
    chosen = np.flatnonzero(day.is_evidence)
    answers = WatchedAnswers(
        day.item[chosen], day.correct[chosen], day.ability_mean[chosen], day.ability_sd[chosen],
        pace[chosen], speed_variance[chosen],
    )  # fmt: skip
    counts = np.bincount(answers.item, minlength=len(parameters))
    detectors, _ = advance(
        state.detectors,
        day.day.toordinal() - _EPOCH,
        answers,
        knowledge,
        night_thresholds(state, knowledge, configuration, scaling_constant, counts),
        model,
    )
    learned = learned_paces(day.session_offsets, day.item, log_seconds, state.times)
    # From an alarm on, an item's times are those of candidates who know it.
    is_usual = day.is_evidence & ~detectors.is_alarmed[day.item]
    decay = 0.5 ** (1.0 / configuration.time_half_life_days)
    return LeakState(
        detectors=detectors,
        times=state.times.with_paces(
            day.item, np.where(is_usual, learned[0], np.nan), learned[1], decay
        ),
        traffic=_with_day(state.traffic, answers, configuration),
        false_alarm_constants=constants,
    )


def _with_day(
    traffic: FloatArray, answers: WatchedAnswers, configuration: LeakConfiguration
) -> FloatArray:
    """Let the sums fade and add a day's answers."""
    n_items = len(traffic)
    mean, variance = answers.ability_mean, np.square(answers.ability_sd)
    speed = np.nan_to_num(answers.speed_variance)
    sums = [
        np.bincount(answers.item, values, n_items)
        for values in (np.ones_like(mean), mean, mean * mean, variance, speed)
    ]
    decay = 0.5 ** (1.0 / configuration.traffic_half_life_days)
    return np.asarray(decay * traffic + np.column_stack([np.ones(n_items), *sums]))


def item_knowledge(
    state: LeakState,
    parameters: FloatArray,
    covariance: FloatArray,
    configuration: LeakConfiguration,
) -> ItemKnowledge:
    """Put together what is known about items: their parameters, and their usual times."""
    enough = state.times.count >= configuration.minimum_times
    enough &= configuration.uses_times
    return ItemKnowledge(
        parameters,
        covariance,
        np.where(enough, state.times.mean, np.nan),
        np.where(enough, state.times.mean_se, np.nan),
        np.where(enough, state.times.variance, np.nan),
    )


def night_thresholds(
    state: LeakState,
    knowledge: ItemKnowledge,
    configuration: LeakConfiguration,
    scaling_constant: float = 1.0,
    counts: IntArray | None = None,
) -> FloatArray:
    """Thresholds of log Λ that keep the rate of false alarms, ``(n_items, n_shares)``.

    Infinite for items that nothing is known of: they aren't watched. An alarm outlives what was
    known, and keeps a threshold to be told beside it.

    Parameters
    ----------
    state, knowledge, configuration, scaling_constant
        As in `watch_day`.
    counts
        ``(n_items,)`` answers of the day; traffic is at least that.
    """
    per_day = np.maximum(state.answers_per_day, 1.0)
    if counts is not None:
        per_day = np.maximum(per_day, counts)
    thresholds = np.full((len(per_day), len(configuration.shares)), np.inf)
    known = knowledge.is_known | state.detectors.is_alarmed
    thresholds[known] = alarm_thresholds(
        configuration.model(scaling_constant),
        per_day[known] * configuration.item_nights_per_false_alarm,
        knowledge.is_timed[known],
        state.false_alarm_constants,
    )
    return thresholds


def in_new_order(
    state: LeakState, positions: IntArray, n_items: int, configuration: LeakConfiguration
) -> LeakState:
    """Bring a state into another bank's order; items that are new start at nothing.

    Parameters
    ----------
    state
        In the old order.
    positions
        ``(n_old,)`` where each item stands now, −1 where it is gone (`ItemBank.positions`).
    n_items
        Items of the new bank.
    configuration
        Of the state.
    """
    kept = positions >= 0
    source = np.full(n_items, -1)
    source[positions[kept]] = np.flatnonzero(kept)
    is_new = source < 0
    if len(positions) == 0:
        return LeakState.empty(n_items, configuration)
    source = np.maximum(source, 0)
    detectors = state.detectors.at(source).reset(is_new, configuration.model())
    times = TimeStatistics(
        *(
            np.where(is_new, 0.0, getattr(state.times, name)[source])
            for name in state.times.__dataclass_fields__
        )
    )
    traffic = np.where(is_new[:, None], 0.0, state.traffic[source])
    return LeakState(detectors, times, traffic, state.false_alarm_constants)


def reset_items(state: LeakState, items: BoolArray, configuration: LeakConfiguration) -> LeakState:
    """Watch some items afresh: re-opened by a reviewer who found no leak. ``(n_items,)``."""
    return replace(state, detectors=state.detectors.reset(items, configuration.model()))
