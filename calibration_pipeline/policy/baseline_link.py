"""The link of a scale without anchors: tonight's items to those of the night that set the scale."""

import numpy as np

from calibration_pipeline.irt.linking import UNLINKED, LinkingConstants
from calibration_pipeline.irt.linking_curves import CurveSettings, Quadrature
from calibration_pipeline.irt.linking_methods import stocking_lord
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.scale_items import ScaleItems
from calibration_pipeline.records import FloatArray, IntArray


def link_to_baseline(
    items: ScaleItems,
    parameters: FloatArray,
    counts: IntArray,
    configuration: CalibrationConfiguration,
) -> LinkingConstants:
    """Constants that bring tonight's scale to the first night's; (1, 0) where nothing is due.

    Parameters
    ----------
    items
        Before the fit, with their baseline.
    parameters
        ``(n, 3)`` as fitted.
    counts
        ``(n,)`` answers in the window.
    configuration
        The answers that an item needs, and D.
    """
    if items.baseline is None:
        return UNLINKED
    common = np.isfinite(items.baseline).all(axis=1) & items.free[:, 1]
    common &= counts >= configuration.minimum_responses
    has_slopes = bool(items.free[:, 0].any())
    if common.sum() < (2 if has_slopes else 1):
        return UNLINKED
    return stocking_lord(
        parameters[common],
        items.baseline[common],
        CurveSettings(Quadrature.equal(), scaling_constant=configuration.em.scaling_constant),
        slope_is_free=has_slopes,
    )
