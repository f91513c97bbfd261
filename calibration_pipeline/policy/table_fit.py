"""A single fit of a table of answers, outside of any night: items, abilities, and what to doubt.

Without anchors the population N(0, 1) holds the scale; a Rasch scale, whose slopes are 1, is
held by the population's mean alone, and its spread is estimated. With anchors they hold the scale
and the population is estimated. Priors are learned: from the anchors, else with the items.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.expectation import (
    MarginalDerivatives,
    estimate_abilities,
    marginal_derivatives,
)
from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.irt.model_fit import ModelFit, assess_model
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy import table_flags
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.table_errors import StatedItems, own_covariances, state_items
from calibration_pipeline.policy.table_priors import is_at_bound, unanswered_values
from calibration_pipeline.policy.table_solution import (
    TableFitOptions,
    TableSolution,
    TableTask,
    prepare,
    solve,
)
from calibration_pipeline.records import BoolArray, FloatArray, IntArray, ItemBank


@dataclass(frozen=True)
class TableFit:
    """A fit; rows of items as in the bank.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing; NaN where nothing is known.
    standard_errors
        ``(n_items, 3)``; NaN for what wasn't estimated, stands at a bound or isn't determined.
    response_counts
        ``(n_items,)``.
    infit, outfit
        ``(n_items,)`` mean squares; NaN without answers.
    flags
        Each item's flags.
    theta, theta_se
        ``(n_sessions,)`` posterior mean and standard deviation of ability.
    population_mean, population_sd
        On the scale of the items.
    population_sd_se
        Standard error of `population_sd`; NaN unless it was estimated without anchors.
    scale_held_by, prior_source
        'anchors' or 'population'; 'none', 'anchors', 'learned' or 'learned with authors'.
    model_fit
        Log-likelihood, number of parameters and information criteria.
    cycles, largest_change, converged
        How the estimator ended.
    """

    parameters: FloatArray
    standard_errors: FloatArray
    response_counts: IntArray
    infit: FloatArray
    outfit: FloatArray
    flags: tuple[tuple[str, ...], ...]
    theta: FloatArray
    theta_se: FloatArray
    population_mean: float
    population_sd: float
    population_sd_se: float
    scale_held_by: str
    prior_source: str
    model_fit: ModelFit
    cycles: int
    largest_change: float
    converged: bool


def fit_table(
    data: ResponseData,
    bank: ItemBank,
    is_anchor: BoolArray,
    options: TableFitOptions,
    configuration: CalibrationConfiguration,
) -> TableFit:
    """Fit one scale's items to a table of answers.

    Parameters
    ----------
    data
        At least one answer; items numbered as in the bank.
    bank
        The items; parameters NaN where unknown, complete for anchors.
    is_anchor
        ``(n_items,)`` items held at the bank's values.
    options
        Model, population, priors.
    configuration
        Estimator, textbook priors and the thresholds of the flags.

    Raises
    ------
    BadInputError
        Nothing would hold the scale, a 1PL's anchors have different slopes, or there are no
        Oakes standard errors for these answers.
    """
    task = prepare(data, bank, is_anchor, options, configuration)
    solution = solve(task)
    result, free = solution.result, solution.problem.free
    found = marginal_derivatives(task.data, result.parameters, result.population, configuration.em)
    at_bound = is_at_bound(result.parameters, free, configuration)
    inside = replace(solution.problem, start=result.parameters, free=free & ~at_bound)
    stated = state_items(
        task.data, inside, result, found, options.standard_errors, configuration.em,
        standardise=task.standardises,
    )  # fmt: skip
    errors = _standard_errors(task, inside, stated)
    flags = {
        table_flags.ANCHOR: is_anchor,
        **_flags_of_answers(data, configuration),
        **_flags_of_fit(task, inside, result, found, errors, at_bound),
    }
    # Answers of one kind are flagged as such; their mean squares are those of the prior's estimate.
    varied = ~(flags[table_flags.ALL_RIGHT] | flags[table_flags.ALL_WRONG])
    for name in (table_flags.MISFIT_INFIT, table_flags.MISFIT_OUTFIT):
        flags[name] &= varied
    return TableFit(
        parameters=_parameters(task, solution, stated),
        standard_errors=_whole(task, errors),
        response_counts=data.item_counts,
        infit=_whole(task, found.infit),
        outfit=_whole(task, found.outfit),
        flags=table_flags.names_of_flags(flags, bank.n_items),
        **_abilities(task, result, stated),
        scale_held_by="anchors" if task.is_anchor.any() else "population",
        prior_source=solution.prior_source,
        model_fit=assess_model(solution.problem, result, data.n_sessions),
        cycles=result.cycles,
        largest_change=result.trace[-1].largest_change,
        converged=result.converged,
    )


def _abilities(task: TableTask, result: EMResult, stated: StatedItems) -> dict[str, Any]:
    """Abilities and population, in the units of the items that are reported."""
    theta, theta_se = estimate_abilities(
        task.data, result.parameters, result.population, task.configuration.em
    )
    mean, sd = float(result.population.mean[0]), float(result.population.sd[0])
    unit = sd if task.standardises else 1.0
    return {
        "theta": theta / unit,
        "theta_se": theta_se / unit,
        "population_mean": mean / unit,
        "population_sd": sd / unit,
        "population_sd_se": np.nan if task.standardises else sd * stated.spread_se,
    }


def _has_error(task: TableTask, inside: ItemProblem) -> BoolArray:
    """What was estimated and stands inside its bounds, ``(n_answered, 3)``."""
    slope_is_common = np.array([task.standardises, False, False])
    return np.asarray(inside.free | slope_is_common)


def _standard_errors(task: TableTask, inside: ItemProblem, stated: StatedItems) -> FloatArray:
    errors = standard_errors(stated.parameters, stated.covariance)
    return np.where(_has_error(task, inside), errors, np.nan)


def _flags_of_answers(
    data: ResponseData, configuration: CalibrationConfiguration
) -> dict[str, BoolArray]:
    right = np.bincount(data.item[data.correct == 1], minlength=data.n_items)
    lengths = np.diff(data.session_offsets)
    accompanied = data.item[np.repeat(lengths > 1, lengths)]
    linked = np.bincount(accompanied, minlength=data.n_items)
    return table_flags.flags_of_answers(data.item_counts, right, linked, configuration)


def _flags_of_fit(
    task: TableTask,
    inside: ItemProblem,
    result: EMResult,
    found: MarginalDerivatives,
    errors: FloatArray,
    at_bound: BoolArray,
) -> dict[str, BoolArray]:
    counts, configuration = task.data.item_counts, task.configuration
    undetermined = np.asarray((_has_error(task, inside) & np.isnan(errors)).any(axis=1))
    flags = {table_flags.NOT_DETERMINED: undetermined}
    flags |= dict(zip(table_flags.AT_BOUND, at_bound.T, strict=True))
    precision = found.information + result.priors.for_items(inside.free).precision
    infit_se, outfit_se = found.fit_errors(own_covariances(precision, inside))
    for name, statistic, error in (
        (table_flags.MISFIT_INFIT, found.infit, infit_se),
        (table_flags.MISFIT_OUTFIT, found.outfit, outfit_se),
    ):
        flags[name] = table_flags.flag_misfit(statistic, error, counts, configuration)
    return {name: _whole(task, raised, False) for name, raised in flags.items()}


def _parameters(task: TableTask, solution: TableSolution, stated: StatedItems) -> FloatArray:
    """Estimates, and what is known of the items without answers."""
    sd = float(solution.result.population.sd[0]) if task.standardises else 1.0
    prior_mean = solution.prior_mean
    if prior_mean is not None:
        prior_mean = prior_mean / [1.0, sd, 1.0]
    parameters = unanswered_values(task.bank, task.free, task.slope * sd, prior_mean)
    parameters[task.answered] = stated.parameters
    return parameters


def _whole(task: TableTask, values: np.ndarray, missing: float = np.nan) -> np.ndarray:
    """Spread values of the items with answers over the bank."""
    whole = np.full((task.bank.n_items, *values.shape[1:]), missing, values.dtype)
    whole[task.answered] = values
    return whole
