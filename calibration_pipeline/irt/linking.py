"""Linking: the linear change of scale that brings one set of estimates onto another.

With slope A and intercept B, an item (a, b, c) becomes (a / A, A·b + B, c) and an ability θ
becomes A·θ + B. Sources: Stocking & Lord (1983), Applied Psychological Measurement 7, 201–210;
Kolen & Brennan (2014), *Test Equating, Scaling, and Linking*, ch. 6.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from calibration_pipeline.irt.model import FloatArray, response_probabilities


@dataclass(frozen=True)
class LinkingConstants:
    """b* = slope · b + intercept, a* = a / slope, θ* = slope · θ + intercept."""

    slope: float
    intercept: float


UNLINKED = LinkingConstants(1.0, 0.0)
"""Leaves everything where it is."""


def mean_sigma(new: FloatArray, reference: FloatArray) -> LinkingConstants:
    """Match mean and standard deviation of the common items' difficulties (Marco 1977).

    Parameters
    ----------
    new, reference
        ``(n_common, 3)`` the same items on either scale; at least two with distinct difficulty.
    """
    slope = float(reference[:, 1].std() / new[:, 1].std())
    return LinkingConstants(slope, float(reference[:, 1].mean() - slope * new[:, 1].mean()))


def stocking_lord(
    new: FloatArray,
    reference: FloatArray,
    *,
    scaling_constant: float = 1.0,
    nodes: FloatArray | None = None,
    weights: FloatArray | None = None,
    slope_is_free: bool = True,
) -> LinkingConstants:
    """Match the common items' test characteristic curves on the reference scale.

    Minimises Σ_q w_q (Σ_j P_j(θ_q; reference) − Σ_j P_j(θ_q; new, transformed))².

    Parameters
    ----------
    new, reference
        ``(n_common, 3)`` the same items on either scale.
    scaling_constant
        D of both.
    nodes, weights
        ``(n_nodes,)`` abilities on the reference scale and their weights; 40 equally spaced
        points on [−4, 4] with equal weights unless given.
    slope_is_free
        False for Rasch-type items, whose scales differ in origin only.
    """
    theta = np.linspace(-4.0, 4.0, 40) if nodes is None else nodes
    root_weights = np.ones_like(theta) if weights is None else np.sqrt(weights)
    target = response_probabilities(theta, reference, scaling_constant).sum(axis=0)

    def residuals(constants: FloatArray) -> FloatArray:
        slope, intercept = constants if slope_is_free else (1.0, constants[0])
        moved = transform_items(new, LinkingConstants(slope, intercept))
        curve = response_probabilities(theta, moved, scaling_constant).sum(axis=0)
        return np.asarray(root_weights * (curve - target))

    start = mean_sigma(new, reference) if slope_is_free and np.ptp(new[:, 1]) > 0 else None
    if start is None:
        shift = float(reference[:, 1].mean() - new[:, 1].mean())
        first = np.array([1.0, shift] if slope_is_free else [shift])
    else:
        first = np.array([start.slope, start.intercept])
    solution = least_squares(residuals, first, xtol=1e-12, ftol=1e-12, gtol=1e-12).x
    if slope_is_free:
        return LinkingConstants(float(solution[0]), float(solution[1]))
    return LinkingConstants(1.0, float(solution[0]))


def transform_items(parameters: FloatArray, constants: LinkingConstants) -> FloatArray:
    """State items on the other scale, ``(n_items, 3)``."""
    a, b, c = np.asarray(parameters, float).T
    return np.column_stack([a / constants.slope, constants.slope * b + constants.intercept, c])


def transform_covariances(covariance: FloatArray, constants: LinkingConstants) -> FloatArray:
    """Covariances of φ on the other scale, ``(n_items, 3, 3)``; only b stretches."""
    stretch = np.array([1.0, constants.slope, 1.0])
    return np.asarray(covariance * np.outer(stretch, stretch))


def transform_natural(
    information: FloatArray, linear: FloatArray, constants: LinkingConstants
) -> tuple[FloatArray, FloatArray]:
    """Natural parameters (Λ, η) of Gaussians on φ, stated on the other scale.

    φ* = Sφ + s with S = diag(1, slope, 1) and s = (−log slope, intercept, 0), so
    Λ* = S⁻¹ΛS⁻¹ and η* = S⁻¹η + Λ*s.

    Parameters
    ----------
    information, linear
        ``(n_items, 3, 3)`` and ``(n_items, 3)``.
    """
    shrink = np.array([1.0, 1.0 / constants.slope, 1.0])
    shift = np.array([-np.log(constants.slope), constants.intercept, 0.0])
    moved = information * np.outer(shrink, shrink)
    return moved, linear * shrink + moved @ shift
