"""Maximum a posteriori estimation of items, with the population integrated over their errors.

The cycles (`cycles.py`) find the joint mode of items and population. Where the population's
spread is estimated beside thousands of items with some hundred answers each, that mode is off:
items fitted to the very answers that they explain look too good, and the population comes out
too narrow, by 6 to 8% of its variance on a night. So the spread maximises the likelihood with the
items integrated out instead,

    max over φ of the objective − ½ Σ log det(information of item j + its prior's precision),

Laplace's approximation with items independent given the population (Tierney & Kadane 1986,
Journal of the American Statistical Association 81, 82–86). The second term is measured along the
profile of the first, at the mode and at a slightly wider population, and enters the M-step as its
slope.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.cycles import Cycles
from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import CycleDiagnostics, End, ItemProblem, Tilt, Values
from calibration_pipeline.irt.responses import ResponseData

PROFILE_STEP = 3.0
"""Width of a profile in standard errors that log sd would have if abilities were known."""
SPREAD_ROUNDS = 2
"""A learned prior's spread depends on the items and they on it, but little."""
ENOUGH_ANSWERS = 5000
"""Answers per item from which the joint mode does: it is off by a share of about 15 / answers."""
LARGEST_TILT = 0.5
"""As a share of the sessions; more would widen the population without end."""


