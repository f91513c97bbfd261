"""What pre-knowledge of an item looks like, and what is known about an item before it.

An answer of a candidate who doesn't know the item follows the 3PL, and the logarithm of its time is
normal around the item's mean less the candidate's speed (van der Linden 2006, Journal of
Educational and Behavioral Statistics 31, 181–204). Of those who know it, a share `success` is
right, and they need `time_factor` of the usual time. A leak reaches a share of the candidates: the
alternative is the mixture.

An item's parameters are never known exactly. They are integrated over nodes of their posterior,
placed along the directions in which their errors show in answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.configuration import require
from calibration_pipeline.irt.model import (
    FloatArray,
    from_internal,
    probability_gradients,
    to_internal,
)

IntArray = NDArray[np.int64]

_DESIGN_OFFSETS = np.linspace(-1.3, 1.7, 13)
"""Abilities around the difficulty at which errors of the parameters are weighed: an adaptive test
gives an item to candidates near it."""
_DESIGN_WEIGHTS = np.exp(-0.5 * np.square((_DESIGN_OFFSETS - 0.2) / 0.6))


@dataclass(frozen=True)
class LeakModel:
    """The alternatives that are watched for, and how unknowns are integrated.

    Attributes
    ----------
    shares
        Shares of candidates with pre-knowledge; each has a CUSUM of its own.
    budgets
        How the false alarms are divided over the shares; sums to 1.
    success
        Probability of a right answer with pre-knowledge.
    time_factor
        Time that an answer takes with pre-knowledge, as a share of the usual time.
    maximum_time_ratio
        How much one answer's time may speak for a leak, as a likelihood ratio: a slip of the
        finger takes no time either.
    parameter_nodes
        Nodes of the item's posterior along its first and its second direction.
    time_nodes
        Nodes for the item's mean log time.
    ability_nodes
        Nodes for the ability, given the session's other answers.
    scaling_constant
        D.
    """

    shares: tuple[float, ...] = (0.2, 0.6)
    budgets: tuple[float, ...] = (0.85, 0.15)
    success: float = 0.95
    time_factor: float = 0.6
    maximum_time_ratio: float = 50.0
    parameter_nodes: tuple[int, int] = (7, 3)
    time_nodes: int = 3
    ability_nodes: int = 7
    scaling_constant: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values under which the test means nothing.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        require(len(self.shares) > 0, "shares must name at least one")
        require(all(0 < share <= 1 for share in self.shares), "shares must lie in (0, 1]")
        require(len(self.budgets) == len(self.shares), "budgets must be as many as shares")
        require(all(budget > 0 for budget in self.budgets), "every one of budgets must be above 0")
        require(abs(sum(self.budgets) - 1) < 1e-9, "budgets must sum to 1")
        require(0 < self.success < 1, "success must lie between 0 and 1")
        require(0 < self.time_factor < 1, "time_factor must lie between 0 and 1")
        require(self.maximum_time_ratio > 1, "maximum_time_ratio must be above 1")
        nodes = (*self.parameter_nodes, self.time_nodes, self.ability_nodes)
        require(all(count >= 1 for count in nodes), "every number of nodes must be 1 or more")
        require(self.scaling_constant > 0, "scaling_constant must be above 0")

    @property
    def n_nodes(self) -> int:
        """Nodes of an item's posterior, times included."""
        return self.parameter_nodes[0] * self.parameter_nodes[1] * self.time_nodes


