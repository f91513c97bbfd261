"""An adaptive test as it is given: its items, its rule, and who takes it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.configuration import require
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

    def __post_init__(self) -> None:
        """Refuse numbers that no candidate can be compared with, such as not-a-number."""
        numbers = [*self.parameters.ravel(), self.scaling_constant, *self.cuts]
        require(bool(np.isfinite(numbers).all()), "parameters, D and cuts must be finite")
        require(self.scaling_constant > 0.0, "D must be above 0")
        require(bool((np.diff(self.cuts) > 0.0).all()), "cuts must ascend")

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
