"""Where a new item should be shown: how many answers it needs, and whose teach most.

An item is believed to be Gaussian in φ = (log a, b, logit c) with mean m and covariance LLᵀ. An
answer of a candidate whose ability is known as N(θ, s²) tells about φ what the probability averaged
over that normal does: with p that average and ∂p its gradient, ∂p ∂pᵀ / (p(1 − p)). For a true φ
and a share ξ of the answers at each ability, n of them leave the covariance

    L (1 + n·C)⁻¹ Lᵀ    with    C = Σ_θ ξ_θ d_θ d_θᵀ,    d_θ = Lᵀ ∂p_θ / √(p_θ(1 − p_θ))

The shares maximise the mean of log det(1 + n·C) over the belief (Bayesian D-optimality) by the
multiplicative algorithm, which never lowers it.

Source: Chaloner & Verdinelli (1995), *Statistical Science* 10, 273–304, eq. 3; Yu (2010), *Annals
of Statistics* 38, 1593–1606.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from calibration_pipeline.irt.model import (
    BoolArray,
    FloatArray,
    from_internal,
    probability_gradients,
    response_probabilities,
)
from calibration_pipeline.irt.population import normal_log_weights

PATH_ANSWERS = (25, 50, 100, 200, 400)
"""Further answers after which the expected standard error of b is given."""
CAUTIOUS = 0.9
"""Share of the items like this one for which the cautious number of answers is enough."""
_DRAWS = 64
_DRAWS_OF_SHARES = 16
"""The optimum is flat: shares from so few draws teach as much as those from all."""
_ABILITIES = 25
_CYCLES = (40, 10)
"""Of each round. Numbers of answers and shares depend on one another, but little."""
_PLASTIC = 1.2207440846057596
"""Real root of x⁴ = x + 1 (Roberts 2018, the R₃ sequence)."""
_LEAST_SHARE = 0.02
_ITEMS_AT_ONCE = 50
_DIFFICULTY = 1


@dataclass(frozen=True)
class ShownTo:
    """Who can be asked, and what is to be reached.

    Attributes
    ----------
    mean, sd
        Of the candidates' abilities.
    reach_sds
        How far from the mean candidates are asked for, in standard deviations.
    ability_se
        Standard error with which a candidate's ability is known.
    difficulty_se
        Standard error of b to be reached.
    maximum_answers
        Nothing beyond is planned for.
    scaling_constant
        D.
    """

    mean: float
    sd: float
    reach_sds: float
    ability_se: float
    difficulty_se: float
    maximum_answers: int
    scaling_constant: float = 1.0

    @property
    def abilities(self) -> FloatArray:
        """Those that are looked at, ``(n_abilities,)``."""
        reach = self.reach_sds * self.sd
        return np.linspace(self.mean - reach, self.mean + reach, _ABILITIES)


@dataclass(frozen=True)
class ShowingPlan:
    """What one item needs. Numbers of answers are further ones; infinite: more than planned for.

    Attributes
    ----------
    answers, answers_cautious
        Until SE(b) is reached by half, and by nine in ten, of the items that are believed in like
        this one, if it is shown as advised.
    answers_unaimed
        The former, if it is shown to candidates as they come.
    abilities, shares
        ``(n_points,)`` whom to show it to, and which share of the answers to take there.
    path_se
        ``(len(PATH_ANSWERS),)`` median standard error of b after so many answers.
    """

    answers: float
    answers_cautious: float
    answers_unaimed: float
    abilities: FloatArray
    shares: FloatArray
    path_se: FloatArray


def plan_showing(
    centres: FloatArray,
    covariances: FloatArray,
    has_guessing: BoolArray,
    shown_to: ShownTo,
) -> list[ShowingPlan]:
    """Plan for each item whom to show it to, and how often.

    Parameters
    ----------
    centres, covariances
        ``(n_items, 3)`` and ``(n_items, 3, 3)`` what is believed of φ; rows and columns of
        coordinates that an item lacks are zero.
    has_guessing
        ``(n_items,)``.
    shown_to
        Candidates and aim.
    """
    plans: list[ShowingPlan] = []
    for first in range(0, len(centres), _ITEMS_AT_ONCE):
        rows = slice(first, first + _ITEMS_AT_ONCE)
        plans += _plan(centres[rows], _roots(covariances[rows]), has_guessing[rows], shown_to)
    return plans


def _plan(
    centres: FloatArray, roots: FloatArray, has_guessing: BoolArray, shown_to: ShownTo
) -> Iterator[ShowingPlan]:
    directions = _directions(centres, roots, has_guessing, shown_to)
    grid = shown_to.abilities
    unaimed = np.exp(normal_log_weights(grid, shown_to.mean, shown_to.sd))
    shares = np.tile(unaimed, (len(centres), 1))
    target = shown_to.difficulty_se**2
    needed = _answers_needed(directions, roots, shares, target, shown_to.maximum_answers)
    at_random = np.median(needed, axis=1)
    shares = np.full_like(shares, 1.0 / len(grid))
    for cycles in _CYCLES:
        planned = np.clip(np.median(needed, axis=1), 1.0, shown_to.maximum_answers)
        shares = _d_optimal(directions[:, :_DRAWS_OF_SHARES], planned, shares, cycles)
        needed = _answers_needed(directions, roots, shares, target, shown_to.maximum_answers)
    path = _path(directions, roots, shares)
    for j in range(len(centres)):
        points, of_points = _support(grid, shares[j])
        yield ShowingPlan(
            answers=float(np.median(needed[j])),
            answers_cautious=float(np.quantile(needed[j], CAUTIOUS, method="higher")),
            answers_unaimed=float(at_random[j]),
            abilities=points,
            shares=of_points,
            path_se=path[j],
        )


def _roots(covariances: FloatArray) -> FloatArray:
    """Roots L of covariances that may be singular, ``(n_items, 3, 3)``."""
    values, vectors = np.linalg.eigh(covariances)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def _believed(centres: FloatArray, roots: FloatArray) -> FloatArray:
    """Values of φ that stand for the belief, ``(n_items, n_draws, 3)``: the same at every call."""
    # Evenly spread, and so are the first few: no two share a plane as on a grid.
    steps = _PLASTIC ** -np.arange(1.0, 4.0)
    unit = ndtri((0.5 + np.arange(1, _DRAWS + 1)[:, None] * steps) % 1.0)
    return np.asarray(centres[:, None] + np.einsum("jkm,nm->jnk", roots, unit))


def averaged_probabilities(
    internal: FloatArray, has_guessing: BoolArray, shown_to: ShownTo
) -> tuple[FloatArray, FloatArray]:
    """Probability of a right answer, and its gradient by φ, averaged over a candidate's ability.

    Parameters
    ----------
    internal
        ``(n, 3)`` values of φ.
    has_guessing
        ``(n,)``.
    shown_to
        How well abilities are known.

    Returns
    -------
    ``(n, n_abilities)`` and ``(n, 3, n_abilities)``.
    """
    parameters = from_internal(internal, has_guessing)
    points, weights = np.polynomial.hermite_e.hermegauss(7)
    weights = weights / weights.sum()
    grid, scaling = shown_to.abilities, shown_to.scaling_constant
    p, gradient = 0.0, 0.0
    for point, weight in zip(points, weights, strict=True):
        theta = grid + shown_to.ability_se * point
        p = p + weight * response_probabilities(theta, parameters, scaling)
        gradient = gradient + weight * probability_gradients(theta, parameters, scaling)
    return np.asarray(p), np.asarray(gradient)


def _directions(
    centres: FloatArray, roots: FloatArray, has_guessing: BoolArray, shown_to: ShownTo
) -> FloatArray:
    """Every item's d by believed value and ability, ``(n_items, n_draws, n_abilities, 3)``."""
    internal = _believed(centres, roots)
    n_items, n_draws, _ = internal.shape
    p, gradient = averaged_probabilities(
        internal.reshape(-1, 3), np.repeat(has_guessing, n_draws), shown_to
    )
    scaled = gradient / np.sqrt(np.maximum(p * (1.0 - p), 1e-12))[:, None, :]
    shape = (n_items, n_draws, 3, scaled.shape[-1])
    return np.asarray(np.einsum("jkm,jnkt->jntm", roots, scaled.reshape(shape), optimize=True))


