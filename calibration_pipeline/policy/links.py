"""The night's link: what the anchors that have not drifted say about the scale of all the rest.

An anchor takes no part where it carries a credible drift flag, where it has too few answers, or
where robust linking finds that it lies off the others. Each is named with its reason.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.linking_curves import CurveSettings, Quadrature
from calibration_pipeline.irt.linking_estimates import CommonItems, EstimatedLink
from calibration_pipeline.irt.robust_linking import Rejection, link_robustly
from calibration_pipeline.policy.anchor_errors import given_guessing, reference_covariances
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import ANCHOR_DRIFT
from calibration_pipeline.policy.link_reasons import item_name, why_rejected
from calibration_pipeline.policy.populations import KnownPopulation, known_population
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    Flag,
    FloatArray,
    IntArray,
    ItemBank,
    ItemKey,
    ScaleLink,
)

NOT_LINKED = "none"
"""Method of a scale that is stated as it was fitted."""


def link_scales(
    state: CalibrationState,
    flags: Sequence[Flag],
    bank: ItemBank,
    anchors: AnchorSet,
    configuration: CalibrationConfiguration,
) -> tuple[ScaleLink, ...]:
    """Constants from each scale's shadow-refitted anchors to their references.

    References that are estimates have errors, which the constants' errors contain: a linked scale
    stands where its references are, wherever these had pulled the night's fit. A scale that was not
    fitted, or has fewer than `minimum_anchors` to link by, is stated as it was fitted: slope 1,
    intercept 0, both without error.

    Parameters
    ----------
    state, flags
        Tonight's accepted state and its flags.
    bank, anchors
        The pool and the anchor set the state was computed on.
    configuration
        Method, limits and bounds.
    """
    errors = given_guessing(reference_covariances(state, anchors))
    drifted = {flag.key: flag for flag in flags if flag.reason == ANCHOR_DRIFT and flag.is_credible}
    return tuple(
        _link(state, number, bank.scale_index == number, errors, drifted, configuration)
        for number in range(len(state.scales))
    )


def curve_settings(configuration: CalibrationConfiguration) -> CurveSettings:
    """Where characteristic curves are compared, as configured."""
    bound = configuration.linking_quadrature_bound
    nodes = Quadrature.equal(configuration.linking_quadrature_nodes, -bound, bound)
    return CurveSettings(
        on_reference=nodes,
        on_new=nodes if configuration.linking_is_symmetric else None,
        scaling_constant=configuration.em.scaling_constant,
    )


def rejection_of(configuration: CalibrationConfiguration) -> Rejection:
    """When an anchor is left out, as configured."""
    return Rejection(
        configuration.anchor_rejection_z,
        configuration.maximum_anchor_shift,
        configuration.minimum_anchors,
    )


def constants_of(link: ScaleLink) -> LinkingConstants:
    """Give the constants in the numerics' form."""
    return LinkingConstants(link.slope, link.intercept)


def constants_covariance(link: ScaleLink) -> FloatArray:
    """Covariance of (slope, intercept), ``(2, 2)``."""
    shared = link.slope_intercept_covariance
    return np.array([[link.slope_se**2, shared], [shared, link.intercept_se**2]])


def published_populations(
    state: CalibrationState, links: Sequence[ScaleLink]
) -> dict[str, KnownPopulation]:
    """State each scale's population on the scale of the published items."""
    return {
        scale.name: known_population(scale, constants_of(link))
        for scale, link in zip(state.scales, by_scale(state, links), strict=True)
    }


def by_scale(state: CalibrationState, links: Sequence[ScaleLink]) -> list[ScaleLink]:
    """Put links in the order of the state's scales."""
    found = {link.scale: link for link in links}
    return [found[scale.name] for scale in state.scales]


def within_bounds(
    constants: LinkingConstants,
    slope_range: tuple[float, float],
    intercept_range: tuple[float, float],
) -> bool:
    """Whether constants are as near (1, 0) as a link may be, ends included."""
    low, high = slope_range
    lowest, highest = intercept_range
    return low <= constants.slope <= high and lowest <= constants.intercept <= highest


