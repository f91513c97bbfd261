"""Priors of new items: who teaches them, who is given them, and whether a fit may be used.

An item's posterior has its own prior in it. What is learned from is the rest, the likelihood: to
learn from posteriors would be to learn from what was learned the week before, and the pool would
shrink towards itself week after week.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration_pipeline.irt.item_hierarchy import (
    HierarchyDraws,
    ItemFeatures,
    LikelihoodSummaries,
    predict_items,
)
from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.base_priors import without_prior
from calibration_pipeline.policy.carrying import free_by_model
from calibration_pipeline.policy.item_prior_configuration import ItemPriorConfiguration
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    FloatArray,
    IntArray,
    ItemBank,
    ItemPriorFit,
    ScaleItemPriors,
)

REFERENCE_SD = 0.01
"""Added to the errors of anchors' references, so that one taken as known has a precision."""
WITNESS_RESPONSES = 25
"""Answers in all from which an item that doesn't teach yet says whether its prior was good."""
JUDGED_BY_AT_LEAST = 50
"""Items that judge a coordinate's coverage."""
_CHANCE = 2.6
"""Standard errors within which a coverage of 95% comes out by chance: 99 times in 100."""
COORDINATES = ("log discrimination", "difficulty", "logit guessing")
DIFFICULTY = 1


@dataclass(frozen=True)
class Teachers:
    """The items of one scale, and those among them that teach.

    Attributes
    ----------
    rows
        ``(n_items,)`` places of the scale's items in the bank.
    teaches
        ``(n_items,)`` which of them do.
    summaries
        What the teachers' answers alone say.
    witnesses
        ``(n_items,)`` items with answers that don't teach yet: new ones, as those that are taught.
    witnessed
        What their answers say.
    features
        Of all of the scale's items; families that nobody teaches of are unknown.
    families
        Names of the families that somebody teaches of.
    """

    rows: IntArray
    teaches: BoolArray
    summaries: LikelihoodSummaries
    witnesses: BoolArray
    witnessed: LikelihoodSummaries
    features: ItemFeatures
    families: tuple[str, ...]


def find_teachers(
    state: CalibrationState,
    bank: ItemBank,
    anchors: AnchorSet,
    scale: int,
    configuration: ItemPriorConfiguration,
) -> Teachers:
    """Find what one scale's items can teach: anchors, and items with enough answers.

    Parameters
    ----------
    state
        An accepted night's.
    bank, anchors
        Of that night.
    scale
        The scale's place in the bank.
    configuration
        Says which items teach.
    """
    rows = np.flatnonzero(bank.scale_index == scale)
    places = {key: place for place, key in enumerate(state.keys)}
    at = np.array([places.get(bank.keys[row], -1) for row in rows], np.int64)
    free = free_by_model(bank)[rows]
    is_anchor = np.isin(rows, bank.positions(anchors.keys))
    counts = np.where(at >= 0, state.total_counts[at], 0)
    answered = _have_estimates(state, bank.scale_names[scale], at) & ~is_anchor
    estimated = answered & (counts >= configuration.teaching_responses)
    witnesses = answered & ~estimated & (counts >= WITNESS_RESPONSES)
    known = _likelihoods(state, bank.scale_names[scale], at, estimated | witnesses)
    held = _references(bank, anchors, rows, is_anchor, free)
    teaches = estimated | is_anchor
    families = sorted({name for row in rows[teaches] if (name := bank.content_families[row])})
    return Teachers(
        rows=rows,
        teaches=teaches,
        summaries=LikelihoodSummaries(
            np.where(estimated[:, None, None], known.precision, held.precision)[teaches],
            np.where(estimated[:, None], known.linear, held.linear)[teaches],
        ),
        witnesses=witnesses,
        witnessed=LikelihoodSummaries(known.precision[witnesses], known.linear[witnesses]),
        features=features_of(bank, rows, tuple(families)),
        families=tuple(families),
    )


def _have_estimates(state: CalibrationState, scale: str, at: IntArray) -> BoolArray:
    """Items whose estimates and errors are of this night, ``(n_items,)``.

    Of a scale that it couldn't fit, the errors belong to estimates of another night.
    """
    was_fitted = any(found.fitted for found in state.scales if found.name == scale)
    is_free = (np.diagonal(state.covariance[at], axis1=1, axis2=2) > 0.0).any(axis=1)
    return np.asarray((at >= 0) & was_fitted & ~state.is_anchor[at] & is_free)


def features_of(bank: ItemBank, rows: IntArray, families: tuple[str, ...]) -> ItemFeatures:
    """Give what is known of items before any answer; families by their place among those given."""
    number = {name: place for place, name in enumerate(families)}
    names = [bank.content_families[row] for row in rows]
    return ItemFeatures(
        author_difficulty=bank.author_difficulty[rows],
        family=np.array([number.get(name or "", -1) for name in names], np.int64),
        option_counts=bank.option_counts[rows],
    )


def _likelihoods(
    state: CalibrationState, scale: str, at: IntArray, estimated: BoolArray
) -> LikelihoodSummaries:
    """Divide the base prior out of the posteriors, as it was on the scale they are stated on."""
    known = next(found for found in state.scales if found.name == scale)
    slope, intercept = known.linking_slope, known.linking_intercept
    mean = state.prior_mean[at] * [1.0, slope, 1.0] + [-np.log(slope), intercept, 0.0]
    precision = state.prior_precision[at] / [1.0, slope**2, 1.0]
    phi = to_internal(np.where(estimated[:, None], state.parameters[at], 0.5))
    covariance = np.where(estimated[:, None, None], state.covariance[at], 0.0)
    found = without_prior(phi, covariance, mean, precision, estimated)
    return LikelihoodSummaries(found.precision, found.linear)