class NotConvergedWarning(UserWarning):
    """The estimator stopped at its cycle limit."""


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
        At the last E-step; the objective is that of the last phase in the trace.
    cycles, converged
        Cycles used in all, and whether the largest change fell below the tolerance.
    trace
        One row per cycle. Objectives are comparable within a phase: 'mode', 'learned 1' and on
        (a learned prior's spread is held), 'profile' (the population is held wider), 'integrated'
        and 'bounded' (the scale is held).
    tilt
        What the last phase maximised besides likelihood and priors.
    """

    parameters: FloatArray
    population: Population
    priors: ItemPriors | LearnedPrior
    log_likelihood: float
    objective: float
    cycles: int
    converged: bool
    trace: tuple[CycleDiagnostics, ...]
    tilt: Tilt


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
        If there is no session, since nothing says then what the population is; if answers and
        problem are about different items; or if groups are to be told apart while both the
        population and the items' priors hold the scale.
    """
    if data.n_sessions == 0:
        raise ValueError("there is no session to fit")
    if data.n_items != len(problem.start):  # the compiled loops would read beyond their tables
        raise ValueError(f"answers to {data.n_items} items, but a problem of {len(problem.start)}")
    is_learned = isinstance(problem.priors, LearnedPrior)
    cycles = Cycles(data, problem, configuration, is_bounded=not is_learned)
    is_movable = population.mean_is_estimated or cycles.may_expand(population)
    if population.has_contrasts and not is_movable:
        raise ValueError(
            "groups or a covariate need an estimated population where items hold the scale"
        )
    end, tilt = cycles.run(cycles.start(population), "mode", Tilt()), Tilt()
    trace = end.trace
    if configuration.integrates_items and is_learned:
        for number in range(1, SPREAD_ROUNDS + 1):
            end = _with_integrated_prior(cycles, end, f"learned {number}")
            trace += end.trace
    if configuration.integrates_items and _needs_integration(data, problem, population):
        end, tilt, further = _with_integrated_spread(cycles, end, tilt)
        trace += further
    if is_learned:
        end, further = _within_bounds(cycles, end)
        trace += further
    if not end.converged:
        warnings.warn(
            f"EM stopped after {len(end.trace)} cycles with a largest change of "
            f"{end.trace[-1].largest_change:.4g}; raise maximum_cycles, or look for items that the "
            "data can't determine",
            NotConvergedWarning,
            stacklevel=2,
        )
    return EMResult(
        parameters=np.where(problem.free, end.evaluation.parameters, problem.start),
        population=end.values.population,
        priors=end.values.priors,
        log_likelihood=end.evaluation.expectation.log_likelihood,
        objective=end.evaluation.objective,
        cycles=len(trace),
        converged=end.converged,
        trace=trace,
        tilt=tilt,
    )


def _with_integrated_prior(cycles: Cycles, end: End, phase: str) -> End:
    """Go on with a learned prior whose spread has the items' errors in it."""
    priors = end.values.priors
    if not isinstance(priors, LearnedPrior):
        return end
    wider = priors.with_integrated_spread(
        end.values.internal, cycles.problem.free, _information(cycles, end)
    )
    return cycles.run(replace(end.values, priors=wider), phase, Tilt())


def _within_bounds(cycles: Cycles, end: End) -> tuple[End, tuple[CycleDiagnostics, ...]]:
    """Bring the items that lie outside the bounds to them; scale, prior and the others stay."""
    learned = end.values.priors
    bounded = replace(cycles, is_bounded=True)
    internal = bounded.within_bounds(end.values.internal)
    is_outside = (internal != end.values.internal).any(axis=1)
    if not isinstance(learned, LearnedPrior) or not is_outside.any():
        return end, ()
    problem = replace(cycles.problem, free=cycles.problem.free & is_outside[:, None])
    start = replace(end.values, internal=internal, priors=learned.for_items(problem.free))
    last = replace(bounded, problem=problem).run(start, "bounded", Tilt(holds_scale=True))
    return replace(last, values=replace(last.values, priors=learned)), last.trace


def _needs_integration(data: ResponseData, problem: ItemProblem, population: Population) -> bool:
    """Without a prior the fit is maximum likelihood, to be compared as such."""
    has_prior = isinstance(problem.priors, LearnedPrior) or bool(problem.priors.precision.any())
    n_free = int(problem.free.any(axis=1).sum())
    is_sparse = data.n_responses < ENOUGH_ANSWERS * n_free
    return has_prior and is_sparse and population.sd_is_estimated


def _with_integrated_spread(
    cycles: Cycles, mode: End, tilt: Tilt
) -> tuple[End, Tilt, tuple[CycleDiagnostics, ...]]:
    """Move from the joint mode to the one whose spread has the items integrated out."""
    step = float(PROFILE_STEP / np.sqrt(2.0 * cycles.data.n_sessions))
    population = mode.values.population
    wider = replace(mode.values, population=replace(population, sd=population.sd * np.exp(step)))
    held = cycles.run(wider, "profile", replace(tilt, holds_sd=True))
    fall = mode.evaluation.objective - held.evaluation.objective
    if not fall > 0.0:  # answers that say nothing about the spread
        return mode, tilt, ()
    variance = 0.5 * step**2 / fall
    slope = (_log_volume(cycles, held) - _log_volume(cycles, mode)) / step
    limit = LARGEST_TILT * cycles.data.n_sessions
    tilt = replace(tilt, spread=min(max(slope, -limit), limit))
    share = float(np.clip(tilt.spread * variance / step, -1.0, 1.0 / step))
    end = cycles.run(_between(mode.values, held.values, share), "integrated", tilt)
    return end, tilt, held.trace + end.trace


def _between(mode: Values, held: Values, share: float) -> Values:
    """Go on along the line from the mode to the held fit: nearly the answer already."""
    population = held.population
    log_sd = np.log(mode.population.sd) * (1.0 - share) + np.log(population.sd) * share
    mean = mode.population.mean * (1.0 - share) + population.mean * share
    return Values(
        mode.internal + share * (held.internal - mode.internal),
        replace(population, mean=mean, sd=np.exp(log_sd)),
        held.priors,
    )


def _information(cycles: Cycles, end: End) -> FloatArray:
    population, configuration = end.values.population, cycles.configuration
    return marginal_derivatives(
        cycles.data, end.evaluation.parameters, population, configuration
    ).information


def _log_volume(cycles: Cycles, end: End) -> float:
    """Log volume of the items' posterior given population and prior, up to a constant.

    In the coordinates that the mode is taken in: a learned prior's are slope and intercept.
    """
    free, priors = cycles.problem.free, end.values.priors
    information = _information(cycles, end)
    if isinstance(priors, LearnedPrior):
        volume = priors.for_items(free).log_volume(free, information)
        return volume + float(end.values.internal[free[:, 0] & free[:, 1], 0].sum())
    return priors.log_volume(free, information)
