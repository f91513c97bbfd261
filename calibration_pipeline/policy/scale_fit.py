"""One scale of one night: what is fixed, what is free, the fit, and the scale it is stated on."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.common_uncertainty import common_loadings
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning, fit
from calibration_pipeline.irt.expectation import MarginalDerivatives, marginal_derivatives
from calibration_pipeline.irt.linking import (
    UNLINKED,
    LinkingConstants,
    stocking_lord,
    transform_covariances,
    transform_items,
)
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import ComparedGroups, compare_groups
from calibration_pipeline.policy.population_groups import EVERYBODY
from calibration_pipeline.policy.populations import (
    STANDARD,
    KnownPopulation,
    group_populations,
    starting_population,
)
from calibration_pipeline.policy.shadow import shadow_covariance, shadow_refit
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import (
    BoolArray,
    FloatArray,
    IntArray,
    ScaleState,
    ScreeningCounts,
)


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
    """

    start: FloatArray
    free: BoolArray
    is_anchor: BoolArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    information: FloatArray
    linear: FloatArray
    baseline: FloatArray | None


@dataclass(frozen=True)
class ScaleFit:
    """The fitted items of one scale; rows as in `ScaleItems`."""

    parameters: FloatArray
    covariance: FloatArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    shadow_parameters: FloatArray
    infit: FloatArray
    outfit: FloatArray
    infit_se: FloatArray
    outfit_se: FloatArray
    state: ScaleState
    compared: ComparedGroups | None = None


