"""Fit one case with this project's estimator, standard errors included, and write what was found.

A process of its own per case, so that its peak memory is that of the case. The compiled code is
warmed up first; the fastest repetition counts.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks import cases, starting_abilities
from calibration_pipeline.irt.common_uncertainty import common_loadings
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning, fit
from calibration_pipeline.irt.expectation import (
    MarginalDerivatives,
    estimate_abilities,
    marginal_derivatives,
)
from calibration_pipeline.irt.model import FloatArray, standard_errors

CONFIGURATION = EMConfiguration()
LARGE_WARM_UP = "large-100000"


def build(name: str) -> cases.Case:
    """Simulate a case; `starting_abilities` has some of its own."""
    if name.startswith("starts"):
        return starting_abilities.build(name)
    return cases.build(name)


def fit_with_errors(case: cases.Case) -> tuple[EMResult, MarginalDerivatives]:
    """Fit, and find each item's information, which its standard errors come from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # the table says so
        result = fit(case.data, case.problem, case.population, CONFIGURATION)
    found = marginal_derivatives(case.data, result.parameters, result.population, CONFIGURATION)
    return result, found


def errors_of(
    case: cases.Case, result: EMResult, found: MarginalDerivatives, *, with_common: bool
) -> FloatArray:
    """Standard errors of (a, b, c), ``(n_items, 3)``; `with_common` adds what items share."""
    free, priors = case.problem.free, result.priors
    of_items = priors.for_items(free)
    covariance = of_items.posterior_covariance(free, found.information)
    if with_common:
        loadings = common_loadings(case.data, case.problem, result, found, CONFIGURATION)
        covariance = covariance + loadings @ loadings.transpose(0, 2, 1)
    return standard_errors(result.parameters, covariance)


def population_moments(case: cases.Case, result: EMResult) -> tuple[float, float]:
    """Mean and sd of ability: as estimated, or where they're given, as the answers have them.

    The latter is the mean of the posteriors' means, and their variance plus the mean of the
    posteriors' variances: a fit whose scale has settled reproduces the population it was given.
    """
    population = result.population
    if population.sd_is_estimated and not population.has_contrasts:
        return float(population.mean[0]), float(population.sd[0])
    means, sds = estimate_abilities(case.data, result.parameters, population, CONFIGURATION)
    return float(means.mean()), float(np.sqrt(means.var() + np.square(sds).mean()))


def measure(name: str, repeats: int, output: Path) -> None:
    """Fit a case `repeats` times after a warm-up and write estimates, errors and seconds."""
    case = build(name)
    is_large = name.startswith("large")
    fit_with_errors(build(LARGE_WARM_UP) if is_large else case)
    seconds = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        result, found = fit_with_errors(case)
        seconds = min(seconds, time.perf_counter() - started)
    started = time.perf_counter()
    errors = errors_of(case, result, found, with_common=not is_large)
    common_seconds = time.perf_counter() - started
    np.savez(
        output,
        parameters=result.parameters,
        standard_errors=errors,
        truth=case.truth,
        compared=case.compared,
        seconds=seconds,
        common_seconds=common_seconds,
        responses=case.data.n_responses,
        cycles=result.cycles,
        converged=result.converged,
        note=f"{result.cycles} cycles" + ("" if result.converged else ", not converged"),
        population=population_moments(case, result),
    )


def main() -> None:
    """Measure one case."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name")
    parser.add_argument("output", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.name, arguments.repeats, arguments.output)


if __name__ == "__main__":
    main()
