"""How well a whole model describes the answers, for comparing models with each other."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.problem import ItemProblem


@dataclass(frozen=True)
class ModelFit:
    """Log-likelihood of a fit and what it cost.

    Attributes
    ----------
    log_likelihood
        Marginal log-likelihood of the answers, without any prior's contribution.
    n_parameters
        Values that were estimated.
    aic, bic
        −2·log-likelihood plus 2 and plus log(sessions) for each parameter; lower is better.
    """

    log_likelihood: float
    n_parameters: int
    aic: float
    bic: float


def count_parameters(problem: ItemProblem, population: Population) -> int:
    """Values that a fit estimates: the items' free coordinates and what is free in the population.

    The mean and spread of a learned prior don't count: they smooth the items' own coordinates,
    each of which is counted.
    """
    return int(problem.free.sum()) + count_population_parameters(population)


def count_population_parameters(population: Population) -> int:
    """Values of the population that are estimated.

    Groups and a covariate free every mean, spread and slope; where the population holds the
    scale, location and spread of all groups together stay as they are, which takes off one each.
    """
    held = (not population.mean_is_estimated) + (not population.sd_is_estimated)
    return population.n_groups * (3 if population.has_covariate else 2) - held


def assess_model(problem: ItemProblem, result: EMResult, n_sessions: int) -> ModelFit:
    """Information criteria of a fit (Akaike 1974; Schwarz 1978).

    With priors the likelihood is taken at the posterior mode and every coordinate counts in
    full, as other programs do it: both criteria are then an upper bound.

    Parameters
    ----------
    problem, result
        What was fitted, and the fit.
    n_sessions
        Independent units: persons, where each has one session.

    Raises
    ------
    ValueError
        If there is no session.
    """
    if n_sessions < 1:
        raise ValueError("information criteria need at least 1 session")
    n_parameters = count_parameters(problem, result.population)
    deviance = -2.0 * result.log_likelihood
    return ModelFit(
        log_likelihood=result.log_likelihood,
        n_parameters=n_parameters,
        aic=deviance + 2.0 * n_parameters,
        bic=deviance + float(np.log(n_sessions)) * n_parameters,
    )
