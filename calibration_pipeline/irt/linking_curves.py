"""What the characteristic-curve methods compare: curves of the common items on one of two scales.

On the reference scale the new items are moved by (A, B) and compared with the reference; on the
new scale the reference items are moved back. A method may look at either scale or at both.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibration_pipeline.irt.configuration import LinkingMethod
from calibration_pipeline.irt.linking import LinkingConstants, transform_items
from calibration_pipeline.irt.model import (
    FloatArray,
    probability_gradients,
    response_probabilities,
)


@dataclass(frozen=True)
class Quadrature:
    """Abilities at which curves are compared, and their weights; the weights' sum doesn't matter.

    Attributes
    ----------
    nodes, weights
        ``(n_nodes,)`` abilities and weights, none of which is below 0.
    """

    nodes: FloatArray
    weights: FloatArray

    @classmethod
    def equal(cls, n_nodes: int = 40, low: float = -4.0, high: float = 4.0) -> "Quadrature":
        """Equally spaced nodes with equal weights."""
        return cls(np.linspace(low, high, n_nodes), np.ones(n_nodes))

    @classmethod
    def normal(cls, n_nodes: int = 40, low: float = -4.0, high: float = 4.0) -> "Quadrature":
        """Equally spaced nodes, weighted by the standard normal density."""
        nodes = np.linspace(low, high, n_nodes)
        return cls(nodes, np.exp(-0.5 * nodes**2))

    @classmethod
    def gauss_hermite(cls, n_nodes: int = 30) -> "Quadrature":
        """Gauss's nodes and weights for the standard normal population."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
        return cls(np.asarray(nodes), np.asarray(weights))

    @property
    def shares(self) -> FloatArray:
        """Weights that sum to 1."""
        return np.asarray(self.weights / self.weights.sum())


@dataclass(frozen=True)
class CurveSettings:
    """Where curves are compared.

    Attributes
    ----------
    on_reference, on_new
        Nodes on the reference scale and on the new one. None leaves that scale out; with both the
        criterion is symmetric: linking the other way gives the inverse.
    scaling_constant
        D of both sets of items.
    """

    on_reference: Quadrature | None = None
    on_new: Quadrature | None = None
    scaling_constant: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings under which nothing would be compared.

        Raises
        ------
        ValueError
            If neither scale has nodes.
        """
        if self.on_reference is None and self.on_new is None:
            raise ValueError("curves are compared on one scale at least: give nodes on either")


FORWARD = CurveSettings(on_reference=Quadrature.equal())
"""40 equally spaced nodes on [−4, 4] of the reference scale, equal weights, D = 1."""


@dataclass(frozen=True)
class Comparison:
    """The common items' curves on one scale: those that are moved there, and those that stay.

    Attributes
    ----------
    nodes, weights
        ``(n_nodes,)`` abilities on that scale, and weights that sum to 1.
    scaling_constant
        D.
    moved, still
        ``(n_common, 3)`` the items that are moved as they were before, and the others.
    is_back
        Whether the reference is moved back to the new scale.
    item_weights
        ``(n_common,)`` what each item's curves are multiplied by.
    """

    nodes: FloatArray
    weights: FloatArray
    scaling_constant: float
    moved: FloatArray
    still: FloatArray
    is_back: bool
    item_weights: FloatArray

    def move(self, constants: LinkingConstants) -> FloatArray:
        """State the items that are moved on the scale of the comparison, ``(n_common, 3)``."""
        return transform_items(self.moved, constants.inverse() if self.is_back else constants)

    def differences(self, constants: LinkingConstants) -> FloatArray:
        """Curves of the items moved minus those of the others, ``(n_common, n_nodes)``."""
        moved = response_probabilities(self.nodes, self.move(constants), self.scaling_constant)
        return self._weighted(moved - self._still_probabilities)

    def gradients(self, constants: LinkingConstants) -> FloatArray:
        """Derivatives of the differences by (A, B), ``(n_common, 2, n_nodes)``."""
        by_item = self.gradients_by(self.move(constants))
        return np.asarray(np.einsum("jkx,jkq->jxq", self.movement(constants), by_item))

    def gradients_by(self, items: FloatArray) -> FloatArray:
        """Derivatives of either items' curves by their own φ, ``(n_common, 3, n_nodes)``."""
        return self._weighted(probability_gradients(self.nodes, items, self.scaling_constant))

    def curvatures_by(self, items: FloatArray) -> FloatArray:
        """Second derivatives of either items' curves, ``(n_common, 3, 3, n_nodes)``."""
        return self._weighted(probability_curvatures(self.nodes, items, self.scaling_constant))

    def movement(self, constants: LinkingConstants) -> FloatArray:
        """Derivatives of the φ moved by (A, B), ``(n_common, 3, 2)``."""
        slope, b = constants.slope, self.moved[:, 1]
        jacobian = np.zeros((len(b), 3, 2))
        if self.is_back:
            jacobian[:, 0, 0] = 1.0 / slope
            jacobian[:, 1, 0] = -(b - constants.intercept) / slope**2
            jacobian[:, 1, 1] = -1.0 / slope
        else:
            jacobian[:, 0, 0] = -1.0 / slope
            jacobian[:, 1, 0] = b
            jacobian[:, 1, 1] = 1.0
        return jacobian

    def stretch(self, constants: LinkingConstants) -> FloatArray:
        """Diagonal of the derivatives of the φ moved by the φ before, ``(n_common, 3)``."""
        slope = 1.0 / constants.slope if self.is_back else constants.slope
        return np.tile([1.0, slope, 1.0], (len(self.moved), 1))

    def second_movements(self, constants: LinkingConstants) -> tuple[FloatArray, FloatArray]:
        """Second derivatives of the φ moved: twice by (A, B), and by (A, B) and the φ before.

        Returns
        -------
        tuple
            ``(n_common, 3, 2, 2)`` and ``(n_common, 3, 2, 3)``.
        """
        A, B, b = constants.slope, constants.intercept, self.moved[:, 1]
        twice, mixed = np.zeros((len(b), 3, 2, 2)), np.zeros((len(b), 3, 2, 3))
        if self.is_back:
            twice[:, 0, 0, 0] = -1.0 / A**2
            twice[:, 1, 0, 0] = 2.0 * (b - B) / A**3
            twice[:, 1, 0, 1] = twice[:, 1, 1, 0] = 1.0 / A**2
            mixed[:, 1, 0, 1] = -1.0 / A**2
        else:
            twice[:, 0, 0, 0] = 1.0 / A**2
            mixed[:, 1, 0, 1] = 1.0
        return twice, mixed

    def _weighted(self, curves: FloatArray) -> FloatArray:
        return np.asarray(curves * self.item_weights.reshape(-1, *(1,) * (curves.ndim - 1)))

    @cached_property
    def _still_probabilities(self) -> FloatArray:
        return response_probabilities(self.nodes, self.still, self.scaling_constant)


