"""The height of the CUSUM at which it raises a false alarm as seldom as was asked for.

Alarms without a leak come at the rate C·exp(−h) per answer once the threshold h is not small, and C
follows from single cycles, from zero to zero or to the threshold (Siegmund 1985, *Sequential
Analysis*, ch. II and X):

    rate = P₀(a cycle ends at h) / E₀(answers of a cycle),
    P₀(a cycle ends at h) = exp(−h) · E₁(exp(−overshoot); the cycle ends at h)

The second line is a change of measure: under the alternative a cycle ends at h often, so that a few
thousand simulated cycles say what would otherwise take billions of answers. Both measures draw the
item from its posterior. C is found per share, with and without times, on a pool of usual items; the
draws have a fixed seed.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from calibration_pipeline.irt.leak_cycle_kernels import run_cycles
from calibration_pipeline.irt.leak_detection import model_constants
from calibration_pipeline.irt.leak_model import (
    ItemKnowledge,
    LeakModel,
    knowledge_nodes,
    node_weights,
    normal_nodes,
)
from calibration_pipeline.irt.model import BoolArray, FloatArray

CYCLES, LONGEST_CYCLE = 4000, 1000
CEILING = 4.0
LOWEST_THRESHOLD = 2.0
PARAMETER_ERRORS = (0.2, 0.16, 0.05)
"""Standard errors of log a, b and c of usual items."""
TARGETING, TARGETING_SD, ABILITY_SD = 0.2, 0.5, 0.35
"""Abilities of those who get an item: their means lie this far above its difficulty, with this
spread; and the standard deviation of an ability given the session's other answers."""
TIME_SD, TIME_MEAN_SE, SPEED_SD = 0.4, 0.03, 0.15
_SEED = 1954
_OF_USUAL_MODEL = {
    False: (0.008261757338279926, 0.06934995755954322),
    True: (0.027871038838815816, 0.12231043112335194),
}
"""`simulated_constants` of `LeakModel()`, without times and with (a test simulates them again)."""


def usual_items(count: int, is_timed: bool, generator: np.random.Generator) -> ItemKnowledge:
    """Items of an adaptive test's pool, with errors as after a few hundred answers."""
    guessing = generator.uniform(0.1, 0.3, count)
    parameters = np.column_stack(
        [
            generator.lognormal(0.2, 0.3, count).clip(0.4, 2.5),
            generator.normal(size=count),
            guessing,
        ]
    )
    errors = np.tile(PARAMETER_ERRORS, (count, 1))
    errors[:, 2] /= guessing * (1.0 - guessing)
    return ItemKnowledge(
        parameters=parameters,
        covariance=np.square(errors)[:, :, None] * np.eye(3),
        time_mean=np.full(count, 4.0 if is_timed else np.nan),
        time_mean_se=np.full(count, TIME_MEAN_SE),
        time_variance=np.full(count, TIME_SD**2),
    )


def false_alarm_constants(model: LeakModel, is_timed: bool) -> tuple[float, ...]:
    """C of each share: false alarms per answer are C·exp(−threshold)."""
    usual = LeakModel()
    # How the false alarms are divided over the shares changes the thresholds, not the constants.
    if model.shares == usual.shares and replace(model, budgets=usual.budgets) == usual:
        return _OF_USUAL_MODEL[is_timed]
    return simulated_constants(model, is_timed)


@lru_cache(maxsize=16)
def simulated_constants(model: LeakModel, is_timed: bool) -> tuple[float, ...]:
    """C of each share, simulated.

    A detector learns its item along the way, so that its errors lie between those of a usual item
    and none: the larger of the two constants is taken.
    """
    usual = model if is_timed else replace(model, time_nodes=1)
    exact = replace(model, parameter_nodes=(1, 1), time_nodes=1)
    return tuple(
        max(_constant(kind, share, is_timed) for kind in (usual, exact)) for share in model.shares
    )


def _constant(model: LeakModel, share: float, is_timed: bool) -> float:
    generator = np.random.default_rng(_SEED)
    leaked_exits, _ = _cycles(model, share, share, is_timed, generator)
    reached = leaked_exits >= CEILING
    probability = np.where(reached, np.exp(-leaked_exits), 0.0).mean() * np.exp(CEILING)
    _, lengths = _cycles(model, share, 0.0, is_timed, generator)
    return float(probability / lengths.mean())


def _cycles(
    model: LeakModel,
    share: float,
    true_share: float,
    is_timed: bool,
    generator: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Where cycles end and how many answers they have, ``(CYCLES,)`` each."""
    knowledge = usual_items(CYCLES, is_timed, generator)
    nodes = knowledge_nodes(knowledge, model)
    weights = node_weights(model)
    exits, lengths = np.empty(CYCLES), np.empty(CYCLES)
    run_cycles(
        int(generator.integers(2**31)), LONGEST_CYCLE, true_share, share, CEILING,
        knowledge.parameters[:, 1] + TARGETING, (TARGETING_SD, ABILITY_SD), (TIME_SD, SPEED_SD),
        weights, np.column_stack(normal_nodes(model.ability_nodes)), model_constants(model),
        nodes.parameters, nodes.time_mean, nodes.time_variance,
        generator.choice(model.n_nodes, CYCLES, p=weights), exits, lengths,
    )  # fmt: skip
    return exits, lengths


def constants_for(model: LeakModel, is_timed: BoolArray, known: FloatArray) -> FloatArray:
    """Constants of the classes that occur, ``(2, n_shares)``: without times, and with.

    Parameters
    ----------
    model
        The alternatives.
    is_timed
        ``(n_items,)`` whether times are used.
    known
        ``(2, n_shares)`` found earlier under the same model; NaN where they weren't needed. To find
        them takes seconds.
    """
    constants = known.copy()
    for timed in (False, True):
        if (is_timed == timed).any() and np.isnan(constants[int(timed)]).any():
            constants[int(timed)] = false_alarm_constants(model, timed)
    return constants


def alarm_thresholds(
    model: LeakModel,
    answers_per_false_alarm: FloatArray,
    is_timed: BoolArray,
    known: FloatArray | None = None,
) -> FloatArray:
    """Thresholds of log Λ, ``(n_items, n_shares)``.

    Parameters
    ----------
    model
        The alternatives, and how false alarms are divided over them.
    answers_per_false_alarm
        ``(n_items,)`` of all shares together.
    is_timed
        ``(n_items,)`` whether times are used.
    known
        As in `constants_for`.
    """
    unknown = np.full((2, len(model.shares)), np.nan)
    constants = constants_for(model, is_timed, unknown if known is None else known)
    per_answer = answers_per_false_alarm[:, None] / np.array(model.budgets)
    thresholds = np.log(constants[is_timed.astype(np.int64)] * per_answer)
    return np.asarray(np.maximum(thresholds, LOWEST_THRESHOLD))
