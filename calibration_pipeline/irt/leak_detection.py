"""A sequential test per item against pre-knowledge: a likelihood-ratio CUSUM.

For each share π of leaked answers, Λ is the likelihood of the answers since the CUSUM last stood at
zero under "a share π had pre-knowledge", over that under "none had":

    Λ = ∫ Πᵢ [(1 − π)·f(xᵢ, tᵢ | φ) + π·g(xᵢ, tᵢ)] p(φ) dφ  /  ∫ Πᵢ f(xᵢ, tᵢ | φ) p(φ) dφ

φ are the item's parameters and its mean log time, and p is what was known about them when the CUSUM
last stood at zero. When Λ falls to 1 or below, the CUSUM is at zero (Page 1954, Biometrika 41,
100–115) and takes up what is known today. Both integrals learn the item along the way. So Λ is a
likelihood ratio of two distributions of the answers whatever the item's errors are: without a leak
its mean stays 1 for items whose errors are as large as p says. A plug-in ratio has no such bound.

State and step are pure: ``state of day D = advance(state of day D − 1, answers of day D)``.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.leak_kernels import watch
from calibration_pipeline.irt.leak_model import (
    IntArray,
    ItemKnowledge,
    KnowledgeNodes,
    LeakModel,
    knowledge_nodes,
    node_weights,
    normal_nodes,
)
from calibration_pipeline.irt.model import BoolArray, FloatArray

NO_DAY = -1
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class DetectorState:
    """Running values of every detector; one detector per item and share.

    Attributes
    ----------
    log_ratio
        ``(n_items, n_shares)`` log Λ; 0 at zero.
    onset
        ``(n_items, n_shares)`` day of the first answer after the CUSUM last stood at zero, counted
        from any fixed day; −1 at zero.
    answers
        ``(n_items, n_shares)`` answers since then.
    knowledge
        ``(n_items, n_shares)`` what was known when it last stood at zero; NaN at zero.
    null_weights, leak_weights
        ``(n_items, n_shares, n_nodes)`` what has been learned since, without and with a leak, over
        the likelihood without; 0 at zero.
    alarm_day, alarm_share
        ``(n_items,)`` day of the alarm, and number of the share that raised it; −1 for none. An
        item with an alarm is no longer watched until it is reset.
    """

    log_ratio: FloatArray
    onset: IntArray
    answers: IntArray
    knowledge: ItemKnowledge
    null_weights: FloatArray
    leak_weights: FloatArray
    alarm_day: IntArray
    alarm_share: IntArray

    @classmethod
    def at_zero(cls, n_items: int, model: LeakModel) -> "DetectorState":
        """Nothing seen yet."""
        shape = (n_items, len(model.shares))
        return cls(
            log_ratio=np.zeros(shape),
            onset=np.full(shape, NO_DAY, np.int64),
            answers=np.zeros(shape, np.int64),
            knowledge=ItemKnowledge.nothing(*shape),
            null_weights=np.zeros((*shape, model.n_nodes)),
            leak_weights=np.zeros((*shape, model.n_nodes)),
            alarm_day=np.full(n_items, NO_DAY, np.int64),
            alarm_share=np.full(n_items, NO_DAY, np.int64),
        )

    @property
    def is_alarmed(self) -> BoolArray:
        """Items with an alarm, ``(n_items,)``."""
        return np.asarray(self.alarm_day != NO_DAY)

    def reset(self, items: BoolArray, model: LeakModel) -> "DetectorState":
        """Put some items back to zero: edited, or cleared by a reviewer. ``(n_items,)``."""
        return self.merged(items, DetectorState.at_zero(len(items), model))

    def merged(self, items: BoolArray, other: "DetectorState") -> "DetectorState":
        """Take some items' values from another state of the same items."""
        kept = np.repeat(~items[:, None], self.log_ratio.shape[1], axis=1)
        arrays: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            if name != "knowledge":
                mine, others = getattr(self, name), getattr(other, name)
                chosen = items.reshape(-1, *(1,) * (mine.ndim - 1))
                arrays[name] = np.where(chosen, others, mine)
        return replace(self, **arrays, knowledge=self.knowledge.where(kept, other.knowledge))

    def at(self, items: IntArray) -> "DetectorState":
        """Select items, by their numbers."""
        arrays: dict[str, Any] = {
            name: getattr(self, name)[items]
            for name in self.__dataclass_fields__
            if name != "knowledge"
        }
        return DetectorState(**arrays, knowledge=self.knowledge.at(items))


@dataclass(frozen=True)
class WatchedAnswers:
    """A day's answers that count for detection, in the order in which they were given.

    Attributes
    ----------
    item, correct
        ``(n_responses,)`` item numbers and scores.
    ability_mean, ability_sd
        ``(n_responses,)`` given the session's other answers.
    pace, speed_variance
        ``(n_responses,)`` log seconds at average speed and the variance of the speed
        (`leak_times.paces`); NaN where times aren't known.
    """

    item: NDArray[np.integer]
    correct: NDArray[np.integer]
    ability_mean: FloatArray
    ability_sd: FloatArray
    pace: FloatArray
    speed_variance: FloatArray


