"""Where an item's base prior on φ = (log a, b, logit c) comes from.

Priors are learned, not assumed: a textbook prior centred off the pool compresses every
discrimination and inflates the population to pay for it (docs/architecture.md, "Priors").
"""

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.policy.carrying import CarriedItems
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import BoolArray, FloatArray, ItemBank

MINIMUM_TEACHERS = 10
"""Fewer anchors than this teach nothing that a textbook prior doesn't know."""
MINIMUM_SD = 0.1
STEPS_PER_NIGHT = 10
"""Of EM, towards the prior that the pool's items speak for."""
ESTIMATES_COUNT_AS = 50
"""Anchors that all estimated items together count as, at most: an estimate is a mode, a few
hundredths off in log a, and that doesn't average out over items."""


def textbook_prior(configuration: CalibrationConfiguration) -> LearnedPrior:
    """Where learning starts when there are no anchors."""
    prior = np.array(
        [
            configuration.prior_discrimination,
            configuration.prior_difficulty,
            configuration.prior_guessing,
        ]
    )
    return LearnedPrior.starting_at(prior[:, 0], prior[:, 1])


def learn_from_anchors(
    bank: ItemBank,
    is_anchor: BoolArray,
    anchor_parameters: FloatArray,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of φ for every item of a scale, ``(n_items_of_scale, 3)`` each.

    Coordinates take the anchors' mean and the spread that the next item of their kind is predicted
    to have. Where the author stated a difficulty, and did so for enough anchors, b is the
    regression of the anchors' difficulties on it: that learns the author's bias, scale and
    reliability in one step.

    Parameters
    ----------
    bank
        The pool.
    is_anchor, in_scale
        ``(bank.n_items,)``.
    anchor_parameters
        ``(bank.n_items, 3)`` reference values; rows of other items are ignored.
    configuration
        Gives the textbook prior, used where anchors are too few.
    """
    start = textbook_prior(configuration)
    n = int(in_scale.sum())
    mean, sd = np.tile(start.mean, (n, 1)), np.tile(start.sd, (n, 1))
    teachers = is_anchor & in_scale
    if teachers.sum() < MINIMUM_TEACHERS:
        return mean, sd
    internal = to_internal(anchor_parameters[teachers])
    mean[:] = internal.mean(axis=0)
    squares = np.square(internal - mean[0]).sum(axis=0)
    sd[:] = np.maximum(_predictive_sd(squares, len(internal), 1), MINIMUM_SD)
    guesses = anchor_parameters[teachers, 2] > 0.0
    if not guesses.all():
        mean[:, 2], sd[:, 2] = start.mean[2], start.sd[2]
    _learn_authors(bank.author_difficulty, internal[:, 1], teachers, in_scale, mean, sd)
    return mean, sd


def _predictive_sd(squares: FloatArray, n: int, coefficients: int) -> FloatArray:
    """Standard deviation of the next value, given the sum of squared residuals of n others.

    It is wider than theirs, since location and spread are estimates: a Student t with
    n − coefficients degrees of freedom (Gelman et al. 2013, Bayesian Data Analysis, section 14.2;
    leverage at its mean).
    """
    degrees = n - coefficients
    scale = squares / degrees * (1.0 + coefficients / n)
    return np.asarray(np.sqrt(scale * degrees / (degrees - 2.0)))


def _learn_authors(
    author: FloatArray,
    difficulty: FloatArray,
    teachers: BoolArray,
    in_scale: BoolArray,
    mean: FloatArray,
    sd: FloatArray,
) -> None:
    known = np.isfinite(author[teachers])
    if known.sum() < MINIMUM_TEACHERS or np.ptp(author[teachers][known]) == 0.0:
        return
    x, y = author[teachers][known], difficulty[known]
    slope, intercept = np.polyfit(x, y, 1)
    residual_sd = float(_predictive_sd(np.square(y - intercept - slope * x).sum(), len(y), 2))
    has_author = np.isfinite(author[in_scale])
    mean[has_author, 1] = intercept + slope * author[in_scale][has_author]
    sd[has_author, 1] = max(residual_sd, MINIMUM_SD)


def learn_from_estimates(
    bank: ItemBank,
    is_anchor: BoolArray,
    carried: CarriedItems,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
) -> tuple[FloatArray, FloatArray] | None:
    """Learn discrimination and difficulty from last night's estimates and the anchors together.

    A few dozen anchors tell location and spread of a pool so roughly that it costs points of
    coverage. The other items' answers tell them too: empirical Bayes, by the EM algorithm on last
    night's posteriors (Dempster, Laird & Rubin 1977, Journal of the Royal Statistical Society B 39,
    section 4.6), with a normal prior whose mean is linear in the author's difficulty. Guessing is
    left out: answers say so little of it that its posterior isn't normal.

    Parameters
    ----------
    bank, is_anchor, in_scale, configuration
        As in `learn_from_anchors`.
    carried
        Taken over from the last accepted night; the steps begin at its priors, so that a few a
        night are enough.

    Returns
    -------
    tuple or None
        ``(n_items_of_scale, 2)`` mean and standard deviation of (log a, b); None while too few
        items have been estimated.
    """
    phi = to_internal(carried.parameters[in_scale])
    mean = carried.prior_mean[in_scale]
    precision = carried.prior_precision[in_scale]
    is_known = is_anchor[in_scale]
    covariance = carried.covariance[in_scale]
    is_estimated = ~is_known & (covariance[:, 1, 1] > 0.0)
    is_estimated &= carried.total_counts[in_scale] >= configuration.minimum_responses
    n_estimated = int(is_estimated.sum())
    if n_estimated < MINIMUM_TEACHERS:
        return None
    weight = is_known + is_estimated * min(1.0, ESTIMATES_COUNT_AS / n_estimated)
    likelihood = without_prior(phi, covariance, mean, precision, is_estimated)
    author = bank.author_difficulty[in_scale]
    for _ in range(STEPS_PER_NIGHT):
        found, variance = _posterior(likelihood, mean, precision)
        found = np.where(is_known[:, None], phi, found)
        variance = np.where(is_known[:, None], 0.0, variance)
        learned, spread = _fitted_to(found[:, :2], variance[:, :2], weight, author)
        mean = np.column_stack([learned, mean[:, 2]])
        precision = np.column_stack([spread**-2, precision[:, 2]])
    return learned, spread


def without_prior(
    phi: FloatArray,
    covariance: FloatArray,
    prior_mean: FloatArray,
    prior_precision: FloatArray,
    is_estimated: BoolArray,
) -> ItemPriors:
    """Take the prior out of last night's posteriors; nothing is left of items without answers.

    The errors that all items share are in them too, and can make less of an item's own answers
    than nothing: directions of which less than nothing is known are left out altogether.
    """
    free = (np.diagonal(covariance, axis1=1, axis2=2) > 0.0) & is_estimated[:, None]
    pairs = free[:, :, None] & free[:, None, :]
    absent = np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    posterior = np.linalg.inv(np.where(pairs, covariance, 0.0) + absent) - absent
    prior = np.where(free, prior_precision, 0.0)
    known, directions = np.linalg.eigh(posterior - prior[:, :, None] * np.eye(3))
    transposed = directions.transpose(0, 2, 1)
    answers = (directions * np.maximum(known, 0.0)[:, None, :]) @ transposed
    kept = (directions * (known > 0.0)[:, None, :]) @ transposed
    linear = np.einsum("jkm,jm->jk", answers, np.where(free, phi, 0.0))
    pull = prior * np.where(free, phi - prior_mean, 0.0)
    return ItemPriors(answers, linear + np.einsum("jkm,jm->jk", kept, pull))


def _posterior(
    likelihood: ItemPriors, mean: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of φ, ``(n_items, 3)`` each; 0 and 1 of items that have no prior yet."""
    known = np.isfinite(mean)
    prior = np.where(known, precision, 1.0)
    linear = likelihood.linear + prior * np.where(known, mean, 0.0)
    covariance = np.linalg.inv(likelihood.precision + prior[:, :, None] * np.eye(3))
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    return np.einsum("jkm,jm->jk", covariance, linear), variance


