"""The night's link: what the unflagged anchors say about the scale of everything else."""

from collections.abc import Sequence

import numpy as np

from calibration_pipeline.irt.linking import LinkingConstants, stocking_lord
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flags import ANCHOR_DRIFT
from calibration_pipeline.policy.populations import KnownPopulation, known_population
from calibration_pipeline.records import BoolArray, CalibrationState, Flag, ItemBank, ScaleLink

MINIMUM_ANCHORS = 5


def link_scales(
    state: CalibrationState,
    flags: Sequence[Flag],
    bank: ItemBank,
    configuration: CalibrationConfiguration,
) -> tuple[ScaleLink, ...]:
    """Stocking–Lord constants from each scale's shadow-refitted anchors to their references.

    Anchors with a credible drift flag, with too few answers tonight, or shifted by more than
    `maximum_anchor_shift`, are left out, each with its reason. A scale without enough anchors
    is stated as it was fitted: slope 1, intercept 0.
    """
    drifted = {flag.key for flag in flags if flag.reason == ANCHOR_DRIFT and flag.is_credible}
    return tuple(
        _link(state, scale.name, scale.fitted, bank.scale_index == number, drifted, configuration)
        for number, scale in enumerate(state.scales)
    )


def constants_of(link: ScaleLink) -> LinkingConstants:
    """Give the constants in the numerics' form."""
    return LinkingConstants(link.slope, link.intercept)


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


def _link(
    state: CalibrationState,
    name: str,
    fitted: bool,
    in_scale: BoolArray,
    drifted: set[tuple[str, int]],
    configuration: CalibrationConfiguration,
) -> ScaleLink:
    left_out: dict[str, str] = {}
    used = []
    for j in np.flatnonzero(state.is_anchor & in_scale):
        reason = _why_left_out(state, int(j), drifted, configuration)
        if reason:
            left_out["@".join(map(str, state.keys[j]))] = reason
        else:
            used.append(j)
    if not fitted or len(used) < MINIMUM_ANCHORS:
        return ScaleLink(name, "none", 1.0, 0.0, 0, left_out, is_within_bounds=True)
    constants = stocking_lord(
        state.shadow_parameters[used],
        state.parameters[used],
        scaling_constant=configuration.em.scaling_constant,
        slope_is_free=_has_slopes(state, in_scale),
    )
    low, high = configuration.linking_slope_range
    lowest, highest = configuration.linking_intercept_range
    within = low <= constants.slope <= high and lowest <= constants.intercept <= highest
    return ScaleLink(
        name, "stocking-lord", constants.slope, constants.intercept, len(used), left_out, within
    )


def _has_slopes(state: CalibrationState, in_scale: BoolArray) -> bool:
    return bool((state.covariance[in_scale & ~state.is_anchor][:, 0, 0] > 0).any())


def _why_left_out(
    state: CalibrationState,
    j: int,
    drifted: set[tuple[str, int]],
    configuration: CalibrationConfiguration,
) -> str:
    if state.keys[j] in drifted:
        return "drifted"
    if state.window_counts[j] < configuration.minimum_anchor_responses:
        return f"{state.window_counts[j]} answers in the window"
    shift = abs(state.shadow_parameters[j, 1] - state.parameters[j, 1])
    if shift > configuration.maximum_anchor_shift:
        return f"shifted by {shift:.2f}"
    return ""
