"""The items of one scale, before a night's fit and after it."""

from dataclasses import dataclass, field

import numpy as np

from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.policy.differential import ComparedGroups
from calibration_pipeline.records import BoolArray, FloatArray, ScaleState


@dataclass(frozen=True)
class ScaleItems:
    """The items of one scale before the fit; rows are the scale's items in bank order.

    Attributes
    ----------
    start
        ``(n, 3)`` starting values, and the values of what is fixed.
    free
        ``(n, 3)`` coordinates to estimate.
    is_anchor
        ``(n,)`` held at the reference to define the scale.
    prior_mean, prior_precision
        ``(n, 3)`` base prior on φ.
    information, linear
        ``(n, 3, 3)`` and ``(n, 3)`` carried information.
    baseline
        ``(n, 3)`` parameters of the night that set the scale of a pool without anchors; NaN
        where that night had too few answers. None when anchors hold the scale, or on that night.
    reference_covariance
        ``(n, 3, 3)`` errors of the anchors' references; None where all are taken as known.
    """

    start: FloatArray
    free: BoolArray
    is_anchor: BoolArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    information: FloatArray
    linear: FloatArray
    baseline: FloatArray | None
    reference_covariance: FloatArray | None = None

    @property
    def reference_errors(self) -> FloatArray:
        """Covariances of the references' φ, ``(n, 3, 3)``; zeros where they are known."""
        known = np.zeros((len(self.start), 3, 3))
        return known if self.reference_covariance is None else self.reference_covariance

    @property
    def before_window(self) -> ItemPriors:
        """Base prior × carried information, on the free coordinates."""
        pairs = self.free[:, :, None] & self.free[:, None, :]
        precision = np.where(self.free, self.prior_precision, 0.0)
        mean = np.where(self.free, self.prior_mean, 0.0)
        return ItemPriors(
            precision[:, :, None] * np.eye(3) + np.where(pairs, self.information, 0.0),
            precision * mean + np.where(self.free, self.linear, 0.0),
        )


@dataclass(frozen=True)
class ScaleFit:
    """The fitted items of one scale; rows as in `ScaleItems`.

    `released` says of the anchors that were released tonight, by row, why.
    """

    parameters: FloatArray
    covariance: FloatArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    shadow_parameters: FloatArray
    infit: FloatArray
    outfit: FloatArray
    infit_se: FloatArray
    outfit_se: FloatArray
    carried_shift: FloatArray
    carried_shift_se: FloatArray
    is_contradicted: BoolArray
    state: ScaleState
    compared: ComparedGroups | None = None
    released: dict[int, str] = field(default_factory=dict)
