"""One scale of one night: what is fixed, what is free, the fit, and the scale it is stated on."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.em import EMResult, ItemProblem, NotConvergedWarning, fit
from calibration_pipeline.irt.expectation import (
    MarginalDerivatives,
    Population,
    marginal_derivatives,
)
from calibration_pipeline.irt.linking import (
    LinkingConstants,
    stocking_lord,
    transform_covariances,
    transform_items,
)
from calibration_pipeline.irt.model import from_internal, to_internal
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import BoolArray, FloatArray, ScaleState

LARGEST_SHADOW_STEP = 1.0
"""A Newton step in log a or b beyond this is noise of a nearly flat likelihood."""


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


def fit_scale(
    name: str,
    items: ScaleItems,
    data: ResponseData,
    population: Population | None,
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
    items, data
        Its items and answers, numbered alike.
    population
        Last accepted population, None before the first fit.
    configuration
        The settings.
    """
    sets_scale = not items.is_anchor.any() and population is None
    has_slopes = bool(items.free[:, 0].any())
    if sets_scale:
        priors: ItemPriors | LearnedPrior = _learned_start(items)
        start_population = Population(sd_is_estimated=not has_slopes)
    else:
        priors = posterior_before_window(items)
        known = population or Population()
        start_population = replace(known, mean_is_estimated=True, sd_is_estimated=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the night's verdict says so
        result = fit(
            data, ItemProblem(items.start, items.free, priors), start_population, configuration.em
        )
    found = marginal_derivatives(data, result.parameters, result.population, configuration.em)
    if isinstance(result.priors, LearnedPrior):
        items = replace(
            items,
            prior_mean=np.where(items.free, result.priors.mean, items.prior_mean),
            prior_precision=np.where(items.free, result.priors.sd**-2, items.prior_precision),
        )
    return _stated_on_scale(name, items, data, result, found, configuration)


def posterior_before_window(items: ScaleItems) -> ItemPriors:
    """Base prior × carried information, on the free coordinates."""
    pairs = items.free[:, :, None] & items.free[:, None, :]
    precision = np.where(items.free, items.prior_precision, 0.0)
    mean = np.where(items.free, items.prior_mean, 0.0)
    return ItemPriors(
        precision[:, :, None] * np.eye(3) + np.where(pairs, items.information, 0.0),
        precision * mean + np.where(items.free, items.linear, 0.0),
    )


def posterior_covariance(
    precision: FloatArray, free: BoolArray, information: FloatArray | None = None
) -> FloatArray:
    """Inverse of prior precision plus information on the free coordinates, 0 elsewhere."""
    total = precision if information is None else precision + information
    pairs = free[:, :, None] & free[:, None, :]
    invertible = np.where(pairs, total, 0.0) + np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    return np.where(pairs, np.linalg.inv(invertible), 0.0)


def _learned_start(items: ScaleItems) -> LearnedPrior:
    free_rows = items.free.any(axis=1)
    return LearnedPrior.starting_at(
        items.prior_mean[free_rows].mean(axis=0),
        items.prior_precision[free_rows].mean(axis=0) ** -0.5,
    )


def _stated_on_scale(
    name: str,
    items: ScaleItems,
    data: ResponseData,
    result: EMResult,
    found: MarginalDerivatives,
    configuration: CalibrationConfiguration,
) -> ScaleFit:
    before = posterior_before_window(items)
    covariance = posterior_covariance(before.precision, items.free, found.information)
    refit = items.is_anchor & (data.item_counts > 0)
    covariance[refit] = _shadow_covariance(found.information[refit])
    constants = _link_to_baseline(items, result.parameters, data, configuration)
    return ScaleFit(
        parameters=np.where(
            items.free, transform_items(result.parameters, constants), result.parameters
        ),
        covariance=transform_covariances(covariance, constants),
        prior_mean=items.prior_mean,
        prior_precision=items.prior_precision,
        shadow_parameters=_shadow_refit(items, result.parameters, found, data),
        infit=found.infit,
        outfit=found.outfit,
        infit_se=found.infit_se,
        outfit_se=found.outfit_se,
        state=ScaleState(
            name=name,
            fitted=True,
            reason="",
            population_mean=constants.slope * result.population.mean + constants.intercept,
            population_sd=constants.slope * result.population.sd,
            linking_slope=constants.slope,
            linking_intercept=constants.intercept,
            log_likelihood=result.log_likelihood,
            cycles=result.cycles,
            converged=result.converged,
            session_count=data.n_sessions,
            response_count=data.n_responses,
        ),
    )


def _link_to_baseline(
    items: ScaleItems,
    parameters: FloatArray,
    data: ResponseData,
    configuration: CalibrationConfiguration,
) -> LinkingConstants:
    """Constants that bring tonight's scale to the first night's; (1, 0) where nothing is due."""
    if items.baseline is None:
        return LinkingConstants(1.0, 0.0)
    common = np.isfinite(items.baseline).all(axis=1) & items.free[:, 1]
    common &= data.item_counts >= configuration.minimum_responses
    has_slopes = bool(items.free[:, 0].any())
    if common.sum() < (2 if has_slopes else 1):
        return LinkingConstants(1.0, 0.0)
    return stocking_lord(
        parameters[common],
        items.baseline[common],
        scaling_constant=configuration.em.scaling_constant,
        slope_is_free=has_slopes,
    )


def _shadow_refit(
    items: ScaleItems,
    parameters: FloatArray,
    found: MarginalDerivatives,
    data: ResponseData,
) -> FloatArray:
    """Anchors as tonight's answers alone would have them; other items as fitted, ``(n, 3)``.

    One Newton step in (log a, b) on the marginal likelihood: an M-step from the expected counts
    would shrink towards the reference. Guessing stays, since answers hardly inform it.
    """
    shadow = parameters.copy()
    refit = items.is_anchor & (data.item_counts > 0)
    if not refit.any():
        return shadow
    inverse = _shadow_covariance(found.information[refit])[:, :2, :2]
    step = np.einsum("jkm,jm->jk", inverse, found.score[refit][:, :2])
    internal = to_internal(parameters[refit])
    internal[:, :2] += np.clip(step, -LARGEST_SHADOW_STEP, LARGEST_SHADOW_STEP)
    shadow[refit] = from_internal(internal, parameters[refit, 2] > 0.0)
    return shadow


def _shadow_covariance(information: FloatArray) -> FloatArray:
    """Inverse information in (log a, b), guessing held, ``(n, 3, 3)``."""
    covariance = np.zeros_like(information)
    covariance[:, :2, :2] = np.linalg.inv(information[:, :2, :2] + 1e-6 * np.eye(2))
    return covariance
