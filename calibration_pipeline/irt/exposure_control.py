"""Exposure control: with what probability an item may be given, so that few candidates see it.

Two methods find the probabilities by simulating tests and correcting what is seen too often.

Sympson–Hetter (Sympson & Hetter 1985) multiplies each probability by the ratio of the wanted to
the simulated rate, damped by a power. An item that is held back pushes others forward, so that it
goes back and forth and need not arrive.

The item-eligibility method (van der Linden & Veldkamp 2004, 2007, doi:10.3102/1076998606298040)
sets the probability of item i to

    min(1, maximum rate · ε_i / α_i)

where ε_i counts the candidates to whom it was open and α_i those who saw it, updated after every
block of candidates, with old blocks fading. The counts average the noise away.

Both are unconditional with one level of ability. With several, every level has rates of its own
(Stocking & Lewis 1998). Rates are those of candidates by true ability, while a probability is
looked up by the estimate, which starts in the middle: rates come near the maximum, and the
verification says how near.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.simulation import (
    Acceptance,
    ContentAreas,
    SelectionRule,
    SimulatedSessions,
    simulate_sessions,
)

DrawAbilities = Callable[[int, np.random.Generator], FloatArray]
"""Abilities of so many candidates."""

_NEVER_SEEN = 1.1
"""What Sympson–Hetter multiplies the probability of an item by that nobody saw."""
_FADING = 0.4
"""The eligibility method's counts look back on 1/.4 of the cycles so far, in equal weights."""
_SAFETY = 2.0
"""Standard errors of a verified rate by which the eligibility method aims below the maximum."""


class UnreachableRateError(ValueError):
    """No probabilities keep the items of such a test below the maximum rate."""


@dataclass(frozen=True)
class AdaptiveTest:
    """A test as the engine gives it, and who takes it.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` what the engine believes; in the simulations it is right.
    rule, content
        How items are picked.
    draw_abilities
        Who takes the test.
    scaling_constant
        D.
    cuts
        Between the levels of ability that have rates of their own; none for one level.
    """

    parameters: FloatArray
    rule: SelectionRule
    draw_abilities: DrawAbilities
    content: ContentAreas | None = None
    scaling_constant: float = 1.0
    cuts: tuple[float, ...] = ()

    @property
    def n_items(self) -> int:
        """Size of the pool."""
        return len(self.parameters)

    def simulate(
        self, n_candidates: int, probability: FloatArray | None, generator: np.random.Generator
    ) -> tuple[FloatArray, SimulatedSessions]:
        """Let candidates take the test; give their abilities and what happened.

        ``probability`` is ``(n_levels, n_items)``; None controls nothing.
        """
        cuts = np.array(self.cuts)
        acceptance = None if probability is None else Acceptance(probability, cuts)
        abilities = self.draw_abilities(n_candidates, generator)
        found = simulate_sessions(
            abilities, self.parameters, self.parameters, self.rule, generator,
            self.scaling_constant, content=self.content, acceptance=acceptance,
        )  # fmt: skip
        return abilities, found

    def seen(self, abilities: FloatArray, sessions: SimulatedSessions) -> FloatArray:
        """Count who saw each item, by level of ability, ``(n_levels, n_items)``."""
        level = np.searchsorted(self.cuts, abilities)
        given = sessions.item >= 0
        cell = (level[:, None] * self.n_items + sessions.item)[given]
        size = (len(self.cuts) + 1) * self.n_items
        return np.bincount(cell, minlength=size).reshape(-1, self.n_items).astype(float)

    def taken(self, abilities: FloatArray) -> FloatArray:
        """Count the candidates of each level, ``(n_levels,)``."""
        level = np.searchsorted(self.cuts, abilities)
        return np.bincount(level, minlength=len(self.cuts) + 1).astype(float)


@dataclass(frozen=True)
class ControlledCycle:
    """How far a cycle of simulated candidates was from the maximum rate.

    Attributes
    ----------
    candidates
        Simulated in this cycle.
    worst_rate, items_above
        Over levels and items, as simulated: with few candidates, chance alone exceeds a maximum.
    """

    candidates: int
    worst_rate: float
    items_above: int


