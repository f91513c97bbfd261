"""Adaptive sessions with known truth, for demonstrations, tests and benchmarks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt import simulation_kernels
from calibration_pipeline.irt.configuration import require
from calibration_pipeline.irt.model import (
    BoolArray,
    FloatArray,
    IntArray,
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
    is_weighted
        Whether the draw from the best items favours the more informative ones, in proportion.
        One of them is maximum information, all alike is randomesque (Kingsbury & Zara 1989).
    least_answers
        From how many answers on a session may end because the ability is known well enough.
    enough_sd
        It is, once its posterior standard deviation is this small; 0 never ends a session early.
    """

    answers: int = 30
    pool_share: float = 0.025
    top: int = 5
    start_sd: float = 0.5
    is_weighted: bool = False
    least_answers: int = 1
    enough_sd: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a rule that no engine can follow; comparisons refuse not-a-number, too."""
        require(min(self.answers, self.top, self.least_answers) >= 1, "items must be 1 or more")
        require(0.0 < self.pool_share <= 1.0, "pool_share must lie above 0 and not above 1")
        require(self.start_sd > 0.0, "start_sd must be above 0")
        require(self.enough_sd >= 0.0, "enough_sd must be 0 or more")


@dataclass(frozen=True)
class ContentAreas:
    """Shares of a test that belong to content areas.

    The area that is furthest behind its share gives the next item; where it has none left, any.

    Attributes
    ----------
    of_item
        ``(n_items,)`` number of each item's area.
    shares
        ``(n_areas,)`` wanted; they sum to 1.
    """

    of_item: IntArray
    shares: FloatArray


@dataclass(frozen=True)
class Acceptance:
    """With what probability an item may be given to a candidate for whom it is among the best.

    It is drawn once for a candidate and an item: what is shut stays shut, as long as the
    candidate's level does.

    Attributes
    ----------
    probability
        ``(n_levels, n_items)`` by level of the ability estimate.
    cuts
        ``(n_levels - 1,)`` between the levels, ascending.
    """

    probability: FloatArray
    cuts: FloatArray


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
class Preknowledge:
    """Items that some candidates know before they meet them.

    Attributes
    ----------
    knows
        ``(n_sessions,)`` whose candidate knows all of them.
    items
        ``(n_items,)`` which they are.
    success
        Probability that who knows an item is right, where ability alone gives less.
    """

    knows: BoolArray
    items: BoolArray
    success: float = 0.95


@dataclass(frozen=True)
class SimulatedSessions:
    """Answers of all sessions, ``(n_sessions, answers)`` each.

    Attributes
    ----------
    item
        Item numbers in order of presentation; -1 after a session's end.
    correct
        1 for a right answer; 0 after a session's end.
    estimate
        The engine's ability estimate just before each item; NaN after a session's end.
    length
        ``(n_sessions,)`` answers of each session.
    final_estimate, final_sd
        ``(n_sessions,)`` its estimate after the last answer, and the posterior's standard
        deviation.
    """

    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    estimate: FloatArray
    length: IntArray
    final_estimate: FloatArray
    final_sd: FloatArray

    def exposure_rates(self, n_items: int) -> FloatArray:
        """Share of the sessions that saw each item, ``(n_items,)``; they sum to the mean length."""
        seen = self.item[self.item >= 0]
        return np.bincount(seen, minlength=n_items) / len(self.item)


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
    preknowledge: Preknowledge | None = None,
    content: ContentAreas | None = None,
    acceptance: Acceptance | None = None,
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
    preknowledge
        Leaked items and who knows them; a rapid guess stays a guess.
    content
        Areas that share a test; without them information alone decides.
    acceptance
        Exposure control; without it every item is open to everybody. Where nothing open is left,
        the best item is given all the same.

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
    leaked = preknowledge or Preknowledge(np.zeros(n_sessions, bool), np.zeros(n_items, bool))
    content = content or ContentAreas(np.zeros(n_items, np.int64), np.empty(0))
    is_controlled = acceptance is not None
    seed = int(generator.integers(2**63)) if is_controlled else 0
    acceptance = acceptance or Acceptance(np.ones((1, n_items)), np.empty(0))
    if len(starts) != n_sessions or guesses.given.shape != (n_sessions, rule.answers):
        raise ValueError("starts and guesses need one row per session")
    if leaked.knows.shape != (n_sessions,) or leaked.items.shape != (n_items,):
        raise ValueError("preknowledge needs an entry for every session and every item")
    if acceptance.probability.shape != (len(acceptance.cuts) + 1, n_items):
        raise ValueError("acceptance needs a row for each level and a column for each item")
    if len(content.of_item) != n_items:
        raise ValueError("every item needs a content area")
    subset_size = min(n_items, max(rule.answers, round(rule.pool_share * n_items)))
    believed = response_probabilities(NODES, engine_parameters, scaling_constant)
    information = fisher_information(NODES, engine_parameters, scaling_constant).T
    shape = (n_sessions, rule.answers)
    found = SimulatedSessions(
        np.full(shape, -1, np.int32), np.zeros(shape, np.uint8), np.full(shape, np.nan),
        np.empty(n_sessions, np.int64), np.empty(n_sessions), np.empty(n_sessions),
    )  # fmt: skip
    simulation_kernels.run_sessions(
        np.ascontiguousarray(abilities),
        truth * np.array([scaling_constant, 1.0, 1.0]),
        np.argsort(-information, axis=1, kind="stable"),
        np.ascontiguousarray(information),
        np.log(believed), np.log1p(-believed), NODES,
        rule.top, rule.is_weighted, rule.least_answers, rule.enough_sd,
        content.of_item, content.shares,
        np.ascontiguousarray(acceptance.probability), acceptance.cuts,
        seed, starts, rule.start_sd, guesses.given, guesses.chance,
        leaked.knows, leaked.items, leaked.success,
        _subsets(n_sessions, subset_size, n_items, is_controlled, generator),
        generator.random(shape), generator.random(shape),
        found.item, found.correct, found.estimate,
        found.length, found.final_estimate, found.final_sd,
    )  # fmt: skip
    return found


def _subsets(
    n_sessions: int,
    subset_size: int,
    n_items: int,
    is_controlled: bool,
    generator: np.random.Generator,
) -> FloatArray:
    """Draw what chooses each session's part of the pool; no columns where that is all of it."""
    if subset_size < n_items:
        return generator.random((n_sessions, subset_size))
    if not is_controlled:
        for _ in range(n_sessions):  # unused: what was simulated from a seed stays what it was
            generator.random(n_items)
    return np.empty((n_sessions, 0))
