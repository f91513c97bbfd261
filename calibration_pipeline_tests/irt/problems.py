"""Estimation problems that several test files pose."""

import warnings

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning, fit
from calibration_pipeline.irt.model import FREE_COORDINATES, from_internal, to_internal
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

SETTINGS = EMConfiguration()
PATIENT = EMConfiguration(tolerance=1e-5, maximum_cycles=500)
PRIOR_MEAN, PRIOR_SD = np.array([0.0, 0.0, -1.6]), np.array([0.5, 1.5, 0.5])
FIXED, FREE = Population(), Population(mean_is_estimated=True, sd_is_estimated=True)


def free_coordinates(n_items: int, model: str) -> np.ndarray:
    return np.tile(np.array(FREE_COORDINATES[model], bool), (n_items, 1))


def problem_of(n_items: int, model: str = "3PL", prior: str = "fixed") -> ItemProblem:
    free = free_coordinates(n_items, model)
    start = np.tile([1.0, 0.0, 0.17 if model == "3PL" else 0.0], (n_items, 1))
    priors = {
        "none": lambda: ItemPriors.none(n_items),
        "fixed": lambda: ItemPriors.normal(PRIOR_MEAN, PRIOR_SD, free),
        "learned": lambda: LearnedPrior.starting_at(PRIOR_MEAN, PRIOR_SD),
    }
    return ItemProblem(start, free, priors[prior]())


def with_fixed_items(problem: ItemProblem, truth: np.ndarray, n_fixed: int) -> ItemProblem:
    """Hold the first items at the truth; the others keep their start and prior."""
    is_fixed = (np.arange(len(truth)) < n_fixed)[:, None]
    free = problem.free & ~is_fixed
    priors = problem.priors
    if isinstance(priors, ItemPriors):
        pairs = free[:, :, None] & free[:, None, :]
        priors = ItemPriors(
            np.where(pairs, priors.precision, 0.0), np.where(free, priors.linear, 0.0)
        )
    return ItemProblem(np.where(is_fixed, truth, problem.start), free, priors)


def fit_quietly(data, problem, population=FIXED, configuration=SETTINGS) -> EMResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        return fit(data, problem, population, configuration)


def adaptive_night(seed: int, n_sessions: int = 20_000, n_items: int = 2400, n_anchors: int = 290):
    """A night: answers of adaptive sessions, anchors at the truth, priors learned from them.

    Gives truth, data, problem and which items are anchors.
    """
    generator = np.random.default_rng(seed)
    truth = draw_items(n_items, generator)
    share = max(0.025, 60 / n_items)
    abilities = generator.normal(size=n_sessions)
    data = adaptive_data(truth, abilities, generator, pool_share=share)
    is_anchor = np.zeros(n_items, bool)
    is_anchor[generator.choice(n_items, n_anchors, replace=False)] = True
    internal = to_internal(truth[is_anchor])
    mean, sd = internal.mean(axis=0), internal.std(axis=0, ddof=1)
    free = np.repeat(~is_anchor[:, None], 3, axis=1)
    typical = from_internal(mean[None], np.ones(1, bool))
    start = np.where(is_anchor[:, None], truth, typical)
    return truth, data, ItemProblem(start, free, ItemPriors.normal(mean, sd, free)), is_anchor
