"""Linking: the linear change of scale that brings one set of estimates onto another.

With slope A and intercept B, an item (a, b, c) becomes (a / A, A·b + B, c) and an ability θ
becomes A·θ + B. The constants are estimated from items that both scales have
(`linking_methods.py`), with errors (`linking_errors.py`) that what is linked inherits.
Source: Kolen & Brennan (2014), *Test Equating, Scaling, and Linking*, ch. 6.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import FloatArray


@dataclass(frozen=True)
class LinkingConstants:
    """b* = slope · b + intercept, a* = a / slope, θ* = slope · θ + intercept."""

    slope: float
    intercept: float

    def inverse(self) -> "LinkingConstants":
        """Give the way back."""
        return LinkingConstants(1.0 / self.slope, -self.intercept / self.slope)

    def after(self, first: "LinkingConstants") -> "LinkingConstants":
        """Give the constants of `first`, then these."""
        return LinkingConstants(
            self.slope * first.slope, self.slope * first.intercept + self.intercept
        )


UNLINKED = LinkingConstants(1.0, 0.0)
"""Leaves everything where it is."""


def transform_items(parameters: FloatArray, constants: LinkingConstants) -> FloatArray:
    """State items on the other scale, ``(n_items, 3)``."""
    a, b, c = np.asarray(parameters, float).T
    return np.column_stack([a / constants.slope, constants.slope * b + constants.intercept, c])


def transform_covariances(covariance: FloatArray, constants: LinkingConstants) -> FloatArray:
    """Covariances of φ on the other scale, ``(n_items, 3, 3)``; only b stretches.

    The constants are taken as known; `linked_covariances` adds what their errors add.
    """
    stretch = np.array([1.0, constants.slope, 1.0])
    return np.asarray(covariance * np.outer(stretch, stretch))


def linked_covariances(
    parameters: FloatArray,
    covariance: FloatArray,
    constants: LinkingConstants,
    constants_covariance: FloatArray,
    influence: FloatArray | None = None,
) -> FloatArray:
    """Covariances of φ on the other scale, errors of the constants included, ``(n_items, 3, 3)``.

    By the delta method: φ* = (log a − log A, A·b + B, logit c) depends on the item and on (A, B).

    Parameters
    ----------
    parameters, covariance
        ``(n_items, 3)`` before the change of scale, and ``(n_items, 3, 3)`` of their φ.
    constants, constants_covariance
        The constants, and ``(2, 2)`` of (slope, intercept).
    influence
        ``(n_items, 2, 3)`` derivatives of the constants by each item's φ, for items that they were
        estimated from; these hang together with the constants. Zeros for all if None.
    """
    by_constants = np.zeros((len(parameters), 3, 2))
    by_constants[:, 0, 0] = -1.0 / constants.slope
    by_constants[:, 1, 0] = parameters[:, 1]
    by_constants[:, 1, 1] = 1.0
    linked = transform_covariances(covariance, constants)
    linked = linked + by_constants @ constants_covariance @ by_constants.transpose(0, 2, 1)
    if influence is not None:
        stretch = np.array([1.0, constants.slope, 1.0])
        shared = by_constants @ influence @ (covariance * stretch)
        linked = linked + shared + shared.transpose(0, 2, 1)
    return np.asarray(linked)


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
