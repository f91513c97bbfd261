"""Replications whose truth is drawn from the prior that the fit is given, so that it is honest."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.common_uncertainty import common_loadings
from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.model import from_internal, standard_errors
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import FREE, SETTINGS, fit_quietly, free_coordinates
from calibration_pipeline_tests.simulated import adaptive_data

MEAN, SD = np.array([0.2, 0.0, -1.4]), np.array([0.3, 1.0, 0.35])
"""Of φ in the pools drawn here."""


def draw_from_prior(
    n_items: int, model: str, generator: np.random.Generator, mean: np.ndarray = MEAN
) -> np.ndarray:
    """True (a, b, c), ``(n_items, 3)``; `mean` may differ by item."""
    free = free_coordinates(n_items, model)
    internal = generator.normal(np.broadcast_to(mean, free.shape), SD)
    return from_internal(np.where(free, internal, 0.0), free[:, 2])


def random_data(
    truth: np.ndarray, abilities: np.ndarray, answers: int, generator: np.random.Generator
) -> ResponseData:
    """Every session gets items at random: selection that knows nothing."""
    n_sessions = len(abilities)
    item = generator.random((n_sessions, len(truth))).argsort(axis=1)[:, :answers]
    a, b, c = np.moveaxis(truth[item], 2, 0)
    p = c + (1 - c) / (1 + np.exp(-a * (abilities[:, None] - b)))
    return ResponseData(
        np.arange(n_sessions + 1, dtype=np.int64) * answers,
        item.ravel().astype(np.int32),
        (generator.random(p.shape) < p).astype(np.uint8).ravel(),
        len(truth),
    )


def honest_problem(truth: np.ndarray, model: str, n_anchors: int) -> ItemProblem:
    """Anchors and the true prior; without anchors, as on a first night, one that is learned."""
    free = free_coordinates(len(truth), model)
    free[:n_anchors] = False
    start = np.where(free, [1.0, 0.0, 0.2 if model == "3PL" else 0.0], truth)
    if n_anchors:
        return ItemProblem(start, free, ItemPriors.normal(MEAN, SD, free))
    # Guessing's prior is never learned: it has to be the true one from the start.
    return ItemProblem(start, free, LearnedPrior.starting_at(MEAN, SD * [1.5, 1.5, 1.0]))


def item_covariances(
    data: ResponseData, problem: ItemProblem, result: EMResult
) -> tuple[np.ndarray, np.ndarray]:
    """Of φ, ``(n_items, 3, 3)`` each: all else known, and with what the items share."""
    found = marginal_derivatives(data, result.parameters, result.population, SETTINGS)
    priors = result.priors
    if isinstance(priors, LearnedPrior):
        priors = priors.for_items(problem.free)
    alone = priors.posterior_covariance(problem.free, found.information)
    loadings = common_loadings(data, problem, result, found, SETTINGS)
    return alone, alone + loadings @ loadings.transpose(0, 2, 1)


@dataclass(frozen=True)
class Replication:
    """Errors of what was free in units of their standard errors, ``(n_items, 3)``; NaN elsewhere.

    `z` has the standard errors with what the items share, `z_alone` those without.
    """

    z: np.ndarray
    z_alone: np.ndarray
    result: EMResult


def replicate(
    seed: int, model: str, n_anchors: int, *, n_items: int = 60, n_sessions: int = 2000
) -> Replication:
    """Adaptive sessions of 30 answers; the slope that 1PL items share is their population's."""
    generator = np.random.default_rng(seed)
    truth = draw_from_prior(n_items, model, generator)
    is_1pl = model == "1PL"
    abilities = generator.normal(0.0, 1.3 if is_1pl else 1.0, n_sessions)
    data = adaptive_data(truth, abilities, generator, answers=30, pool_share=1)
    problem = honest_problem(truth, model, n_anchors)
    population = FREE if n_anchors else Population(sd_is_estimated=is_1pl)
    result = fit_quietly(data, problem, population)
    alone, together = item_covariances(data, problem, result)
    with np.errstate(invalid="ignore", divide="ignore"):
        z_alone, z = (
            np.where(
                problem.free,
                (result.parameters - truth) / standard_errors(result.parameters, covariance),
                np.nan,
            )
            for covariance in (alone, together)
        )
    return Replication(z, z_alone, result)


def coverage(z: np.ndarray) -> np.ndarray:
    """Share of 95% intervals that hold the truth, by column; columns that weren't free are left."""
    is_free = np.isfinite(z)
    hits = (np.abs(np.where(is_free, z, 9.0)) < 1.96).sum(axis=0)
    return hits[is_free.any(axis=0)] / is_free.sum(axis=0)[is_free.any(axis=0)]
