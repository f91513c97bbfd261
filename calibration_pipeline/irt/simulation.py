"""Adaptive sessions with known truth, for demonstrations, tests and benchmarks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt import simulation_kernels
from calibration_pipeline.irt.model import (
    BoolArray,
    FloatArray,
    fisher_information,
    response_probabilities,
)

NODES = np.linspace(-4.0, 4.0, 41)


@dataclass(frozen=True)
class SelectionRule:
    """How an engine picks the next item.

    A session sees a random part of the pool and gets, at each step, one of the `top` most
    informative items left in it at the current ability estimate (EAP under N(0, 1), or under what
    the engine knew before the session).

    Attributes
    ----------
    answers
        Items per session.
    pool_share
        Share of the pool that a session may see; at least `answers` items whatever it says.
    top
        Number of best items to draw from.
    start_sd
        How far off the engine believes a start that it knows to be: the standard deviation of its
        prior around that start, in units of θ.
    """

    answers: int = 30
    pool_share: float = 0.025
    top: int = 5
    start_sd: float = 0.5


@dataclass(frozen=True)
class RapidGuesses:
    """Answers given without reading the question.

    Attributes
    ----------
    given
        ``(n_sessions, answers)`` which answers, in order of presentation.
    chance
        ``(n_items,)`` probability that a guess is right.
    """

    given: BoolArray
    chance: FloatArray


@dataclass(frozen=True)
class SimulatedSessions:
    """Answers of all sessions, ``(n_sessions, answers)`` each.

    Attributes
    ----------
    item
        Item numbers in order of presentation.
    correct
        1 for a right answer.
    estimate
        The engine's ability estimate just before each item.
    final_estimate
        ``(n_sessions,)`` its estimate after the last answer.
    """

    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    estimate: FloatArray
    final_estimate: FloatArray


def simulate_sessions(
    abilities: FloatArray,
    truth: FloatArray,
    engine_parameters: FloatArray,
    rule: SelectionRule,
    generator: np.random.Generator,
    scaling_constant: float = 1.0,
    *,
    starts: FloatArray | None = None,
    guesses: RapidGuesses | None = None,
) -> SimulatedSessions:
    """Let each ability take one adaptive session.

    Without `starts`, selection depends on nothing but the session's own answers. With them it
    depends on what the engine learnt before, so that a fit has to know the start as well.

    Parameters
    ----------
    abilities
        ``(n_sessions,)`` true abilities.
    truth
        ``(n_items, 3)`` true parameters, which produce the answers.
    engine_parameters
        ``(n_items, 3)`` what the engine believes, which selects the items.
    rule
        Selection and length.
    generator
        The only source of randomness.
    scaling_constant
        D.
    starts
        ``(n_sessions,)`` mean of the engine's prior; NaN where it knows nothing and takes N(0, 1).
    guesses
        Answers that owe nothing to ability. The engine scores them like all others.

    Raises
    ------
    ValueError
        If the pool has fewer items than a session has answers, or arrays don't match.
    """
    n_sessions, n_items = len(abilities), len(truth)
    if n_items < rule.answers:
        raise ValueError(f"a session of {rule.answers} answers needs a pool of as many items")
    starts = np.full(n_sessions, np.nan) if starts is None else np.asarray(starts, float)
    guesses = guesses or RapidGuesses(np.zeros((n_sessions, rule.answers), bool), np.zeros(n_items))
    if len(starts) != n_sessions or guesses.given.shape != (n_sessions, rule.answers):
        raise ValueError("starts and guesses need one row per session")
    subset_size = min(n_items, max(rule.answers, round(rule.pool_share * n_items)))
    believed = response_probabilities(NODES, engine_parameters, scaling_constant)
    item = np.empty((n_sessions, rule.answers), np.int32)
    correct = np.empty((n_sessions, rule.answers), np.uint8)
    estimate, final_estimate = np.empty((n_sessions, rule.answers)), np.empty(n_sessions)
    scaled = truth * np.array([scaling_constant, 1.0, 1.0])
    simulation_kernels.run_sessions(
        np.ascontiguousarray(abilities), scaled,
        fisher_information(NODES, engine_parameters, scaling_constant),
        np.log(believed), np.log1p(-believed), NODES, rule.top,
        starts, rule.start_sd, guesses.given, guesses.chance,
        generator.random((n_sessions, subset_size)),
        generator.random((n_sessions, rule.answers)),
        generator.random((n_sessions, rule.answers)),
        item, correct, estimate, final_estimate,
    )  # fmt: skip
    return SimulatedSessions(item, correct, estimate, final_estimate)