@dataclass(frozen=True)
class ItemKnowledge:
    """What is believed about items that haven't leaked. Arrays share their leading dimensions.

    Attributes
    ----------
    parameters
        ``(…, 3)`` discrimination, difficulty, guessing; NaN: nothing is known.
    covariance
        ``(…, 3, 3)`` of φ = (log a, b, logit c).
    time_mean, time_mean_se
        ``(…,)`` mean of log seconds at average speed, and its standard error; NaN where too few
        times are known.
    time_variance
        ``(…,)`` of one candidate's log seconds around it.
    """

    parameters: FloatArray
    covariance: FloatArray
    time_mean: FloatArray
    time_mean_se: FloatArray
    time_variance: FloatArray

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Where the parameters are known, ``(…,)``."""
        return np.asarray(np.isfinite(self.parameters).all(axis=-1))

    @property
    def is_timed(self) -> NDArray[np.bool_]:
        """Where times may be used, ``(…,)``."""
        return np.isfinite(self.time_mean)

    def at(self, index: object) -> "ItemKnowledge":
        """Select items, by anything that indexes an array."""
        return ItemKnowledge(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def where(self, condition: NDArray[np.bool_], other: "ItemKnowledge") -> "ItemKnowledge":
        """Keep these items where the condition holds, and take the other ones elsewhere."""

        def choose(mine: FloatArray, others: FloatArray) -> FloatArray:
            shape = condition.shape + (1,) * (mine.ndim - condition.ndim)
            return np.where(condition.reshape(shape), mine, others)

        return ItemKnowledge(
            *(choose(getattr(self, n), getattr(other, n)) for n in self.__dataclass_fields__)
        )

    @classmethod
    def nothing(cls, *shape: int) -> "ItemKnowledge":
        """Nothing known about any item."""
        fields = ((*shape, 3), (*shape, 3, 3), shape, shape, shape)
        return cls(*(np.full(field, np.nan) for field in fields))


@dataclass(frozen=True)
class KnowledgeNodes:
    """Nodes of items' posteriors; every one of a node's parameters is combined with every time.

    Attributes
    ----------
    parameters
        ``(n_items, n_parameter_nodes, 3)`` discrimination, difficulty, guessing.
    time_mean
        ``(n_items, n_time_nodes)``; NaN where times aren't used.
    time_variance
        ``(n_items,)``.
    """

    parameters: FloatArray
    time_mean: FloatArray
    time_variance: FloatArray


def normal_nodes(count: int) -> tuple[FloatArray, FloatArray]:
    """Gauss–Hermite nodes of a standard normal variable, and their probabilities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def node_weights(model: LeakModel) -> FloatArray:
    """Prior probability of each node, ``(n_nodes,)``: parameters slowest, times fastest."""
    first, second = (normal_nodes(count)[1] for count in model.parameter_nodes)
    times = normal_nodes(model.time_nodes)[1]
    return np.asarray(np.einsum("i,j,k->ijk", first, second, times).ravel())


def knowledge_nodes(knowledge: ItemKnowledge, model: LeakModel) -> KnowledgeNodes:
    """Place the nodes of every item's posterior.

    With Σ = L·Lᵀ the covariance of φ and M the mean of ∇P·∇Pᵀ over abilities near the difficulty,
    the eigenvectors of Lᵀ·M·L are the independent directions of error, by how much they move the
    probability of a right answer. The first two carry almost all of it.

    Parameters
    ----------
    knowledge
        Of ``(n_items,)`` items, all with known parameters.
    model
        Numbers of nodes, and D.
    """
    internal = to_internal(knowledge.parameters)
    values, vectors = np.linalg.eigh(_symmetric(knowledge.covariance))
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    sensitivity = _sensitivity(knowledge.parameters, model.scaling_constant)
    _, axes = np.linalg.eigh(_symmetric(root.transpose(0, 2, 1) @ sensitivity @ root))
    directions = root @ axes[:, :, :0:-1]  # eigenvalues ascend: the last two, the largest first
    first, second = (normal_nodes(count)[0] for count in model.parameter_nodes)
    z = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    phi = internal[:, None, :] + np.einsum("gk,jmk->jgm", z, directions)
    has_guessing = np.repeat(knowledge.parameters[:, 2] > 0.0, len(z))
    parameters = from_internal(phi.reshape(-1, 3), has_guessing).reshape(phi.shape)
    offsets = normal_nodes(model.time_nodes)[0]
    time_mean = knowledge.time_mean[:, None] + knowledge.time_mean_se[:, None] * offsets
    return KnowledgeNodes(parameters, time_mean, knowledge.time_variance)


def _symmetric(matrices: FloatArray) -> FloatArray:
    return 0.5 * (matrices + matrices.transpose(0, 2, 1))


def _sensitivity(parameters: FloatArray, scaling_constant: float) -> FloatArray:
    """Mean outer product of the probability's gradient near each difficulty, ``(n, 3, 3)``."""
    centred = parameters * np.array([1.0, 0.0, 1.0])  # P depends on θ − b alone
    gradients = probability_gradients(_DESIGN_OFFSETS, centred, scaling_constant)
    total = np.einsum("q,jmq,jnq->jmn", _DESIGN_WEIGHTS, gradients, gradients)
    return np.asarray(total / _DESIGN_WEIGHTS.sum())