@dataclass(frozen=True)
class ReachedExposure:
    """What candidates who had no part in finding the probabilities saw.

    Attributes
    ----------
    candidates
        Simulated.
    rates
        ``(n_levels, n_items)`` share of a level's candidates that saw an item.
    overall_rates
        ``(n_items,)`` share of all candidates; they sum to `mean_length`.
    mean_length
        Items of a test.
    mean_sd
        Mean posterior standard deviation of ability at the end.
    """

    candidates: int
    rates: FloatArray
    overall_rates: FloatArray
    mean_length: float
    mean_sd: float

    @property
    def worst_rate(self) -> float:
        """The highest rate of any item at any level."""
        return float(self.rates.max())


@dataclass(frozen=True)
class ExposureControl:
    """Probabilities of being given, and what they were found to reach.

    Attributes
    ----------
    maximum_rate
        Asked for.
    probability
        ``(n_levels, n_items)``.
    cycles
        The search, one row per cycle.
    reached, uncontrolled
        By the same independent candidates, with the probabilities and without.
    """

    maximum_rate: float
    probability: FloatArray
    cycles: tuple[ControlledCycle, ...]
    reached: ReachedExposure
    uncontrolled: ReachedExposure

    @property
    def precision_lost(self) -> float:
        """Relative growth of the mean posterior standard deviation of ability."""
        return self.reached.mean_sd / self.uncontrolled.mean_sd - 1.0

    def is_reached(self, tolerance: float) -> bool:
        """Whether no item is seen by more than the maximum rate and `tolerance` of it."""
        return self.reached.worst_rate <= self.maximum_rate * (1.0 + tolerance)


@dataclass(frozen=True)
class SympsonHetter:
    """Sympson and Hetter's iterations with a damped update.

        probability ← clamp(floor, ceiling, probability · (maximum rate / rate)^damping)

    Attributes
    ----------
    cycles, candidates
        Iterations, and simulated candidates in each.
    damping
        1 corrects at once, less goes back and forth less.
    floor, ceiling
        Bounds of the probabilities.
    """

    cycles: int = 6
    candidates: int = 5000
    damping: float = 0.6
    floor: float = 0.02
    ceiling: float = 1.0

    def search(
        self, test: AdaptiveTest, maximum_rate: float, generator: np.random.Generator
    ) -> tuple[FloatArray, tuple[ControlledCycle, ...]]:
        """Give the probabilities after the last cycle, and the cycles."""
        probability = np.ones((len(test.cuts) + 1, test.n_items))
        cycles = []
        for _ in range(self.cycles):
            abilities, sessions = test.simulate(self.candidates, probability, generator)
            rates = _shares(test.seen(abilities, sessions), test.taken(abilities))
            cycles.append(_cycle(self.candidates, rates, maximum_rate))
            seen = rates > 0.0
            ratio = (maximum_rate / np.where(seen, rates, 1.0)) ** self.damping
            probability = probability * np.where(seen, ratio, _NEVER_SEEN)
            probability = np.clip(probability, self.floor, self.ceiling)
        return probability, tuple(cycles)


@dataclass(frozen=True)
class ItemEligibility:
    """The item-eligibility method, with counts that fade.

    Attributes
    ----------
    candidates
        Simulated candidates of each cycle: many small ones to begin with, since all rates are off,
        then large ones, in which noise averages out.
    """

    candidates: tuple[int, ...] = (500,) * 40 + (2000,) * 30 + (5000,) * 30

    def search(
        self, test: AdaptiveTest, maximum_rate: float, generator: np.random.Generator
    ) -> tuple[FloatArray, tuple[ControlledCycle, ...]]:
        """Give the probabilities after the last cycle, and the cycles."""
        shape = (len(test.cuts) + 1, test.n_items)
        probability, eligible, seen = np.ones(shape), np.zeros(shape), np.zeros(shape)
        cycles = []
        for number, candidates in enumerate(self.candidates):
            abilities, sessions = test.simulate(candidates, probability, generator)
            taken, now_seen = test.taken(abilities), test.seen(abilities, sessions)
            cycles.append(_cycle(candidates, _shares(now_seen, taken), maximum_rate))
            kept = 1.0 - 1.0 / (1.0 + _FADING * number)
            eligible = kept * eligible + taken[:, None] * probability
            seen = kept * seen + now_seen
            ratio = eligible / np.where(seen > 0.0, seen, 1.0)
            probability = np.where(seen > 0.0, np.minimum(1.0, maximum_rate * ratio), 1.0)
        return probability, tuple(cycles)


