"""Two ways to find with what probability an item may be given: simulate, and correct.

Sympson–Hetter (Sympson & Hetter 1985) multiplies each probability by the ratio of the wanted to
the simulated rate, damped by a power. An item that is held back pushes others forward, so that it
goes back and forth and need not arrive.

The item-eligibility method (van der Linden & Veldkamp 2004, 2007, doi:10.3102/1076998606298040)
sets the probability of item i to

    min(1, maximum rate · ε_i / α_i)

where ε_i counts the candidates to whom it was open and α_i those who saw it, updated after every
block of candidates, with old blocks fading. As the best items are held back, others come forward
that were seen by few until then; what was counted before holds them open. So counts look back on
two blocks alone until the large ones at the end, which average the noise away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.adaptive_test import AdaptiveTest
from calibration_pipeline.irt.configuration import require
from calibration_pipeline.irt.model import FloatArray

Tell = Callable[[], None]
"""Told after every cycle: a progress bar."""

_NEVER_SEEN = 1.1
"""What Sympson–Hetter multiplies the probability of an item by that nobody saw."""
_MEMORY = 2.0
"""So many cycles the eligibility method's counts look back on, while rates still move."""
_MOVING_SHARE = 0.7
"""Of the cycles: while they last, rates move."""
_GROWTH = 0.4
"""So many more cycles the counts look back on for each one after that."""


def unheard() -> None:
    """Tell nobody."""


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

    def __post_init__(self) -> None:
        """Refuse what can't be iterated; not-a-number is none of it."""
        require(self.cycles >= 1, "cycles must be 1 or more")
        require(self.candidates >= 1, "candidates must be 1 or more")
        require(0.0 < self.damping <= 1.0, "damping must lie above 0 and not above 1")
        require(0.0 < self.floor <= self.ceiling <= 1.0, "0 < floor <= ceiling <= 1 must hold")

    def search(
        self,
        test: AdaptiveTest,
        maximum_rate: FloatArray | float,
        generator: np.random.Generator,
        tell: Tell = unheard,
    ) -> tuple[FloatArray, tuple[ControlledCycle, ...]]:
        """Give the probabilities after the last cycle, and the cycles.

        ``maximum_rate`` may be ``(n_levels, 1)``.
        """
        probability = np.ones((len(test.cuts) + 1, test.n_items))
        cycles = []
        for _ in range(self.cycles):
            abilities, sessions = test.simulate(self.candidates, probability, generator)
            rates = shares_of(test.seen(abilities, sessions), test.taken(abilities))
            cycles.append(_cycle(self.candidates, rates, maximum_rate))
            tell()
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

    def __post_init__(self) -> None:
        """Refuse cycles that nobody is simulated in."""
        require(min(self.candidates, default=0) >= 1, "each cycle needs 1 candidate or more")

    def search(
        self,
        test: AdaptiveTest,
        maximum_rate: FloatArray | float,
        generator: np.random.Generator,
        tell: Tell = unheard,
    ) -> tuple[FloatArray, tuple[ControlledCycle, ...]]:
        """Give the probabilities after the last cycle, and the cycles.

        ``maximum_rate`` may be ``(n_levels, 1)``.
        """
        shape = (len(test.cuts) + 1, test.n_items)
        probability, eligible, seen = np.ones(shape), np.zeros(shape), np.zeros(shape)
        cycles = []
        for number, candidates in enumerate(self.candidates):
            abilities, sessions = test.simulate(candidates, probability, generator)
            taken, now_seen = test.taken(abilities), test.seen(abilities, sessions)
            cycles.append(_cycle(candidates, shares_of(now_seen, taken), maximum_rate))
            tell()
            kept = 1.0 - 1.0 / self._memory(number)
            eligible = kept * eligible + taken[:, None] * probability
            seen = kept * seen + now_seen
            ratio = eligible / np.where(seen > 0.0, seen, 1.0)
            probability = np.where(seen > 0.0, np.minimum(1.0, maximum_rate * ratio), 1.0)
        return probability, tuple(cycles)

    def _memory(self, number: int) -> float:
        """Give how many cycles the counts look back on in the one with this number."""
        settled = number - _MOVING_SHARE * len(self.candidates)
        return _MEMORY + _GROWTH * max(0.0, settled)


def shares_of(seen: FloatArray, taken: FloatArray) -> FloatArray:
    """Share of each level's candidates that saw each item, ``(n_levels, n_items)``."""
    return np.asarray(seen / np.maximum(taken, 1.0)[:, None])


def _cycle(candidates: int, rates: FloatArray, maximum_rate: FloatArray | float) -> ControlledCycle:
    return ControlledCycle(candidates, float(rates.max()), int((rates > maximum_rate).sum()))