def _references(
    bank: ItemBank, anchors: AnchorSet, rows: IntArray, is_anchor: BoolArray, free: BoolArray
) -> LikelihoodSummaries:
    """Anchors are known but for the errors of their references."""
    parameters, errors = np.full((bank.n_items, 3), 0.5), np.zeros((bank.n_items, 3, 3))
    at = bank.positions(anchors.keys)
    parameters[at] = anchors.parameters
    if anchors.covariance is not None:
        errors[at] = anchors.covariance
    phi = to_internal(parameters[rows])
    known = free & is_anchor[:, None]
    known[:, 2] &= parameters[rows, 2] > 0.0  # without guessing there is no logit of it
    pairs = known[:, :, None] & known[:, None, :]
    unit = np.eye(3)
    covariance = np.where(pairs, errors[rows], 0.0) + REFERENCE_SD**2 * unit
    precision = np.where(pairs, np.linalg.inv(covariance), 0.0)
    return LikelihoodSummaries(precision, np.einsum("jkm,jm->jk", precision, phi))


def with_item_priors(
    fit: ItemPriorFit | None,
    bank: ItemBank,
    is_taught: BoolArray,
    prior_mean: FloatArray,
    prior_sd: FloatArray,
) -> None:
    """Give items without enough answers the prior that calibrated ones taught, in place.

    A night's base priors are independent by coordinate: each takes its own mean and spread.

    Parameters
    ----------
    fit
        In use on the night; None leaves everything as it is.
    bank
        The pool.
    is_taught
        ``(bank.n_items,)`` the items without enough answers.
    prior_mean, prior_sd
        ``(bank.n_items, 3)`` of φ, changed where an item is taught.
    """
    if fit is None:
        return
    for number, name in enumerate(bank.scale_names):
        learned = fit.of_scale(name)
        rows = np.flatnonzero(is_taught & (bank.scale_index == number))
        if learned is None or not len(rows):
            continue
        stated = {key: place for place, key in enumerate(learned.keys)}
        place = np.array([stated.get(bank.keys[row], -1) for row in rows], np.int64)
        known, new = rows[place >= 0], rows[place < 0]
        prior_mean[known] = learned.mean[place[place >= 0]]
        variance = np.diagonal(learned.covariance, axis1=1, axis2=2)
        prior_sd[known] = np.sqrt(variance[place[place >= 0]])
        if len(new):
            predicted = predict_items(draws_of(learned), features_of(bank, new, learned.families))
            prior_mean[new], prior_sd[new] = predicted.mean, predicted.sd


def predicted_since(learned: ScaleItemPriors, bank: ItemBank, wanted: Set[str]) -> ScaleItemPriors:
    """Predict items that the bank was given after a fit, as a night does; by their ids."""
    number = dict(zip(bank.scale_names, range(len(bank.scale_names)), strict=True))
    in_scale = bank.scale_index == number.get(learned.scale, -1)
    rows = [row for row in np.flatnonzero(in_scale) if bank.keys[row][0] in wanted]
    at = np.array(rows, np.int64)
    predicted = predict_items(draws_of(learned), features_of(bank, at, learned.families))
    return replace(
        learned,
        keys=tuple(bank.keys[row] for row in rows),
        mean=predicted.mean,
        covariance=predicted.covariance,
        teaches=np.zeros(len(rows), bool),
    )


def draws_of(learned: ScaleItemPriors) -> HierarchyDraws:
    """Give the draws of a stored fit as the numerics take them."""
    arrays = dict(learned.draws)
    center, sd = (float(arrays.pop(name)) for name in ("chance_center", "chance_sd"))
    return HierarchyDraws(**arrays, chance_center=center, chance_sd=sd)


def reasons_against(
    scale: str, diagnostics: Mapping[str, Any], configuration: ItemPriorConfiguration
) -> list[str]:
    """Say why a scale's fit may not be used; nothing where it may."""
    found = []
    if not diagnostics["pareto_k"] <= configuration.maximum_pareto_k:
        found.append(
            f"the scale {scale}: Pareto k is {diagnostics['pareto_k']:.2f}, above "
            f"{configuration.maximum_pareto_k}: the draws can't be trusted"
        )
    if not diagnostics["effective_draws"] >= configuration.minimum_effective_draws:
        found.append(
            f"the scale {scale}: the draws are worth {diagnostics['effective_draws']:.0f}, less "
            f"than {configuration.minimum_effective_draws}"
        )
    found += _reasons_of_coverage(scale, "teachers", diagnostics, configuration)
    new = diagnostics["new_items"]
    found += _reasons_of_coverage(scale, "new items", new, configuration)
    judges = diagnostics["judged"][DIFFICULTY] + new["judged"][DIFFICULTY]
    if judges < JUDGED_BY_AT_LEAST:
        found.append(
            f"the scale {scale}: {judges} items have answers that say more of difficulty than the "
            f"priors claim to know, less than {JUDGED_BY_AT_LEAST}: is author_difficulty a copy of "
            "estimates?"
        )
    return found


def _reasons_of_coverage(
    scale: str, who: str, judged: Mapping[str, Any], configuration: ItemPriorConfiguration
) -> list[str]:
    """Coverages outside their range, and further from 95% than chance takes them."""
    low, high = configuration.coverage_range
    return [
        f"the scale {scale}: {covered:.1%} of {judges} {who} lie within their 95% interval of "
        f"{name}, not {low:.0%} to {high:.0%}"
        for name, judges, covered in zip(
            COORDINATES, judged["judged"], judged["covered"], strict=True
        )
        if judges >= JUDGED_BY_AT_LEAST
        and not low <= covered <= high
        and not abs(covered - 0.95) <= _CHANCE * (0.95 * 0.05 / judges) ** 0.5
    ]
