"""The cold-start list: which items are on it, and where each should be shown."""

import math
from collections.abc import Sequence

import numpy as np

from calibration_pipeline.irt.cold_start import PATH_ANSWERS, ShowingPlan, ShownTo, plan_showing
from calibration_pipeline.irt.linking import transform_covariances, transform_items
from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.links import by_scale, constants_of, published_populations
from calibration_pipeline.records import (
    BoolArray,
    CalibrationState,
    ColdStartItem,
    FloatArray,
    IntArray,
    ItemBank,
    ScaleLink,
)


def cold_start_items(
    state: CalibrationState,
    links: Sequence[ScaleLink],
    bank: ItemBank,
    configuration: CalibrationConfiguration,
) -> tuple[ColdStartItem, ...]:
    """Plan the showing of every item whose difficulty isn't known well enough; by item.

    On the list are items that are neither anchors nor retired and whose standard error of b lies
    above the one that is wanted. What is believed of an item is its posterior: of one without
    answers its base prior.

    Parameters
    ----------
    state, links
        An accepted night and its linking constants, one per scale.
    bank
        The pool, in the state's order.
    configuration
        The settings.
    """
    populations = published_populations(state, links)
    found: list[ColdStartItem] = []
    for number, (scale, link) in enumerate(zip(state.scales, by_scale(state, links), strict=True)):
        constants = constants_of(link)
        covariance = transform_covariances(state.covariance, constants)
        chosen = _on_the_list(state, covariance, bank, number, configuration)
        known, settings = populations[scale.name], configuration.cold_start
        parameters = transform_items(state.parameters[chosen], constants)
        plans = plan_showing(
            to_internal(parameters),
            covariance[chosen],
            parameters[:, 2] > 0.0,
            ShownTo(
                mean=known.pooled_mean,
                sd=known.pooled_sd,
                reach_sds=settings.reach_sds,
                ability_se=settings.ability_se,
                difficulty_se=settings.difficulty_se,
                maximum_answers=settings.maximum_answers,
                scaling_constant=configuration.em.scaling_constant,
            ),
        )
        found += [
            _item(state, int(j), scale.name, of_item, error, plan)
            for j, of_item, error, plan in zip(
                chosen, parameters, np.sqrt(covariance[chosen, 1, 1]), plans, strict=True
            )
        ]
    return tuple(sorted(found, key=lambda item: item.key))


def _on_the_list(
    state: CalibrationState,
    covariance: FloatArray,
    bank: ItemBank,
    scale: int,
    configuration: CalibrationConfiguration,
) -> IntArray:
    is_open: BoolArray = (bank.scale_index == scale) & ~state.is_anchor & ~bank.is_retired
    is_unsure = np.sqrt(covariance[:, 1, 1]) > configuration.cold_start.difficulty_se
    return np.flatnonzero(is_open & is_unsure)


def _item(
    state: CalibrationState,
    j: int,
    scale: str,
    parameters: FloatArray,
    difficulty_se: float,
    plan: ShowingPlan,
) -> ColdStartItem:
    return ColdStartItem(
        key=state.keys[j],
        scale=scale,
        total_count=int(state.total_counts[j]),
        difficulty=float(parameters[1]),
        difficulty_se=float(difficulty_se),
        answers_needed=_whole(plan.answers),
        answers_cautious=_whole(plan.answers_cautious),
        answers_unaimed=_whole(plan.answers_unaimed),
        abilities=tuple(round(value, 3) for value in plan.abilities.tolist()),
        shares=tuple(round(value, 3) for value in plan.shares.tolist()),
        path_answers=PATH_ANSWERS,
        path_se=tuple(plan.path_se.tolist()),
    )


def _whole(answers: float) -> int | None:
    return math.ceil(answers) if math.isfinite(answers) else None
