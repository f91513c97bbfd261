"""Anchors that have credibly moved hold the scale no longer: they are released for the night.

An anchor that is held at a value which it no longer has pulls the scale, and with it all items. So
after a first fit every anchor's shadow refit is compared with its reference, on the scale that the
anchors which agree with each other say (`irt/robust_linking.py`). Those that lie far off, credibly,
are fitted like free items in a second fit: by their base prior and the window alone, since what
they carry is of the item as it was. Only the fit knows of it. What is published of them, and what
later nights hold them at, stays the reference, until another set is activated.

Anchors that all moved together agree with each other, and none of them is released.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from calibration_pipeline.irt.linking_estimates import CommonItems
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.robust_linking import link_robustly
from calibration_pipeline.policy.anchor_errors import given_guessing
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.links import curve_settings, rejection_of
from calibration_pipeline.policy.scale_items import ScaleItems
from calibration_pipeline.records import IntArray

GUESSING = 2


def moved_anchors(
    items: ScaleItems,
    shadow: FloatArray,
    shadow_covariance: FloatArray,
    counts: IntArray,
    configuration: CalibrationConfiguration,
) -> dict[int, str]:
    """Anchors to release, by position, each with its reason; the most credible come first.

    So many anchors with enough answers as linking needs are held in any case.

    Parameters
    ----------
    items
        Before the fit.
    shadow, shadow_covariance
        ``(n, 3)`` shadow refits, and ``(n, 3, 3)`` of their φ.
    counts
        ``(n,)`` answers in the window.
    configuration
        When a movement is large and credible, and the least number of anchors.
    """
    enough = counts >= configuration.minimum_anchor_responses
    asked = np.flatnonzero(items.is_anchor & enough)
    spare = len(asked) - configuration.minimum_anchors
    if spare < 1:
        return {}
    references = CommonItems(
        new=shadow[asked],
        reference=items.start[asked],
        new_covariance=shadow_covariance[asked],
        reference_covariance=given_guessing(items.reference_errors[asked]),
        method=configuration.linking_method,
        settings=curve_settings(configuration),
        slope_is_free=bool(items.free[:, 0].any()),
        corrects_attenuation=configuration.linking_corrects_attenuation,
        weighs_by_precision=configuration.linking_weights == "precision",
    )
    try:
        found = link_robustly(references, rejection_of(configuration)).differences
    except ValueError:  # anchors of one difficulty under mean/sigma
        return {}
    moved = np.abs(found.difficulty) > configuration.difficulty_drift
    moved &= np.abs(found.difficulty_z) >= configuration.flags.drift_credible_z
    clearest = np.argsort(-np.abs(found.difficulty_z), kind="stable")
    return {
        int(asked[place]): (
            f"moved by {found.difficulty[place]:+.2f} (z {found.difficulty_z[place]:+.1f})"
        )
        for place in [place for place in clearest if moved[place]][:spare]
    }


def with_released(items: ScaleItems, released: Mapping[int, str]) -> ScaleItems:
    """Free some anchors in everything but guessing, which answers hardly inform."""
    if not released:
        return items
    at = np.array(sorted(released), np.int64)
    free, information, linear = items.free.copy(), items.information.copy(), items.linear.copy()
    free[at] = items.free.any(axis=0)
    free[at, GUESSING] = False
    information[at], linear[at] = 0.0, 0.0
    return replace(items, free=free, information=information, linear=linear)
