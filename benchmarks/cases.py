"""The simulated data sets, how this estimator is asked to fit each, and what is compared.

Run as a program it writes a case to files for the other programs, truth apart from the answers.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.large_sessions import simulate_large
from calibration_pipeline.irt.model import FloatArray, from_internal, response_probabilities
from calibration_pipeline.irt.model import to_internal as internal_of
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions

TEXTBOOK = np.array([[0.0, 0.5], [0.0, 1.5], [-1.6, 0.5]])
"""Mean and sd of log a, b and logit c that somebody would write down without seeing the pool."""
POOL = np.array([[0.2, 0.3], [0.0, 1.0], [-1.4, 0.35]])
"""The same of the simulated pools below: what somebody knows who has seen many of them."""
POOL_ITEMS, POOL_ANCHORS = 2400, 290
MINIMUM_COMPARED_ANSWERS = 300
LARGE_ITEMS = 10_000


@dataclass(frozen=True)
class Case:
    """A simulated data set, how to fit it, and which items are compared with the truth.

    Attributes
    ----------
    name
        What `build` makes it from.
    data
        The answers.
    truth
        ``(n_items, 3)``.
    problem, population
        What this estimator is asked.
    prior
        ``(3, 2)`` mean and sd of log a, b and logit c, which other programs are told as well.
    compared
        ``(n_items,)`` items whose estimates are compared with the truth.
    """

    name: str
    data: ResponseData
    truth: FloatArray
    problem: ItemProblem
    population: Population
    prior: FloatArray
    compared: NDArray[np.bool_]


def build(name: str) -> Case:
    """Simulate the case of that name.

    Names are ``dense-SEED``, ``night-SESSIONS``, ``sparse``, ``anchors-MEAN-SD-SEED``
    and ``large-ANSWERS``.

    Raises
    ------
    ValueError
        If the name says none of these.
    """
    kind, *numbers = name.split("-")
    if kind == "dense":
        return _dense(name, int(numbers[0]))
    if kind == "night":
        return _night(name, int(numbers[0]))
    if kind == "large":
        return _large(name, int(numbers[0]))
    if kind == "sparse":
        return _sparse(name)
    if kind == "anchors":
        return _anchors(name, float(numbers[0]), float(numbers[1]), int(numbers[2]))
    raise ValueError(f"there is no benchmark case {name!r}")


def _dense(name: str, seed: int) -> Case:
    """1000 items × 500 students: everybody answers everything, no anchors."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(0, 1, 500)
    truth = np.column_stack(
        [rng.uniform(0.5, 2.5, 1000), rng.normal(0, 1, 1000), rng.uniform(0.05, 0.3, 1000)]
    )
    data = _answers_to_everything(theta, truth, rng)
    share = np.bincount(data.item, data.correct) / 500
    share = share.clip(0.02, 0.98)
    start = np.column_stack([np.ones(1000), -np.log(share / (1 - share)), np.full(1000, 0.2)])
    problem = ItemProblem(start, np.ones((1000, 3), bool), LearnedPrior.starting_at(*TEXTBOOK.T))
    return Case(name, data, truth, problem, Population(), TEXTBOOK, np.ones(1000, bool))


def _answers_to_everything(
    theta: FloatArray, truth: FloatArray, rng: np.random.Generator
) -> ResponseData:
    n_persons, n_items = len(theta), len(truth)
    right = rng.random((n_persons, n_items)) < response_probabilities(theta, truth).T
    return ResponseData(
        session_offsets=np.arange(n_persons + 1) * n_items,
        item=np.tile(np.arange(n_items, dtype=np.int32), n_persons),
        correct=right.astype(np.uint8).ravel(),
        n_items=n_items,
    )


def draw_pool(n_items: int, rng: np.random.Generator) -> FloatArray:
    """True parameters as a working pool has them, ``(n_items, 3)``."""
    return np.column_stack(
        [
            rng.lognormal(0.2, 0.3, n_items).clip(0.4, 2.5),
            rng.normal(0, 1, n_items),
            rng.uniform(0.1, 0.3, n_items),
        ]
    )


def anchored_problem(
    truth: FloatArray, is_anchor: NDArray[np.bool_]
) -> tuple[ItemProblem, FloatArray]:
    """Hold the anchors at the truth and learn everybody else's prior from them, as a night does.

    Gives the problem and the prior's ``(3, 2)`` mean and sd.
    """
    internal = internal_of(truth[is_anchor])
    mean, sd = internal.mean(axis=0), internal.std(axis=0, ddof=1)
    free = np.repeat(~is_anchor[:, None], 3, axis=1)
    start = np.where(free, from_internal(mean[None], np.array([True])), truth)
    problem = ItemProblem(start, free, ItemPriors.normal(mean, sd, free))
    return problem, np.column_stack([mean, sd])