def _link(
    state: CalibrationState,
    number: int,
    in_scale: BoolArray,
    reference_errors: FloatArray,
    drifted: dict[ItemKey, Flag],
    configuration: CalibrationConfiguration,
) -> ScaleLink:
    name = state.scales[number].name
    anchors = np.flatnonzero(state.is_anchor & in_scale)
    released = dict(state.scales[number].released_anchors)
    reasons = {
        int(j): _why_not_asked(state, int(j), released, drifted, configuration) for j in anchors
    }
    asked = np.array([j for j in anchors if not reasons[int(j)]], np.int64)
    rejection = rejection_of(configuration)
    found = None
    if state.scales[number].fitted and len(asked) >= configuration.minimum_anchors:
        items = _common_items(state, asked, reference_errors, in_scale, configuration)
        found = _estimate(items, rejection)
    if found is not None:
        for place, j in enumerate(asked):
            reasons[int(j)] = why_rejected(found, place, rejection)
    left_out = {item_name(state.keys[j]): reason for j, reason in reasons.items() if reason}
    if found is None:
        return ScaleLink(name, NOT_LINKED, 1.0, 0.0, 0, left_out, is_within_bounds=True)
    return _recorded(name, found, left_out, configuration)


def _common_items(
    state: CalibrationState,
    anchors: IntArray,
    reference_errors: FloatArray,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
) -> CommonItems:
    """The anchors that were asked, by tonight's answers alone and by their references."""
    return CommonItems(
        new=state.shadow_parameters[anchors],
        reference=state.parameters[anchors],
        new_covariance=state.covariance[anchors],
        reference_covariance=reference_errors[anchors],
        method=configuration.linking_method,
        settings=curve_settings(configuration),
        slope_is_free=_has_slopes(state, in_scale),
        corrects_attenuation=configuration.linking_corrects_attenuation,
        weighs_by_precision=configuration.linking_weights == "precision",
    )


def _estimate(items: CommonItems, rejection: Rejection) -> EstimatedLink | None:
    """Link by the anchors that were asked; None where they can't tell the constants."""
    try:
        return link_robustly(items, rejection)
    except ValueError:  # anchors of one difficulty under mean/sigma: a verdict, not a crash
        return None


def _recorded(
    name: str,
    found: EstimatedLink,
    left_out: dict[str, str],
    configuration: CalibrationConfiguration,
) -> ScaleLink:
    slope_se, intercept_se = found.standard_errors
    return ScaleLink(
        scale=name,
        method=configuration.linking_method,
        slope=found.constants.slope,
        intercept=found.constants.intercept,
        anchors_used=int(found.is_kept.sum()),
        anchors_left_out=left_out,
        is_within_bounds=within_bounds(
            found.constants, configuration.linking_slope_range,
            configuration.linking_intercept_range,
        ),
        slope_se=float(slope_se),
        intercept_se=float(intercept_se),
        slope_intercept_covariance=float(found.covariance[0, 1]),
    )  # fmt: skip


def _has_slopes(state: CalibrationState, in_scale: BoolArray) -> bool:
    return bool((state.covariance[in_scale & ~state.is_anchor][:, 0, 0] > 0).any())


def _why_not_asked(
    state: CalibrationState,
    j: int,
    released: Mapping[str, str],
    drifted: Mapping[ItemKey, Flag],
    configuration: CalibrationConfiguration,
) -> str:
    if why := released.get(item_name(state.keys[j])):
        return f"released in the fit: {why}"
    flag = drifted.get(state.keys[j])
    if flag is not None:
        return f"flagged as drifted: {flag.value - flag.reference:+.2f} (z {flag.z:+.1f})"
    if state.window_counts[j] < configuration.minimum_anchor_responses:
        return f"{state.window_counts[j]} answers in the window"
    return ""
