"""The exact posterior of one item, given all others: what nights carry on as a Gaussian.

The abilities are integrated out over the night's nodes, each session's with the weights that its
*other* answers give them, so that no answer counts twice:

    log p(φ | answers) = log prior(φ) + Σ_s log Σ_q w_sq P(answer of s | θ_q, φ)^weight + constant

It is exact in φ; what is held are the other items and the population.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt import kernels
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.model import (
    BoolArray,
    FloatArray,
    from_internal,
    response_probabilities,
)
from calibration_pipeline.irt.passes import log_probability_table
from calibration_pipeline.irt.population import Population, ability_nodes
from calibration_pipeline.irt.responses import ResponseData

_LEAST = 1e-12
"""Probabilities are kept this far from 0 and 1."""


@dataclass(frozen=True)
class ItemEvidence:
    """What the answers to one item say of it.

    Attributes
    ----------
    nodes
        ``(n_nodes,)`` abilities.
    ability_weights
        ``(n_answers, n_nodes)`` of each answer's session, from its other answers; rows sum to 1.
    correct
        ``(n_answers,)`` 1 for a right answer, 0 for a wrong one.
    weights
        ``(n_answers,)`` how often each counts.
    scaling_constant
        D.
    """

    nodes: FloatArray
    ability_weights: FloatArray
    correct: NDArray[np.uint8]
    weights: FloatArray
    scaling_constant: float

    @property
    def n_answers(self) -> int:
        """Number of answers."""
        return len(self.correct)


@dataclass(frozen=True)
class ItemPosterior:
    """The posterior of one item's φ = (log a, b, logit c), up to a constant.

    Attributes
    ----------
    evidence
        The answers.
    precision, linear
        ``(3, 3)`` and ``(3,)`` natural parameters of the Gaussian that stood before them.
    free
        ``(3,)`` coordinates that are unknown.
    has_guessing
        Whether c is above 0.
    """

    evidence: ItemEvidence
    precision: FloatArray
    linear: FloatArray
    free: BoolArray
    has_guessing: bool

    def log_density(self, internal: FloatArray) -> FloatArray:
        """Log posterior density at some values, ``(n,)``.

        Parameters
        ----------
        internal
            ``(n, 3)`` values of φ.
        """
        evidence = self.evidence
        parameters = from_internal(internal, np.full(len(internal), self.has_guessing))
        p = response_probabilities(evidence.nodes, parameters, evidence.scaling_constant)
        likelihood = np.zeros(len(internal))
        for weight in np.unique(evidence.weights):
            for is_right, of_answer in ((1, p), (0, 1.0 - p)):
                rows = (evidence.weights == weight) & (evidence.correct == is_right)
                powers = np.clip(of_answer, _LEAST, 1.0) ** weight
                likelihood += np.log(evidence.ability_weights[rows] @ powers.T).sum(axis=0)
        quadratic = np.einsum("nk,km,nm->n", internal, self.precision, internal)
        return np.asarray(likelihood + internal @ self.linear - 0.5 * quadratic)


def item_evidence(
    data: ResponseData,
    item: int,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> ItemEvidence:
    """Gather what the answers to one item say of it, all other items held.

    Parameters
    ----------
    data
        The answers, those of whole sessions.
    item
        The item's number.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    population
        The ability population.
    configuration
        Quadrature and scaling constant.
    """
    cells = data.population_cells
    nodes = ability_nodes(population, cells, configuration)
    answers = np.flatnonzero(data.item == item)
    posteriors = np.empty((len(answers), len(nodes)))
    kernels.other_answers(
        answers,
        np.searchsorted(data.session_offsets, answers, side="right") - 1,
        data.session_offsets,
        data.table_rows,
        data.weight_array,
        cells.cell,
        log_probability_table(nodes, parameters, configuration.scaling_constant),
        population.log_weights(nodes, cells),
        posteriors,
    )
    weights = np.ones(len(answers)) if data.weights is None else data.weights[answers]
    return ItemEvidence(
        nodes, posteriors, data.correct[answers], weights, configuration.scaling_constant
    )
