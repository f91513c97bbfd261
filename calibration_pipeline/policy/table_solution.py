"""What a single fit (`table_fit`) estimates and under which priors, and the fit itself."""

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning, fit
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.base_priors import textbook_prior
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.table_errors import ErrorMethod
from calibration_pipeline.policy.table_priors import (
    NormalPriors,
    free_coordinates,
    priors_from_anchors,
    priors_from_authors,
    starting_values,
)
from calibration_pipeline.records import BoolArray, FloatArray, ItemBank

PopulationChoice = Literal["standard-normal", "estimated"]


@dataclass(frozen=True)
class TableFitOptions:
    """What the person who fits decides.

    Attributes
    ----------
    model
        'Rasch', '1PL', '2PL' or '3PL', for every item that isn't an anchor.
    population
        None leaves it to what holds the scale.
    uses_priors
        False for maximum likelihood within the estimator's bounds.
    standard_errors
        How they are found.
    """

    model: str
    population: PopulationChoice | None = None
    uses_priors: bool = True
    standard_errors: ErrorMethod = "information"


@dataclass(frozen=True)
class TableTask:
    """What is to be estimated. Items with answers are numbered from 0, in the bank's order.

    Attributes
    ----------
    data
        The answers, so numbered.
    bank
        All items.
    answered
        ``(bank.n_items,)`` which of them have answers.
    is_anchor
        ``(bank.n_items,)`` anchors with answers: they hold the scale.
    free
        ``(bank.n_items, 3)`` coordinates of φ that the model estimates where there are answers.
    slope
        Discrimination of items that don't estimate one.
    population
        The population's start, and what of it is estimated.
    options, configuration
        As given.
    """

    data: ResponseData
    bank: ItemBank
    answered: BoolArray
    is_anchor: BoolArray
    free: BoolArray
    slope: float
    population: Population
    options: TableFitOptions
    configuration: CalibrationConfiguration

    @property
    def standardises(self) -> bool:
        """A 1PL's common slope is fitted as the spread of the population."""
        return self.options.model == "1PL" and not self.is_anchor.any()


@dataclass(frozen=True)
class TableSolution:
    """The fit of the items with answers.

    Attributes
    ----------
    problem, result
        What was fitted last, and the fit.
    prior_mean
        ``(bank.n_items, 3)`` of φ for every item; None without priors.
    prior_source
        'none', 'anchors', 'learned' or 'learned with authors'.
    """

    problem: ItemProblem
    result: EMResult
    prior_mean: FloatArray | None
    prior_source: str


def prepare(
    data: ResponseData,
    bank: ItemBank,
    is_anchor: BoolArray,
    options: TableFitOptions,
    configuration: CalibrationConfiguration,
) -> TableTask:
    """Say what is estimated and what holds the scale; parameters are those of `fit_table`.

    Raises
    ------
    BadInputError
        Nothing would hold the scale, or a 1PL's anchors have different slopes.
    """
    answered = data.item_counts > 0
    holds = is_anchor & answered
    return TableTask(
        data=_only(data, answered),
        bank=bank,
        answered=answered,
        is_anchor=holds,
        free=free_coordinates(options.model, is_anchor),
        slope=_common_slope(options.model, bank.parameters[holds, 0]),
        population=_population(options, has_anchors=bool(holds.any())),
        options=options,
        configuration=configuration,
    )


def _only(data: ResponseData, kept: BoolArray) -> ResponseData:
    """Leave out items without answers, which would hold the estimator to their scale."""
    if kept.all():
        return data
    number = (np.cumsum(kept) - 1).astype(np.int32)
    return replace(data, item=number[data.item], n_items=int(kept.sum()))


def _common_slope(model: str, anchor_slopes: FloatArray) -> float:
    if model != "1PL" or len(anchor_slopes) == 0:
        return 1.0
    if np.ptp(anchor_slopes) > 0.0:
        raise BadInputError(
            "a 1PL's items share one discrimination, but its anchors have several "
            f"({anchor_slopes.min():g} to {anchor_slopes.max():g}): use --model 2PL"
        )
    return float(anchor_slopes[0])


def _population(options: TableFitOptions, *, has_anchors: bool) -> Population:
    if has_anchors:
        is_free = options.population != "standard-normal"
        return Population(mean_is_estimated=is_free, sd_is_estimated=is_free)
    if options.model == "Rasch":
        return Population(sd_is_estimated=options.population != "standard-normal")
    if options.population == "estimated":
        raise BadInputError(
            "nothing would hold the scale: --population estimated needs anchors with answers (or "
            "the Rasch model); leave it out, and the population N(0, 1) holds the scale"
        )
    return Population(sd_is_estimated=options.model == "1PL")


def solve(task: TableTask) -> TableSolution:
    """Fit under the priors that the options, the anchors and the authors give.

    Authors are learned from in a second fit, which starts at the first.
    """
    bank, configuration, chosen = task.bank, task.configuration, task.answered
    start = starting_values(bank, task.free, task.is_anchor, task.slope, configuration)[chosen]
    if not task.options.uses_priors:
        problem = ItemProblem(start, task.free[chosen], ItemPriors.none(len(start)))
        return TableSolution(problem, _fit(task, problem), None, "none")
    from_anchors = priors_from_anchors(bank, task.is_anchor, configuration)
    if from_anchors is not None:
        return _solve_under(task, start, from_anchors, "anchors")
    problem = ItemProblem(start, task.free[chosen], textbook_prior(configuration))
    result = _fit(task, problem)
    learned = result.priors
    if not isinstance(learned, LearnedPrior):
        raise TypeError("a learned prior comes back learned")
    teaches = task.free[:, 1] & chosen
    teaches[chosen] &= task.data.item_counts >= configuration.minimum_responses
    difficulty = np.full(bank.n_items, np.nan)
    difficulty[chosen] = result.parameters[:, 1]
    from_authors = priors_from_authors(
        bank.author_difficulty, learned, difficulty, teaches, configuration
    )
    if from_authors is not None:
        return _solve_under(task, result.parameters, from_authors, "learned with authors")
    return TableSolution(problem, result, np.tile(learned.mean, (bank.n_items, 1)), "learned")


def _solve_under(
    task: TableTask, start: FloatArray, priors: NormalPriors, source: str
) -> TableSolution:
    """Fit under a normal prior of each item's own; `start` has the items with answers."""
    chosen = task.answered
    free = task.free[chosen]
    of_items = NormalPriors(priors.mean[chosen], priors.sd[chosen]).for_items(free)
    problem = ItemProblem(start, free, of_items)
    return TableSolution(problem, _fit(task, problem), priors.mean, source)


def _fit(task: TableTask, problem: ItemProblem) -> EMResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # `TableFit.converged` says so
        return fit(task.data, problem, task.population, task.configuration.em)