def advance(
    state: DetectorState,
    day: int,
    answers: WatchedAnswers,
    knowledge: ItemKnowledge,
    thresholds: FloatArray,
    model: LeakModel,
) -> tuple[DetectorState, IntArray]:
    """Take one day's answers in.

    Parameters
    ----------
    state
        After the day before.
    day
        Number of the day.
    answers
        Of that day.
    knowledge
        ``(n_items,)`` accepted before that day.
    thresholds
        ``(n_items, n_shares)`` of log Λ at which an alarm is raised.
    model
        The alternatives.

    Returns
    -------
    The state after the day; and which of its answers that day, counted from 0, raised each item's
    alarm, ``(n_items,)``, −1 for none.
    """
    n_items = len(state.alarm_day)
    counts = np.bincount(answers.item, minlength=n_items)
    chosen = np.flatnonzero((counts > 0) & ~state.is_alarmed & knowledge.is_known)
    by_item = np.argsort(answers.item, kind="stable")
    of_chosen = by_item[np.isin(answers.item[by_item], chosen)]
    starts = np.concatenate([[0], np.cumsum(counts[chosen])]).astype(np.int64)
    columns = tuple(
        np.ascontiguousarray(getattr(answers, name)[of_chosen], kind)
        for name, kind in (
            ("correct", np.int64), ("ability_mean", np.float64), ("ability_sd", np.float64),
            ("pace", np.float64), ("speed_variance", np.float64),
        )
    )  # fmt: skip
    today = knowledge.at(chosen)
    fresh = knowledge_nodes(today, model)
    first_alarm = np.full(len(chosen), _NEVER)
    for number in range(len(model.shares)):
        state, alarms = _advance_share(
            state, day, number, chosen, starts, columns, today, fresh, thresholds, model
        )
        is_first = (alarms >= 0) & (alarms < first_alarm)
        first_alarm[is_first] = alarms[is_first]
        state.alarm_day[chosen[is_first]] = day
        state.alarm_share[chosen[is_first]] = number
    alarm_answer = np.full(n_items, -1)
    is_raised = first_alarm < _NEVER
    alarm_answer[chosen[is_raised]] = first_alarm[is_raised]
    return state, alarm_answer


def _advance_share(
    state: DetectorState,
    day: int,
    number: int,
    chosen: IntArray,
    starts: IntArray,
    columns: tuple[NDArray[Any], ...],
    today: ItemKnowledge,
    fresh: KnowledgeNodes,
    thresholds: FloatArray,
    model: LeakModel,
) -> tuple[DetectorState, IntArray]:
    """Run one share's detectors; a new state, and the answer that raised each one's alarm."""
    at = (chosen, np.full(len(chosen), number))
    log_ratio = state.log_ratio[at].copy()
    null_weights, leak_weights = state.null_weights[at].copy(), state.leak_weights[at].copy()
    zeros, alarms = np.empty(len(chosen), np.int64), np.empty(len(chosen), np.int64)
    was_running = log_ratio > 0.0
    before = state.knowledge.at(at)
    run = knowledge_nodes(before.where(was_running, today), model)
    correct, means, sds, paces, speed_variances = columns
    watch(
        starts, correct, means, sds, paces, speed_variances, model.shares[number],
        np.ascontiguousarray(thresholds[at]), node_weights(model),
        np.column_stack(normal_nodes(model.ability_nodes)), model_constants(model),
        fresh.parameters, fresh.time_mean, fresh.time_variance,
        run.parameters, run.time_mean, run.time_variance,
        log_ratio, null_weights, leak_weights, zeros, alarms,
    )  # fmt: skip
    seen = np.where(alarms >= 0, alarms + 1, np.diff(starts))
    is_running, goes_on = log_ratio > 0.0, was_running & (zeros < 0)
    knowledge = before.where(goes_on, today).where(is_running, ItemKnowledge.nothing(len(chosen)))
    onset = np.where(goes_on, state.onset[at], day)
    since = np.where(goes_on, state.answers[at] + seen, seen - zeros - 1)
    changed = {
        "log_ratio": log_ratio,
        "onset": np.where(is_running, onset, NO_DAY),
        "answers": np.where(is_running, since, 0),
        "null_weights": np.where(is_running[:, None], null_weights, 0.0),
        "leak_weights": np.where(is_running[:, None], leak_weights, 0.0),
    }
    return _with_values(state, at, changed, knowledge), alarms


def _with_values(
    state: DetectorState,
    at: tuple[IntArray, IntArray],
    changed: dict[str, NDArray[Any]],
    knowledge: ItemKnowledge,
) -> DetectorState:
    """Copy a state with new values of some detectors."""
    arrays = {name: getattr(state, name).copy() for name in changed}
    for name, values in changed.items():
        arrays[name][at] = values
    stored = {
        name: getattr(state.knowledge, name).copy() for name in knowledge.__dataclass_fields__
    }
    for name in stored:
        stored[name][at] = getattr(knowledge, name)
    alarms = {name: getattr(state, name).copy() for name in ("alarm_day", "alarm_share")}
    return replace(state, **arrays, **alarms, knowledge=ItemKnowledge(**stored))


def model_constants(model: LeakModel) -> tuple[float, float, float, float]:
    """The model as the compiled loops take it."""
    return (
        model.success,
        float(np.log(model.time_factor)),
        float(np.log(model.maximum_time_ratio)),
        model.scaling_constant,
    )