def fit_scale(
    name: str,
    items: ScaleItems,
    answers: ScaleResponses,
    known: KnownPopulation | None,
    configuration: CalibrationConfiguration,
) -> ScaleFit:
    """Fit one scale's items and population.

    With anchors the population is free and they hold the scale. Without, the first night's
    population is N(0, 1) and defines it, with a prior that is learned; later nights have a free
    population and are linked to that first night's items.

    Parameters
    ----------
    name
        The scale.
    items, answers
        Its items and screened answers, numbered alike.
    known
        Last accepted population, None before the first fit.
    configuration
        The settings.
    """
    sets_scale = not items.is_anchor.any() and known is None
    data, problem = _problem(items, answers, sets_scale)
    names = answers.basis.group_names if answers.basis else EVERYBODY
    population = starting_population(
        known or STANDARD,
        names,
        data.cells,
        mean_is_estimated=not sets_scale,
        sd_is_estimated=not sets_scale or not items.free[:, 0].any(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the night's verdict says so
        result = fit(data, problem, population, configuration.em)
        found = marginal_derivatives(data, result.parameters, result.population, configuration.em)
        loadings = common_loadings(data, problem, result, found, configuration.em)
    if isinstance(result.priors, LearnedPrior):
        items = replace(
            items,
            prior_mean=np.where(items.free, result.priors.mean, items.prior_mean),
            prior_precision=np.where(items.free, result.priors.sd**-2, items.prior_precision),
        )
    fitted = _Fitted(data, result, found.of_items(len(items.start)), loadings[: len(items.start)])
    stated = _stated_on_scale(name, items, answers, fitted, configuration)
    compared = compare_groups(answers, data, items.free, result, configuration)
    return replace(stated, compared=compared)


@dataclass(frozen=True)
class _Fitted:
    """What the estimator gave back; derivatives and loadings without the copies."""

    data: ResponseData
    result: EMResult
    found: MarginalDerivatives
    loadings: FloatArray


def _problem(
    items: ScaleItems, answers: ScaleResponses, sets_scale: bool
) -> tuple[ResponseData, ItemProblem]:
    """What the estimator is asked: copies of items are fixed where the items start.

    Where the population sets the scale, nothing fixed may hold it as well: answers to copies are
    left out then, and groups are told apart only if every item is free to follow.
    """
    data, start, free = answers.data, items.start, items.free
    if sets_scale:
        data = data.of_items(np.arange(data.n_items) < len(start))
        if not free[:, 1].all():
            data = replace(data, cells=None)
        return data, ItemProblem(start, free, _learned_start(items))
    before, copies = posterior_before_window(items), answers.copies
    nothing = np.zeros((len(copies), 3))
    priors = ItemPriors(
        np.concatenate([before.precision, np.zeros((len(copies), 3, 3))]),
        np.concatenate([before.linear, nothing]),
    )
    return data, ItemProblem(
        np.concatenate([start, start[copies]]), np.concatenate([free, nothing > 0.0]), priors
    )


def posterior_before_window(items: ScaleItems) -> ItemPriors:
    """Base prior × carried information, on the free coordinates."""
    pairs = items.free[:, :, None] & items.free[:, None, :]
    precision = np.where(items.free, items.prior_precision, 0.0)
    mean = np.where(items.free, items.prior_mean, 0.0)
    return ItemPriors(
        precision[:, :, None] * np.eye(3) + np.where(pairs, items.information, 0.0),
        precision * mean + np.where(items.free, items.linear, 0.0),
    )


def _learned_start(items: ScaleItems) -> LearnedPrior:
    free_rows = items.free.any(axis=1)
    return LearnedPrior.starting_at(
        items.prior_mean[free_rows].mean(axis=0),
        items.prior_precision[free_rows].mean(axis=0) ** -0.5,
    )


def _stated_on_scale(
    name: str,
    items: ScaleItems,
    answers: ScaleResponses,
    fitted: _Fitted,
    configuration: CalibrationConfiguration,
) -> ScaleFit:
    result, found = fitted.result, fitted.found
    counts = fitted.data.item_counts[: len(items.start)]
    parameters = result.parameters[: len(items.start)]
    covariance = posterior_before_window(items).posterior_covariance(items.free, found.information)
    covariance += fitted.loadings @ fitted.loadings.transpose(0, 2, 1)
    refit = items.is_anchor & (counts > 0)
    covariance[refit] = shadow_covariance(found.information[refit])
    constants = _link_to_baseline(items, parameters, counts, configuration)
    return ScaleFit(
        parameters=np.where(items.free, transform_items(parameters, constants), parameters),
        covariance=transform_covariances(covariance, constants),
        prior_mean=items.prior_mean,
        prior_precision=items.prior_precision,
        shadow_parameters=shadow_refit(parameters, found, refit),
        infit=found.infit,
        outfit=found.outfit,
        infit_se=found.infit_se,
        outfit_se=found.outfit_se,
        state=_scale_state(name, answers, fitted, constants),
    )


def _scale_state(
    name: str, answers: ScaleResponses, fitted: _Fitted, constants: LinkingConstants
) -> ScaleState:
    data, result = fitted.data, fitted.result
    cells, basis = data.population_cells, answers.basis
    sessions = np.bincount(cells.cell, minlength=len(cells.group)).astype(float)
    linked = result.population.rescaled(constants.slope, constants.intercept)
    mean, sd = linked.pooled(cells, sessions)
    return ScaleState(
        name=name,
        fitted=True,
        reason="",
        population_mean=mean,
        population_sd=sd,
        linking_slope=constants.slope,
        linking_intercept=constants.intercept,
        log_likelihood=result.log_likelihood,
        cycles=result.cycles,
        converged=result.converged,
        session_count=data.n_sessions,
        response_count=data.n_responses,
        groups=group_populations(
            result.population, basis.group_names if basis else EVERYBODY, cells, constants
        ),
        common_start=None if basis is None or np.isnan(basis.common_start) else basis.common_start,
        screening=answers.counts or ScreeningCounts(),
    )


def unfitted_scale(
    name: str, reason: str, known: KnownPopulation, answers: ScaleResponses
) -> ScaleState:
    """State of a scale that tonight's answers can't move: its population stays as it was."""
    return ScaleState(
        name=name,
        fitted=False,
        reason=reason,
        population_mean=known.pooled_mean,
        population_sd=known.pooled_sd,
        linking_slope=1.0,
        linking_intercept=0.0,
        log_likelihood=0.0,
        cycles=0,
        converged=True,
        session_count=0,
        response_count=0,
        groups=known.groups,
        common_start=None if np.isnan(known.common_start) else known.common_start,
        screening=answers.counts or ScreeningCounts(),
    )


def _link_to_baseline(
    items: ScaleItems,
    parameters: FloatArray,
    counts: IntArray,
    configuration: CalibrationConfiguration,
) -> LinkingConstants:
    """Constants that bring tonight's scale to the first night's; (1, 0) where nothing is due."""
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
        scaling_constant=configuration.em.scaling_constant,
        slope_is_free=has_slopes,
    )