def _information(directions: FloatArray, shares: FloatArray) -> FloatArray:
    """C of every item and believed value, ``(n_items, n_draws, 3, 3)``."""
    weighted = directions * shares[:, None, :, None]
    return np.asarray(weighted.transpose(0, 1, 3, 2) @ directions)


def _d_optimal(
    directions: FloatArray, answers: FloatArray, shares: FloatArray, cycles: int
) -> FloatArray:
    """Shares nearer to those that maximise the mean log determinant, ``(n_items, n_abilities)``."""
    n = answers[:, None, None, None]
    for _ in range(cycles):
        inverse = np.linalg.inv(np.eye(3) + n * _information(directions, shares))
        worth = ((directions @ inverse) * directions).sum(axis=-1).mean(axis=1)
        shares = shares * worth
        shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _spectrum(
    directions: FloatArray, roots: FloatArray, shares: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What b's variance after n answers is made of: Σ parts / (1 + n · values)."""
    values, vectors = np.linalg.eigh(_information(directions, shares))
    along = np.einsum("jm,jnmi->jni", roots[:, _DIFFICULTY], vectors)
    return np.maximum(values, 0.0), np.square(along)


def _answers_needed(
    directions: FloatArray, roots: FloatArray, shares: FloatArray, target: float, maximum: int
) -> FloatArray:
    """Answers until b's variance falls to the target, ``(n_items, n_draws)``; infinite: never."""
    values, parts = _spectrum(directions, roots, shares)

    def is_enough(n: FloatArray) -> BoolArray:
        return np.asarray((parts / (1.0 + n[..., None] * values)).sum(axis=-1) <= target)

    low = np.full(values.shape[:2], -1.0)
    high = np.full(values.shape[:2], float(maximum))
    reached = is_enough(high)
    while (high - low > 1.0).any():
        middle = np.ceil((low + high) / 2.0)
        enough = is_enough(middle)
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    return np.where(reached, high, np.inf)


def _path(directions: FloatArray, roots: FloatArray, shares: FloatArray) -> FloatArray:
    """Median standard error of b after each of `PATH_ANSWERS`, ``(n_items, n_path)``."""
    values, parts = _spectrum(directions, roots, shares)
    n = np.array(PATH_ANSWERS, float)[:, None]
    variance = (parts[:, :, None] / (1.0 + n * values[:, :, None])).sum(axis=-1)
    return np.asarray(np.median(np.sqrt(variance), axis=1))


def _support(grid: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gather neighbouring abilities that have a share of the answers into one point each."""
    kept = np.flatnonzero(shares >= _LEAST_SHARE)
    groups = np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    of_points = np.array([shares[group].sum() for group in groups])
    points = np.array([grid[group] @ shares[group] for group in groups]) / of_points
    return points, of_points / of_points.sum()
