"""Uncertainty of the items of a single fit, on the scale that it is reported on."""

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.irt.common_uncertainty import common_loadings
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning, fit
from calibration_pipeline.irt.expectation import MarginalDerivatives
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.observed_information import (
    MAXIMUM_PARAMETERS,
    in_standard_population,
    observed_information,
)
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData

ErrorMethod = Literal["information", "oakes"]

PROFILE_STEP = 0.05
"""In log sd: small enough for the curvature at the top, large enough to stand out of rounding."""
SMALLEST_EIGENVALUE = 1e-7
"""Of an item's information stated as correlations: below it, a direction isn't determined."""


@dataclass(frozen=True)
class StatedItems:
    """Items on the scale that is reported.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    covariance
        ``(n_items, 3, 3)`` of φ; NaN for an item that the answers don't determine.
    spread_se
        Standard error of the logarithm of the population's standard deviation as fitted; NaN
        unless it was estimated and nothing but the population holds the scale.
    """

    parameters: FloatArray
    covariance: FloatArray
    spread_se: float


def state_items(
    data: ResponseData,
    problem: ItemProblem,
    result: EMResult,
    found: MarginalDerivatives,
    method: ErrorMethod,
    configuration: EMConfiguration,
    *,
    standardise: bool,
) -> StatedItems:
    """Give items and their covariances.

    'information' inverts what an item's answers say beyond their sessions' other answers, plus
    the prior's precision, and adds what all items share: the error of the scale. Where the
    population's spread is estimated and no fixed item holds it, that error comes from the profile
    of the objective.
    'oakes' inverts the observed information over all parameters at once.

    Parameters
    ----------
    data, problem, configuration
        What was fitted. Coordinates at a bound must not be free: they have no normal error.
    result
        The fit.
    found
        Derivatives at the fit.
    method
        Which of the two.
    standardise
        State the items for a population N(0, 1): turns a fitted spread into a common slope.

    Raises
    ------
    BadInputError
        'oakes' with too many parameters, or with some that the answers don't determine.
    """
    if method == "oakes":
        return _jointly(data, problem, result, configuration, standardise=standardise)
    priors = result.priors.for_items(problem.free)
    covariance = own_covariances(found.information + priors.precision, problem)
    population = result.population
    if not population.sd_is_estimated or population.mean_is_estimated:
        determined = np.isfinite(covariance.sum(axis=(1, 2)))
        inside = replace(problem, free=problem.free & determined[:, None])
        loadings = common_loadings(data, inside, result, found, configuration)
        covariance += loadings @ loadings.transpose(0, 2, 1)
        return StatedItems(result.parameters, covariance, np.nan)
    variance, movement = _profile_spread(data, problem, result, configuration)
    known = variance if np.isfinite(variance) else 0.0
    parameters = result.parameters
    if standardise:
        sd = population.sd[0]
        parameters = parameters * [sd, 1.0 / sd, 1.0]
        covariance[:, 1, 1] /= sd**2
        movement = (movement - result.parameters[:, 1]) / sd
        covariance[:, 0, 0] = variance
        covariance[:, 0, 1] = covariance[:, 1, 0] = known * movement
    covariance[:, 1, 1] += known * np.square(movement)
    return StatedItems(parameters, covariance, float(np.sqrt(variance)))


def _jointly(
    data: ResponseData,
    problem: ItemProblem,
    result: EMResult,
    configuration: EMConfiguration,
    *,
    standardise: bool,
) -> StatedItems:
    n_parameters = int(problem.free.sum())
    if n_parameters > MAXIMUM_PARAMETERS:
        raise BadInputError(
            f"Oakes standard errors of {n_parameters} parameters would take too long (at most "
            f"{MAXIMUM_PARAMETERS}): use --standard-errors information"
        )
    try:
        joint = observed_information(data, problem, result, configuration)
    except ValueError as error:
        raise BadInputError(
            "these answers don't determine all parameters together, so there are no Oakes standard "
            "errors: use --standard-errors information, which says which items lack them"
        ) from error
    spread_se = float(np.sqrt(joint.population_covariance[1, 1])) or np.nan
    if standardise:
        return StatedItems(*in_standard_population(result.parameters, joint), spread_se)
    return StatedItems(result.parameters, joint.item_covariance, spread_se)


def own_covariances(precision: FloatArray, problem: ItemProblem) -> FloatArray:
    """Invert each item's precision over its free coordinates, ``(n_items, 3, 3)``.

    0 elsewhere, NaN where that can't be done.
    """
    free = problem.free
    pairs = free[:, :, None] & free[:, None, :]
    diagonal = np.diagonal(precision, axis1=1, axis2=2)
    scale = np.sqrt(np.where(free & (diagonal > 0.0), diagonal, 1.0))
    outer = scale[:, :, None] * scale[:, None, :]
    correlation = np.where(pairs, precision / outer, np.eye(3) * ~free[:, :, None])
    solvable = np.linalg.eigvalsh(correlation)[:, 0] > SMALLEST_EIGENVALUE
    inverse = np.linalg.inv(np.where(solvable[:, None, None], correlation, np.eye(3))) / outer
    return np.where(pairs, np.where(solvable[:, None, None], inverse, np.nan), 0.0)


def _profile_spread(
    data: ResponseData, problem: ItemProblem, result: EMResult, configuration: EMConfiguration
) -> tuple[float, FloatArray]:
    """Variance of log sd, and how far each difficulty moves with it, ``(n_items,)``.

    The objective maximised over everything else, at three values of log sd a step apart.
    """
    precise = replace(
        configuration,
        tolerance=min(configuration.tolerance, 1e-5),
        maximum_cycles=5 * configuration.maximum_cycles,
    )
    problem = ItemProblem(result.parameters, problem.free, result.priors)
    mean, sd = result.population.mean, result.population.sd
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the fit itself has said so
        for step in (-PROFILE_STEP, 0.0, PROFILE_STEP):
            fits.append(fit(data, problem, Population(mean, sd * np.exp(step)), precise))
    below, here, above = fits
    curvature = (2.0 * here.objective - below.objective - above.objective) / PROFILE_STEP**2
    movement = (above.parameters[:, 1] - below.parameters[:, 1]) / (2.0 * PROFILE_STEP)
    return (1.0 / curvature if curvature > 0.0 else np.nan), movement
