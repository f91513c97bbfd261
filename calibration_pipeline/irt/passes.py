"""The passes over the answers: expected counts, derivatives, and the ability of every session.

A pass holds values alone. The tables follow from them where the answers are: they are as large as
what comes back, and the same code makes the same bytes of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibration_pipeline.irt import kernels
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.model import (
    FloatArray,
    probability_gradients,
    response_probabilities,
)
from calibration_pipeline.irt.population import Population, PopulationCells, ability_nodes
from calibration_pipeline.irt.shards import AnswerShards


@dataclass(frozen=True)
class FittedValues:
    """Items and population, at which a pass is taken.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    population
        The ability population.
    cells
        Group and covariate of its cells; which session is in which is known to the shards.
    configuration
        Quadrature and scaling constant.
    """

    parameters: FloatArray
    population: Population
    cells: PopulationCells
    configuration: EMConfiguration

    @property
    def nodes(self) -> FloatArray:
        """Abilities, ``(n_nodes,)``."""
        return ability_nodes(self.population, self.cells, self.configuration)


class Tables:
    """What the compiled loops look up, each made when it is first asked for."""

    def __init__(self, values: FittedValues) -> None:
        self._values = values
        self.nodes = values.nodes
        self._given = (self.nodes, values.parameters, values.configuration.scaling_constant)

    @cached_property
    def log_probabilities(self) -> FloatArray:
        """Logarithms of P(wrong) and P(right), rows 2j and 2j + 1, ``(2·n_items, n_nodes)``."""
        return log_probability_table(*self._given)

    @cached_property
    def log_weights(self) -> FloatArray:
        """Logarithm of each cell's density, ``(n_cells, n_nodes)``."""
        return self._values.population.log_weights(self.nodes, self._values.cells)

    @cached_property
    def probabilities(self) -> FloatArray:
        """P(right), ``(n_items, n_nodes)``."""
        return response_probabilities(*self._given)

    @cached_property
    def gradients(self) -> FloatArray:
        """Gradients of P(right) by φ, ``(n_items, 3, n_nodes)``."""
        return np.ascontiguousarray(probability_gradients(*self._given))


def log_probability_table(
    nodes: FloatArray, parameters: FloatArray, scaling_constant: float
) -> FloatArray:
    """Logarithms of P(wrong) and P(right), rows 2j and 2j + 1, ``(2·n_items, n_nodes)``."""
    p = np.clip(response_probabilities(nodes, parameters, scaling_constant), 1e-15, 1 - 1e-15)
    table = np.empty((2 * len(parameters), len(nodes)))
    table[0::2] = np.log1p(-p)
    table[1::2] = np.log(p)
    return table


@dataclass(frozen=True)
class CountPass:
    """Expected counts ``(2·n_items, n_nodes)``, mass ``(n_cells, n_nodes)``, log-likelihood."""

    values: FittedValues

    def over(self, shards: AnswerShards) -> "_Counts":
        """Make the tables."""
        return _Counts(shards, Tables(self.values))


@dataclass(frozen=True)
class _Counts:
    shards: AnswerShards
    tables: Tables

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        counts, mass = self.tables.log_probabilities.shape, self.tables.log_weights.shape
        return (counts[0], counts[1]), (mass[0], mass[1]), (1, 1)

    def fill(self, first: int, n_shards: int, buffers: Sequence[FloatArray]) -> None:
        shards, tables = self.shards, self.tables
        counts, masses, log_likelihoods = buffers
        kernels.count_wave(
            first, n_shards, shards.boundaries, shards.session_offsets, shards.rows,
            shards.weights, shards.cell, tables.log_probabilities, tables.log_weights,
            counts, masses, log_likelihoods.reshape(-1),
        )  # fmt: skip


@dataclass(frozen=True)
class InformationPass:
    """Score, information and residuals of every item: `kernels.information_wave`'s sums."""

    values: FittedValues

    def over(self, shards: AnswerShards) -> "_Information":
        """Make the tables."""
        return _Information(shards, Tables(self.values))


@dataclass(frozen=True)
class _Information:
    shards: AnswerShards
    tables: Tables

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        return ((len(self.tables.probabilities), kernels.INFORMATION_SUMS),)

    def fill(self, first: int, n_shards: int, buffers: Sequence[FloatArray]) -> None:
        shards, tables = self.shards, self.tables
        kernels.information_wave(
            first, n_shards, shards.boundaries, shards.session_offsets, shards.rows,
            shards.weights, shards.cell, tables.log_probabilities, tables.log_weights,
            tables.probabilities, tables.gradients, buffers[0],
        )  # fmt: skip


@dataclass(frozen=True)
class AbilityPass:
    """Posterior mean and standard deviation of every session's ability, ``(2, n_sessions)``."""

    values: FittedValues

    def of(self, shards: AnswerShards) -> FloatArray:
        """Compute them."""
        tables = Tables(self.values)
        moments = np.empty((2, shards.n_sessions))
        kernels.ability_moments(
            shards.session_offsets, shards.rows, shards.weights, shards.cell,
            tables.log_probabilities, tables.log_weights, tables.nodes, *moments,
        )  # fmt: skip
        return moments