def control_exposure(
    test: AdaptiveTest,
    maximum_rate: float,
    method: SympsonHetter | ItemEligibility,
    generator: np.random.Generator,
    verifying_candidates: int = 100_000,
) -> ExposureControl:
    """Find the probabilities of a test's items, and simulate independently what they reach.

    Parameters
    ----------
    test
        The test and who takes it.
    maximum_rate
        Share of the candidates, of each level if there are several, that may see an item.
    method
        How to search.
    generator
        The only source of randomness.
    verifying_candidates
        Of the last simulation, which decides what is said to be reached.

    Raises
    ------
    UnreachableRateError
        Rates sum to the test's length: so few items can't be below the maximum.
    """
    require_reachable(test, maximum_rate)
    aim = maximum_rate
    if isinstance(method, ItemEligibility):
        variance = maximum_rate * (1.0 - maximum_rate)
        aim -= _SAFETY * float(np.sqrt(variance / verifying_candidates))
    probability, cycles = method.search(test, max(aim, 0.9 * maximum_rate), generator)
    seed = int(generator.integers(2**63))
    reached, uncontrolled = (
        verify(test, each, np.random.default_rng(seed), verifying_candidates)
        for each in (probability, None)
    )
    return ExposureControl(maximum_rate, probability, cycles, reached, uncontrolled)


def verify(
    test: AdaptiveTest,
    probability: FloatArray | None,
    generator: np.random.Generator,
    candidates: int,
) -> ReachedExposure:
    """Simulate what probabilities reach; see `ReachedExposure`."""
    abilities, sessions = test.simulate(candidates, probability, generator)
    seen, taken = test.seen(abilities, sessions), test.taken(abilities)
    return ReachedExposure(
        candidates,
        _shares(seen, taken),
        seen.sum(axis=0) / candidates,
        float(sessions.length.mean()),
        float(sessions.final_sd.mean()),
    )


def require_reachable(test: AdaptiveTest, maximum_rate: float) -> None:
    """Refuse a maximum that the length of the test makes impossible.

    Raises
    ------
    UnreachableRateError
        For the pool, or one of its content areas.
    """
    if not 0.0 < maximum_rate <= 1.0:
        raise ValueError(f"a maximum rate lies in (0, 1], not {maximum_rate:g}")
    answers = test.rule.least_answers if test.rule.enough_sd > 0.0 else test.rule.answers
    parts = [("the pool", float(answers), test.n_items)]
    if test.content is not None:
        sizes = np.bincount(test.content.of_item, minlength=len(test.content.shares))
        shares = zip(test.content.shares, sizes, strict=True)
        parts += [(f"content area {n}", answers * s, size) for n, (s, size) in enumerate(shares)]
    for name, wanted, size in parts:
        if wanted > maximum_rate * size * (1.0 + 1e-12):
            raise UnreachableRateError(
                f"{wanted:g} items of a test from the {size} of {name} are seen at a mean rate "
                f"of {wanted:g}/{size} = {wanted / max(size, 1):.3f}, above the maximum of "
                f"{maximum_rate:g}"
            )


def _shares(seen: FloatArray, taken: FloatArray) -> FloatArray:
    return np.asarray(seen / np.maximum(taken, 1.0)[:, None])


def _cycle(candidates: int, rates: FloatArray, maximum_rate: float) -> ControlledCycle:
    return ControlledCycle(candidates, float(rates.max()), int((rates > maximum_rate).sum()))