def _fitted_to(
    found: FloatArray, variance: FloatArray, weight: FloatArray, author: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Prior mean and spread of (log a, b) of every item, given the teachers' posteriors."""

    def spread_around(mean: FloatArray, weight: FloatArray, k: int) -> float:
        squares = np.square(found[:, k] - mean[:, k]) + variance[:, k]
        return max(float(np.sqrt(np.average(squares, weights=weight))), MINIMUM_SD)

    mean = np.tile(np.average(found, axis=0, weights=weight), (len(found), 1))
    sd = np.tile([spread_around(mean, weight, k) for k in range(2)], (len(found), 1))
    has_author = np.isfinite(author)
    heard = weight * has_author
    if (heard > 0.0).sum() >= MINIMUM_TEACHERS and np.ptp(author[heard > 0.0]) > 0.0:
        rows = heard > 0.0
        slope, intercept = np.polyfit(author[rows], found[rows, 1], 1, w=np.sqrt(heard[rows]))
        mean[has_author, 1] = intercept + slope * author[has_author]
        sd[has_author, 1] = spread_around(mean, heard, 1)
    return mean, sd


def base_priors(
    bank: ItemBank,
    is_anchor: BoolArray,
    carried: CarriedItems,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Learn from anchors and last night's estimates.

    Without anchors what was learned first is kept, and over nights that can't fit the scale what
    was learned last: estimates and priors belong together only after a fit.

    Parameters
    ----------
    carried
        Taken over from the last accepted night.
    bank, is_anchor, in_scale, configuration
        As in `learn_from_anchors`, which says what is given back.
    """
    mean, sd = learn_from_anchors(bank, is_anchor, carried.parameters, in_scale, configuration)
    earlier_mean = carried.prior_mean[in_scale]
    earlier_sd = carried.prior_precision[in_scale] ** -0.5
    known = np.isfinite(earlier_mean).all(axis=1)
    was_fitted = bool(carried.covariance[in_scale].any())
    if not known.any():
        return mean, sd
    if (is_anchor & in_scale).any() and was_fitted:
        learned = learn_from_estimates(bank, is_anchor, carried, in_scale, configuration)
        if learned is not None:
            mean[:, :2], sd[:, :2] = learned
        return mean, sd
    mean[:] = np.median(earlier_mean[known], axis=0)
    sd[:] = np.median(earlier_sd[known], axis=0)
    mean[known], sd[known] = earlier_mean[known], earlier_sd[known]
    return mean, sd