def choose_anchors(n_items: int, n_anchors: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a mask, ``(n_items,)``."""
    is_anchor = np.zeros(n_items, bool)
    is_anchor[rng.choice(n_items, n_anchors, replace=False)] = True
    return is_anchor


def _night(name: str, n_sessions: int) -> Case:
    """2,400 items of which 290 are anchors, adaptive sessions of 30 answers."""
    rng = np.random.default_rng(1)
    truth = draw_pool(POOL_ITEMS, rng)
    abilities = rng.normal(0, 1, n_sessions)
    sessions = simulate_sessions(abilities, truth, truth, SelectionRule(), rng)
    data = ResponseData(
        session_offsets=np.arange(n_sessions + 1) * 30,
        item=sessions.item.ravel(),
        correct=sessions.correct.ravel(),
        n_items=POOL_ITEMS,
    )
    is_anchor = choose_anchors(POOL_ITEMS, POOL_ANCHORS, rng)
    problem, prior = anchored_problem(truth, is_anchor)
    compared = ~is_anchor & (data.item_counts >= MINIMUM_COMPARED_ANSWERS)
    population = Population(mean_is_estimated=True, sd_is_estimated=True)
    return Case(name, data, truth, problem, population, prior, compared)


def _sparse(name: str) -> Case:
    """10,000 persons who each answer 40 of 300 items; priors as if the pool were known."""
    rng = np.random.default_rng(3)
    n_persons, n_items, answers = 10_000, 300, 40
    truth = draw_pool(n_items, rng)
    theta = rng.normal(0, 1, n_persons)
    item = rng.random((n_persons, n_items)).argsort(axis=1)[:, :answers].astype(np.int32)
    a, b, c = (truth[item, k] for k in range(3))
    p = c + (1 - c) / (1 + np.exp(-a * (theta[:, None] - b)))
    data = ResponseData(
        session_offsets=np.arange(n_persons + 1) * answers,
        item=item.ravel(),
        correct=(rng.random(item.shape) < p).astype(np.uint8).ravel(),
        n_items=n_items,
    )
    free = np.ones((n_items, 3), bool)
    start = np.tile(from_internal(POOL[None, :, 0], np.array([True])), (n_items, 1))
    priors = ItemPriors.normal(POOL[:, 0], POOL[:, 1], free).over_intercepts(free)
    problem = ItemProblem(start, free, priors)
    return Case(name, data, truth, problem, Population(), POOL, np.ones(n_items, bool))


def _anchors(name: str, mean: float, sd: float, seed: int) -> Case:
    """5,000 persons of a population that isn't N(0, 1) answer 100 items; 12 are fixed."""
    rng = np.random.default_rng(seed)
    truth = draw_pool(100, rng)
    is_anchor = choose_anchors(100, 12, rng)
    data = _answers_to_everything(rng.normal(mean, sd, 5000), truth, rng)
    problem, prior = anchored_problem(truth, is_anchor)
    population = Population(mean_is_estimated=True, sd_is_estimated=True)
    return Case(name, data, truth, problem, population, prior, ~is_anchor)


def _large(name: str, n_answers: int) -> Case:
    """10,000 items of which 1,200 are anchors, sessions of 50 answers near the ability."""
    rng = np.random.default_rng(7)
    truth = draw_pool(LARGE_ITEMS, rng)
    data = simulate_large(n_answers, truth, seed=7)
    is_anchor = choose_anchors(LARGE_ITEMS, 1200, rng)
    problem, prior = anchored_problem(truth, is_anchor)
    population = Population(mean_is_estimated=True, sd_is_estimated=True)
    return Case(name, data, truth, problem, population, prior, ~is_anchor)


def export(case: Case, folder: Path, *, for_r: bool) -> None:
    """Write ``answers.npz`` for the other programs and ``truth.npz`` for the comparison.

    With `for_r` the same as ``answers.csv``, ``items.csv`` and ``prior.csv``.
    """
    data, problem = case.data, case.problem
    is_fixed = np.logical_not(problem.free.any(axis=1))
    known = np.where(is_fixed[:, np.newaxis], problem.start, np.nan)
    np.savez(
        folder / "answers.npz",
        session_offsets=data.session_offsets,
        item=data.item,
        correct=data.correct,
        known=known,
        prior=case.prior,
    )
    np.savez(folder / "truth.npz", truth=case.truth, compared=case.compared)
    if for_r:
        person = np.repeat(np.arange(data.n_sessions), np.diff(data.session_offsets))
        rows = np.column_stack([person + 1, data.item + 1, data.correct])
        np.savetxt(folder / "answers.csv", rows, "%d", ",", header="person,item,correct",
                   comments="")  # fmt: skip
        np.savetxt(folder / "items.csv", known, "%.10g", ",", header="a,b,c", comments="")
        np.savetxt(folder / "prior.csv", case.prior, "%.10g", ",", header="mean,sd", comments="")


def main() -> None:
    """Write one case to a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--for-r", action="store_true")
    arguments = parser.parse_args()
    export(build(arguments.name), arguments.folder, for_r=arguments.for_r)


if __name__ == "__main__":
    main()
