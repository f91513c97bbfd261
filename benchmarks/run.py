"""Time the estimator on simulated answers and say how near it comes to the truth.

Run it with `make bench`. Seconds are of the second of two runs, so that compilation is left out;
errors are root mean squares, raw and after a linear link to the truth (mean and sd of b).
"""

import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
from rich.console import Console
from rich.table import Table

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult, ItemProblem, fit
from calibration_pipeline.irt.expectation import Population, expect, marginal_derivatives
from calibration_pipeline.irt.linking import mean_sigma, transform_items
from calibration_pipeline.irt.model import FloatArray, from_internal, to_internal
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions

CONFIGURATION = EMConfiguration()


@dataclass(frozen=True)
class Case:
    """A simulated data set, how to fit it, and which items are compared with the truth."""

    name: str
    data: ResponseData
    truth: FloatArray
    problem: ItemProblem
    population: Population
    compared: np.ndarray


def dense_case(seed: int) -> Case:
    """1000 items × 500 students, everybody answers everything, no anchors."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(0, 1, 500)
    truth = np.column_stack(
        [rng.uniform(0.5, 2.5, 1000), rng.normal(0, 1, 1000), rng.uniform(0.05, 0.3, 1000)]
    )
    a, b, c = truth.T
    p = c + (1 - c) / (1 + np.exp(-a * (theta[:, None] - b)))
    answers = rng.random((500, 1000)) < p
    data = ResponseData(
        session_offsets=np.arange(501) * 1000,
        item=np.tile(np.arange(1000, dtype=np.int32), 500),
        correct=answers.astype(np.uint8).ravel(),
        n_items=1000,
    )
    share = answers.mean(axis=0).clip(0.02, 0.98)
    start = np.column_stack([np.ones(1000), -np.log(share / (1 - share)), np.full(1000, 0.2)])
    prior = LearnedPrior.starting_at(np.array([0.0, 0.0, -1.6]), np.array([0.5, 1.5, 0.5]))
    problem = ItemProblem(start, np.ones((1000, 3), bool), prior)
    name = f"dense 1000 × 500, seed {seed}"
    return Case(name, data, truth, problem, Population(), np.ones(1000, bool))


def night_case(n_sessions: int, seed: int) -> Case:
    """2,400 items of which 290 are anchors, adaptive sessions of 30 answers."""
    rng = np.random.default_rng(seed)
    n = 2400
    truth = np.column_stack(
        [
            rng.lognormal(0.2, 0.3, n).clip(0.4, 2.5),
            rng.normal(0, 1, n),
            rng.uniform(0.1, 0.3, n),
        ]
    )
    abilities = rng.normal(0, 1, n_sessions)
    sessions = simulate_sessions(abilities, truth, truth, SelectionRule(), rng)
    data = ResponseData(
        np.arange(n_sessions + 1) * 30, sessions.item.ravel(), sessions.correct.ravel(), n
    )
    is_anchor = np.zeros(n, bool)
    is_anchor[rng.choice(n, 290, replace=False)] = True
    internal = to_internal(truth[is_anchor])
    mean, sd = internal.mean(axis=0), internal.std(axis=0, ddof=1)
    free = np.repeat(~is_anchor[:, None], 3, axis=1)
    start = np.where(free, from_internal(mean[None], np.array([True])), truth)
    problem = ItemProblem(start, free, ItemPriors.normal(mean, sd, free))
    compared = ~is_anchor & (data.item_counts >= 300)
    name = f"a night, {n_sessions:,} sessions, seed {seed}"
    population = Population(mean_is_estimated=True, sd_is_estimated=True)
    return Case(name, data, truth, problem, population, compared)


def timed(work: Callable[[], EMResult]) -> tuple[EMResult, float]:
    """Run twice and time the second."""
    work()
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def row_of(case: Case) -> list[str]:
    """Fit a case, with standard errors, and lay out its row."""

    def work() -> EMResult:
        result = fit(case.data, case.problem, case.population, CONFIGURATION)
        marginal_derivatives(case.data, result.parameters, result.population, CONFIGURATION)
        return result

    result, seconds = timed(work)
    estimate, truth = result.parameters[case.compared], case.truth[case.compared]
    linked = transform_items(estimate, mean_sigma(estimate, truth))
    raw_error = np.sqrt(np.mean((estimate - truth) ** 2, axis=0))
    linked_error = np.sqrt(np.mean((linked - truth) ** 2, axis=0))
    return [
        case.name,
        f"{case.data.n_responses:,}",
        f"{seconds:.2f}",
        str(result.cycles) + ("" if result.converged else " (limit)"),
        " ".join(f"{value:.3f}" for value in raw_error),
        " ".join(f"{value:.3f}" for value in linked_error),
        f"{result.population.sd**2:.3f}",
    ]


def throughput(case: Case) -> float:
    """Million responses per second of one E-step."""
    parameters = case.truth
    started = time.perf_counter()
    expect(case.data, parameters, Population(), CONFIGURATION)
    return case.data.n_responses / (time.perf_counter() - started) / 1e6


def main() -> None:
    """Run every case and print the table."""
    console = Console()
    console.print(
        f"{platform.processor() or platform.machine()}, {numba.get_num_threads()} threads, "
        f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}"
    )
    table = Table(
        "case", "responses", "seconds", "cycles", "RMSE a b c", "linked a b c", "pop. var"
    )
    cases = [dense_case(42), dense_case(1), night_case(20_000, 1), night_case(40_000, 1)]
    for case in cases:
        table.add_row(*row_of(case))
    console.print(table)
    console.print(f"E-step: {throughput(cases[-1]):.0f} million responses per second")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"Peak memory of this process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
