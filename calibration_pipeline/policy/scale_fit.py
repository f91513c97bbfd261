"""One scale of one night: what is fixed, what is free, the fit, and the scale it is stated on."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.common_uncertainty import common_loadings
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning, fit
from calibration_pipeline.irt.expectation import (
    MarginalDerivatives,
    marginal_derivatives,
    with_estimated_mean,
)
from calibration_pipeline.irt.linking import (
    LinkingConstants,
    transform_covariances,
    transform_items,
)
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.anchor_release import moved_anchors, with_released
from calibration_pipeline.policy.baseline_link import link_to_baseline
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.contradiction import CarriedShift, carried_shift, without_carried
from calibration_pipeline.policy.differential import compare_groups
from calibration_pipeline.policy.population_groups import EVERYBODY
from calibration_pipeline.policy.populations import (
    STANDARD,
    KnownPopulation,
    group_populations,
    starting_population,
)
from calibration_pipeline.policy.scale_items import ScaleFit, ScaleItems
from calibration_pipeline.policy.shadow import shadow_covariance, shadow_refit
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import (
    BoolArray,
    FloatArray,
    ScaleState,
    ScreeningCounts,
)

MEAN_TOLERANCE = 0.005
"""For a mean that only a comparison needs."""


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
    fitted = _fit(items, answers, known, sets_scale, configuration)
    estimates = fitted.result.parameters[: len(items.start)]
    shift = carried_shift(
        items,
        estimates,
        fitted.found,
        _halves(answers, fitted, configuration) if items.information.any() else None,
        fitted.loadings,
    )
    is_contradicted = shift.is_credible(configuration.contradiction_z)
    released = _released(items, fitted, configuration)
    if is_contradicted.any() or released:
        items = without_carried(items, is_contradicted, start=estimates)
        again = with_released(items, released)
        fitted = _fit(again, answers, known, sets_scale, configuration)
    if isinstance(fitted.result.priors, LearnedPrior):
        learned = fitted.result.priors
        items = replace(
            items,
            prior_mean=np.where(items.free, learned.mean, items.prior_mean),
            prior_precision=np.where(items.free, learned.sd**-2, items.prior_precision),
        )
    stated = _stated_on_scale(name, items, answers, fitted, shift, configuration)
    compared = compare_groups(answers, fitted.data, items.free, fitted.result, configuration)
    return replace(stated, is_contradicted=is_contradicted, compared=compared, released=released)


def _released(
    items: ScaleItems, fitted: "_Fitted", configuration: CalibrationConfiguration
) -> dict[int, str]:
    """Find the anchors that a first fit shows to have moved; no fit without anchors has any."""
    counts = fitted.data.item_counts[: len(items.start)]
    refit = items.is_anchor & (counts > 0)
    if not refit.any():
        return {}
    covariance = np.zeros_like(fitted.found.information)
    covariance[refit] = shadow_covariance(fitted.found.information[refit])
    shadow = shadow_refit(items.start, fitted.found, refit)
    return moved_anchors(items, shadow, covariance, counts, configuration)


def _fit(
    items: ScaleItems,
    answers: ScaleResponses,
    known: KnownPopulation | None,
    sets_scale: bool,
    configuration: CalibrationConfiguration,
) -> "_Fitted":
    data, problem = _problem(items, answers, sets_scale)
    population = starting_population(
        known or STANDARD,
        answers.basis.group_names if answers.basis else EVERYBODY,
        data.cells,
        mean_is_estimated=not sets_scale,
        sd_is_estimated=not sets_scale or not items.free[:, 0].any(),
    )
    # A mode over intercepts has the items' errors in it already.
    settings = configuration.em if sets_scale else replace(configuration.em, integrates_items=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the night's verdict says so
        result = fit(data, problem, population, settings)
        found = marginal_derivatives(data, result.parameters, result.population, settings)
        loadings = common_loadings(data, problem, result, found, settings)
    n = len(items.start)
    return _Fitted(data, result, found.of_items(n), loadings[:n])


def _halves(
    answers: ScaleResponses, fitted: "_Fitted", configuration: CalibrationConfiguration
) -> tuple[MarginalDerivatives, MarginalDerivatives]:
    """Derivatives of the window's older and newer half at the whole window's fit.

    Each has a mean ability of its own: abler sessions of late must not pass for easier items.
    """
    half = max(configuration.window_days // 2, 1)
    is_newer = answers.days > answers.days.max() - half
    rough = replace(configuration.em, tolerance=MEAN_TOLERANCE)
    parameters, n = fitted.result.parameters, len(fitted.found.score)

    def of(chosen: BoolArray) -> MarginalDerivatives:
        data, population = fitted.data.of_sessions(np.flatnonzero(chosen)), fitted.result.population
        if data.n_sessions:
            population = with_estimated_mean(data, parameters, population, rough)
        return marginal_derivatives(data, parameters, population, configuration.em).of_items(n)

    return of(~is_newer), of(is_newer)


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
    before, copies = items.before_window.over_intercepts(free), answers.copies
    nothing = np.zeros((len(copies), 3))
    priors = ItemPriors(
        np.concatenate([before.precision, np.zeros((len(copies), 3, 3))]),
        np.concatenate([before.linear, nothing]),
    )
    return data, ItemProblem(
        np.concatenate([start, start[copies]]), np.concatenate([free, nothing > 0.0]), priors
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
    shift: CarriedShift,
    configuration: CalibrationConfiguration,
) -> ScaleFit:
    result, found = fitted.result, fitted.found
    counts = fitted.data.item_counts[: len(items.start)]
    parameters = result.parameters[: len(items.start)]
    own = items.before_window.posterior_covariance(items.free, found.information)
    infit_se, outfit_se = found.fit_errors(own)
    covariance = own + fitted.loadings @ fitted.loadings.transpose(0, 2, 1)
    refit = items.is_anchor & (counts > 0)
    covariance[refit] = shadow_covariance(found.information[refit])
    constants = link_to_baseline(items, parameters, counts, configuration)
    return ScaleFit(
        # What isn't free stands where it stood, released anchors at their references included.
        parameters=np.where(items.free, transform_items(parameters, constants), items.start),
        covariance=transform_covariances(covariance, constants),
        prior_mean=items.prior_mean,
        prior_precision=items.prior_precision,
        shadow_parameters=shadow_refit(parameters, found, refit),
        infit=found.infit,
        outfit=found.outfit,
        infit_se=infit_se,
        outfit_se=outfit_se,
        carried_shift=constants.slope * shift.shift,
        carried_shift_se=constants.slope * shift.shift_se,
        is_contradicted=np.zeros(len(parameters), bool),
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