def curve_weights(method: LinkingMethod, item_weights: FloatArray | None) -> FloatArray | None:
    """What a method multiplies curves by: one adds up the curves, the other one their squares."""
    if item_weights is None or method == "stocking-lord":
        return item_weights
    return np.asarray(np.sqrt(item_weights))


def comparisons(
    new: FloatArray,
    reference: FloatArray,
    settings: CurveSettings,
    item_weights: FloatArray | None = None,
) -> tuple[Comparison, ...]:
    """Give the comparisons that the settings ask for, on the reference scale first.

    Parameters
    ----------
    new, reference
        ``(n_common, 3)`` the same items on either scale.
    settings
        Nodes, weights and D.
    item_weights
        ``(n_common,)`` what each item's curves are multiplied by; None for 1.
    """
    if item_weights is None:
        item_weights = np.ones(len(new))
    pairs = (
        (settings.on_reference, new, reference, False),
        (settings.on_new, reference, new, True),
    )
    return tuple(
        Comparison(
            quadrature.nodes,
            quadrature.shares,
            settings.scaling_constant,
            moved,
            still,
            is_back,
            item_weights,
        )
        for quadrature, moved, still, is_back in pairs
        if quadrature is not None
    )


def probability_curvatures(
    theta: FloatArray, parameters: FloatArray, scaling_constant: float = 1.0
) -> FloatArray:
    """Second derivatives of the probability by φ, ``(n_items, 3, 3, n_theta)``.

    Parameters
    ----------
    theta
        ``(n_theta,)`` abilities.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    scaling_constant
        D.
    """
    a, b, c = (column[:, None] for column in np.asarray(parameters, float).T)
    u = scaling_constant * a * (theta - b)
    with np.errstate(over="ignore"):
        logistic = 1.0 / (1.0 + np.exp(-u))
    first = logistic * (1.0 - logistic)
    second = first * (1.0 - 2.0 * logistic)
    steepness, open_share, guessed = scaling_constant * a, 1.0 - c, c * (1.0 - c)
    result = np.empty((len(parameters), 3, 3, len(theta)))
    result[:, 0, 0] = open_share * u * (second * u + first)
    result[:, 0, 1] = result[:, 1, 0] = -open_share * steepness * (second * u + first)
    result[:, 1, 1] = open_share * steepness**2 * second
    result[:, 0, 2] = result[:, 2, 0] = -guessed * first * u
    result[:, 1, 2] = result[:, 2, 1] = guessed * first * steepness
    result[:, 2, 2] = guessed * (1.0 - 2.0 * c) * (1.0 - logistic)
    return result
