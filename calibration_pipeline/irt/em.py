"""Maximum a posteriori estimation of items by parameter-expanded EM.

Maximises  marginal log-likelihood(φ, population) + log prior(φ)  (+ log hyperprior)  by

1. E-step: expected counts at the current values (`expectation.expect`),
2. M-step: every item by Fisher scoring on its expected counts and its prior,
3. the population's mean and standard deviation from the expected mass over abilities,
4. where no fixed item holds the scale, an expansion: the population just estimated is brought
   back to its fixed values by moving items and learned prior with it (Liu, Rubin & Wu 1998,
   Biometrika 85, 755–770). A cycle that lowers the objective is replaced by its plain self.

Item-specific priors state a scale, so with them the expansion is off.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt import kernels
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.expectation import Expectation, Population, expect, quadrature_nodes
from calibration_pipeline.irt.model import BoolArray, FloatArray, from_internal, to_internal
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.responses import ResponseData

SCORING_STEPS = 5
EXPANSION_DAMPING = 0.7
"""Each expansion that lowered the objective shortens the later ones: the scale has settled."""
OBJECTIVE_TOLERANCE = 1e-7
"""A fall of the objective smaller than this share of its size is rounding."""


class NotConvergedWarning(UserWarning):
    """The estimator stopped at its cycle limit."""


@dataclass(frozen=True)
class ItemProblem:
    """What is to be estimated.

    Attributes
    ----------
    start
        ``(n_items, 3)`` starting values of (a, b, c); the values of whatever is not free.
    free
        ``(n_items, 3)`` coordinates of φ to estimate; none for a fixed item.
    priors
        Each item's own prior, or one that is learned with the items.
    """

    start: FloatArray
    free: BoolArray
    priors: ItemPriors | LearnedPrior

    @property
    def has_guessing(self) -> BoolArray:
        """Items with a lower asymptote, ``(n_items,)``; a start of 0 doesn't take it from them."""
        return np.asarray((self.start[:, 2] > 0.0) | self.free[:, 2])


@dataclass(frozen=True)
class CycleDiagnostics:
    """One row per cycle."""

    cycle: int
    objective: float
    log_likelihood: float
    largest_change: float
    is_expanded: bool


@dataclass(frozen=True)
class EMResult:
    """The fit.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    population
        As given, or with what was to be estimated.
    priors
        As given, or learned.
    log_likelihood, objective
        At the last E-step.
    cycles, converged
        Cycles used, and whether the largest change fell below the tolerance.
    trace
        One row per cycle.
    """

    parameters: FloatArray
    population: Population
    priors: ItemPriors | LearnedPrior
    log_likelihood: float
    objective: float
    cycles: int
    converged: bool
    trace: tuple[CycleDiagnostics, ...]


@dataclass(frozen=True)
class _Values:
    """What changes from cycle to cycle."""

    internal: FloatArray
    population: Population
    priors: ItemPriors | LearnedPrior


@dataclass(frozen=True)
class _End:
    """Where the cycles ended; `fallback` is the last cycle without its expansion."""

    values: _Values
    fallback: _Values | None
    objective: float
    converged: bool
    trace: tuple[CycleDiagnostics, ...]


def fit(
    data: ResponseData,
    problem: ItemProblem,
    population: Population,
    configuration: EMConfiguration,
) -> EMResult:
    """Fit items and population. Not converging is data and a warning, never silence.

    Raises
    ------
    ValueError
        If there is no session: nothing says then what the population is.
    """
    if data.n_sessions == 0:
        raise ValueError("there is no session to fit")
    lower, upper = _internal_bounds(configuration)
    internal = to_internal(problem.start)
    internal = np.where(problem.free, np.clip(internal, lower, upper), internal)
    start = _Values(internal, population, problem.priors)
    end = _run_cycles(data, problem, start, configuration)
    if not end.converged:
        warnings.warn(
            f"EM stopped after {configuration.maximum_cycles} cycles with a largest change of "
            f"{end.trace[-1].largest_change:.4g}; raise maximum_cycles, or look for items that the "
            "data can't determine",
            NotConvergedWarning,
            stacklevel=2,
        )
    values = end.values
    parameters, final, objective = _evaluate(data, values, problem, configuration)
    if end.fallback is not None and objective < end.objective:
        values = end.fallback
        parameters, final, objective = _evaluate(data, values, problem, configuration)
    return EMResult(
        parameters=np.where(problem.free, parameters, problem.start),
        population=values.population,
        priors=values.priors,
        log_likelihood=final.log_likelihood,
        objective=objective,
        cycles=len(end.trace),
        converged=end.converged,
        trace=end.trace,
    )


