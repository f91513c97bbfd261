"""The part of the items' uncertainty that they share: where the scale is.

Standard errors from an item's own information take all other items and the population as known.
But the scale that they define is an estimate as well: all difficulties can be off together by a
shift, and all items by a stretch. With few anchors, or few sessions, that part dominates.

Let L = Wᵀφ be the estimates of shift and stretch that are best if items were independent, with
covariance C. The columns of Σ W, Σ the covariance of everything, follow without Σ: they are how
the fit answers to a small pull on L (a linear term in the objective). What they exceed C W by is
the common part, and it has rank two:

    Σ ≈ C + ℓ ℓᵀ   with   ℓ = U (Wᵀ U)^(−½),   U = Σ W − C W.

The derivative of a mode by a linear term is the inverse of the observed information, see Cook
(1986), Journal of the Royal Statistical Society B 48, 133–169.
"""

import warnings
from dataclasses import replace

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.cycles import Cycles
from calibration_pipeline.irt.em import EMResult, NotConvergedWarning
from calibration_pipeline.irt.expectation import MarginalDerivatives
from calibration_pipeline.irt.model import BoolArray, FloatArray, to_internal
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import ItemProblem, Values
from calibration_pipeline.irt.responses import ResponseData

ENOUGH_RESPONSES = 2_000_000
"""Of more, a regular sample of the sessions tells how the items hang together just as well."""
TOLERANCE_SHARE = 0.1
LARGEST_TOLERANCE = 1e-4
MAXIMUM_CYCLES = 300
"""Answers to a pull are differences of two fits: both converge further than a fit alone has to."""


def common_loadings(
    data: ResponseData,
    problem: ItemProblem,
    result: EMResult,
    found: MarginalDerivatives,
    configuration: EMConfiguration,
) -> FloatArray:
    """Change of φ per standard deviation of the scale's two common errors, ``(n_items, 3, 2)``.

    An item's covariance grows by ``loadings[j] @ loadings[j].T``, and that of two items is
    ``loadings[j] @ loadings[k].T``. What is fixed has none.

    Parameters
    ----------
    data, problem, configuration
        As given to `em.fit`.
    result
        What it gave back.
    found
        Derivatives at the result.
    """
    step = 1 + data.n_responses // ENOUGH_RESPONSES
    problem, result, information = _shared(problem, result, found.information, step)
    free, priors = problem.free, result.priors
    is_learned = isinstance(priors, LearnedPrior)
    covariance = priors.for_items(free).posterior_covariance(free, information)
    internal = np.where(free, to_internal(result.parameters), to_internal(problem.start))
    weights = _best_weights(covariance, internal, free)
    if not weights.shape[2]:
        return np.zeros((data.n_items, 3, 2))
    settings = replace(
        configuration,
        tolerance=min(TOLERANCE_SHARE * configuration.tolerance, LARGEST_TOLERANCE),
        maximum_cycles=max(configuration.maximum_cycles, MAXIMUM_CYCLES),
    )
    cycles = Cycles(data.every(step), problem, settings, is_bounded=not is_learned)
    start = Values(internal, result.population, priors)
    # Groups that hold the scale together would let go of it: a pull moves nothing but the items.
    holds_scale = cycles.may_expand(result.population) and result.population.has_contrasts
    tilt = replace(result.tilt, holds_scale=holds_scale)
    first = cycles.run(start, "common", tilt)
    base, converged = first.values, first.converged
    alone = np.einsum("jkm,jmn->jkn", covariance, weights)
    spread = np.einsum("jkn,jkn->n", weights, alone) + 1.0 / cycles.data.n_sessions
    excess = np.empty_like(alone)
    for column, pull in enumerate(1.0 / np.sqrt(spread)):
        linear = pull * weights[:, :, column]
        pulled = cycles.run(base, "common", replace(tilt, linear=linear))
        converged &= pulled.converged
        answer = (pulled.values.internal - base.internal) / pull
        excess[:, :, column] = np.where(free, answer, 0.0) - alone[:, :, column]
    if not converged:
        warnings.warn(
            "the error of the scale didn't converge: standard errors may be too small",
            NotConvergedWarning,
            stacklevel=2,
        )
    loadings = np.zeros((data.n_items, 3, 2))
    loadings[:, :, : weights.shape[2]] = _factor(excess, weights) / np.sqrt(step)
    return loadings


def _shared(
    problem: ItemProblem, result: EMResult, information: FloatArray, step: int
) -> tuple[ItemProblem, EMResult, FloatArray]:
    """One part in `step` of all that is known: covariances come out `step` times as large.

    A learned prior stays: with so many answers it is a small part.
    """
    if step == 1:
        return problem, result, information
    priors = result.priors
    if isinstance(priors, ItemPriors):
        priors = ItemPriors(priors.precision / step, priors.linear / step)
    tilt = replace(result.tilt, spread=result.tilt.spread / step)
    return (
        replace(problem, priors=priors),
        replace(result, priors=priors, tilt=tilt),
        information / step,
    )


def _best_weights(covariance: FloatArray, internal: FloatArray, free: BoolArray) -> FloatArray:
    """W: weighted least squares of shift and stretch on all free coordinates, ``(n, 3, ≤ 2)``.

    A single item, or items that say nothing of it, have no stretch.
    """
    centre = internal[free[:, 1], 1].mean() if free[:, 1].any() else 0.0
    shift = np.zeros_like(internal)
    shift[:, 1] = 1.0
    stretch = np.zeros_like(internal)
    stretch[:, 0], stretch[:, 1] = -1.0, internal[:, 1] - centre
    design = np.where(free[:, :, None], np.stack([shift, stretch], axis=2), 0.0)
    fixed = np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    pairs = free[:, :, None] & free[:, None, :]
    precision = np.where(pairs, np.linalg.inv(covariance + fixed), 0.0)
    weighted = np.einsum("jkm,jmn->jkn", precision, design)
    normal = np.einsum("jkn,jkp->np", design, weighted)
    if not free[:, 1].any():
        return np.empty((*internal.shape, 0))
    if free[:, 1].sum() < 2:
        return np.asarray(weighted[:, :, :1] / normal[0, 0])
    # Items of one difficulty show no stretch: that direction is left out.
    return np.asarray(weighted @ np.linalg.pinv(normal, rcond=1e-9, hermitian=True))


def _factor(excess: FloatArray, weights: FloatArray) -> FloatArray:
    """ℓ with ℓ ℓᵀ W = U; directions in which nothing is common are left out."""
    common = np.einsum("jkn,jkp->np", weights, excess)
    values, vectors = np.linalg.eigh(0.5 * (common + common.T))
    usable = values > 1e-9 * max(values.max(), 0.0)
    root = np.where(usable, 1.0 / np.sqrt(np.where(usable, values, 1.0)), 0.0)
    return np.asarray(excess @ (vectors * root))
