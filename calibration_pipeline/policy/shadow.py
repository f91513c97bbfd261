"""Anchors as tonight's answers alone would have them: their drift is on record every night."""

import numpy as np

from calibration_pipeline.irt.expectation import MarginalDerivatives
from calibration_pipeline.irt.model import from_internal, to_internal
from calibration_pipeline.records import BoolArray, FloatArray

LARGEST_SHADOW_STEP = 1.0
"""A Newton step in log a or b beyond this is noise of a nearly flat likelihood."""


def shadow_refit(
    parameters: FloatArray,
    found: MarginalDerivatives,
    refit: BoolArray,
) -> FloatArray:
    """Anchors as tonight's answers alone would have them; other items as fitted, ``(n, 3)``.

    One Newton step in (log a, b) on the marginal likelihood: an M-step from the expected counts
    would shrink towards the reference. Guessing stays, since answers hardly inform it.
    """
    shadow = parameters.copy()
    if not refit.any():
        return shadow
    inverse = shadow_covariance(found.information[refit])[:, :2, :2]
    step = np.einsum("jkm,jm->jk", inverse, found.score[refit][:, :2])
    internal = to_internal(parameters[refit])
    internal[:, :2] += np.clip(step, -LARGEST_SHADOW_STEP, LARGEST_SHADOW_STEP)
    shadow[refit] = from_internal(internal, parameters[refit, 2] > 0.0)
    return shadow


def shadow_covariance(information: FloatArray) -> FloatArray:
    """Inverse information in (log a, b), guessing held, ``(n, 3, 3)``."""
    covariance = np.zeros_like(information)
    covariance[:, :2, :2] = np.linalg.inv(information[:, :2, :2] + 1e-6 * np.eye(2))
    return covariance