def _run_cycles(
    data: ResponseData, problem: ItemProblem, values: _Values, configuration: EMConfiguration
) -> _End:
    """Repeat E- and M-step until nothing moves; a cycle that lowered the objective is undone."""
    expands = _may_expand(problem, values.population)
    fallback: _Values | None = None
    damping, best, change = 1.0, -np.inf, np.inf
    trace: list[CycleDiagnostics] = []
    for cycle in range(1, configuration.maximum_cycles + 1):
        before, expectation, objective = _evaluate(data, values, problem, configuration)
        if fallback is not None and objective < best - OBJECTIVE_TOLERANCE * abs(best):
            values, fallback, damping = fallback, None, damping * EXPANSION_DAMPING
            trace.append(CycleDiagnostics(cycle, best, np.nan, change, is_expanded=False))
            continue
        best = objective
        values = plain = _maximize(values, expectation, problem, configuration)
        if expands:
            fallback = plain
            values = _expand(plain, expectation, problem.free, configuration, damping)
        after = from_internal(values.internal, problem.has_guessing)
        change = float(np.abs(after - before).max())
        trace.append(
            CycleDiagnostics(cycle, objective, expectation.log_likelihood, change, expands)
        )
        if change < configuration.tolerance:
            break
    return _End(values, fallback, best, change < configuration.tolerance, tuple(trace))


def _internal_bounds(configuration: EMConfiguration) -> tuple[FloatArray, FloatArray]:
    corners = np.array(
        [
            configuration.discrimination_bounds,
            configuration.difficulty_bounds,
            configuration.guessing_bounds,
        ]
    ).T
    lower, upper = to_internal(corners)
    return lower, upper


def _may_expand(problem: ItemProblem, population: Population) -> bool:
    """Rescaling is free of charge only if nothing but the population holds the scale."""
    holds_scale = isinstance(problem.priors, ItemPriors) and bool(problem.priors.precision.any())
    all_free = bool(problem.free[:, 1].all())
    return all_free and not holds_scale and not population.mean_is_estimated


def _evaluate(
    data: ResponseData, values: _Values, problem: ItemProblem, configuration: EMConfiguration
) -> tuple[FloatArray, Expectation, float]:
    """Item parameters, E-step and objective at these values."""
    parameters = from_internal(values.internal, problem.has_guessing)
    expectation = expect(data, parameters, values.population, configuration)
    objective = expectation.log_likelihood + _log_prior(values, problem.free)
    return parameters, expectation, objective


def _log_prior(values: _Values, free: BoolArray) -> float:
    if isinstance(values.priors, LearnedPrior):
        return values.priors.log_density(values.internal, free)
    return values.priors.log_density(values.internal)


def _maximize(
    values: _Values,
    expectation: Expectation,
    problem: ItemProblem,
    configuration: EMConfiguration,
) -> _Values:
    """Items, learned prior and population, each given the expected counts."""
    priors, free = values.priors, problem.free
    of_items = priors.for_items(free) if isinstance(priors, LearnedPrior) else priors
    lower, upper = _internal_bounds(configuration)
    internal = values.internal.copy()
    kernels.maximize_items(
        expectation.counts, quadrature_nodes(configuration), internal, free,
        problem.has_guessing, configuration.scaling_constant, of_items.precision,
        of_items.linear, lower, upper, SCORING_STEPS,
    )  # fmt: skip
    if isinstance(priors, LearnedPrior):
        priors = priors.updated(internal, free)
    mean, sd = _moments(expectation, configuration)
    population = values.population
    if population.mean_is_estimated:
        population = replace(population, mean=mean)
    if population.sd_is_estimated:
        around = population.mean
        population = replace(population, sd=float(np.hypot(sd, mean - around)))
    return _Values(internal, population, priors)


def _moments(expectation: Expectation, configuration: EMConfiguration) -> tuple[float, float]:
    """Mean and sd of the expected mass; the nodes can't tell an sd below half their spacing."""
    nodes = quadrature_nodes(configuration)
    share = expectation.mass / expectation.mass.sum()
    mean = float(share @ nodes)
    sd = float(np.sqrt(share @ np.square(nodes - mean)))
    return mean, max(sd, float(nodes[1] - nodes[0]) / 2.0)


def _expand(
    plain: _Values,
    expectation: Expectation,
    free: BoolArray,
    configuration: EMConfiguration,
    damping: float,
) -> _Values:
    """Bring the population found back to its fixed mean, and sd where slopes can absorb it."""
    mean, sd = _moments(expectation, configuration)
    population = plain.population
    slopes_move = not population.sd_is_estimated and bool(free[:, 0].all())
    slope = (population.sd / sd) ** damping if slopes_move else 1.0
    intercept = damping * (population.mean - slope * mean)
    internal = plain.internal.copy()
    internal[:, 0] -= np.log(slope)
    internal[:, 1] = slope * internal[:, 1] + intercept
    internal = np.where(free, np.clip(internal, *_internal_bounds(configuration)), internal)
    priors = plain.priors
    if isinstance(priors, LearnedPrior):
        priors = priors.rescaled(slope, intercept)
    if population.sd_is_estimated:
        population = replace(population, sd=sd)
    return _Values(internal, population, priors)
