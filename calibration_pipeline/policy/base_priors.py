"""Where an item's base prior on φ = (log a, b, logit c) comes from.

Priors are learned, not assumed: a textbook prior centred off the pool compresses every
discrimination and inflates the population to pay for it (docs/architecture.md, "Priors").
"""

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.irt.priors import LearnedPrior
from calibration_pipeline.policy.carrying import CarriedItems
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import BoolArray, FloatArray, ItemBank

MINIMUM_TEACHERS = 10
"""Fewer anchors than this teach nothing that a textbook prior doesn't know."""
MINIMUM_SD = 0.1


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

    Coordinates take the anchors' mean and spread. Where the author stated a difficulty, and did so
    for enough anchors, b is the regression of the anchors' difficulties on it: that learns the
    author's bias, scale and reliability in one step.

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
    sd[:] = np.maximum(internal.std(axis=0, ddof=1), MINIMUM_SD)
    guesses = anchor_parameters[teachers, 2] > 0.0
    if not guesses.all():
        mean[:, 2], sd[:, 2] = start.mean[2], start.sd[2]
    _learn_authors(bank.author_difficulty, internal[:, 1], teachers, in_scale, mean, sd)
    return mean, sd


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
    residual_sd = float(np.sqrt(np.square(y - intercept - slope * x).sum() / (len(y) - 2)))
    has_author = np.isfinite(author[in_scale])
    mean[has_author, 1] = intercept + slope * author[in_scale][has_author]
    sd[has_author, 1] = max(residual_sd, MINIMUM_SD)


def base_priors(
    bank: ItemBank,
    is_anchor: BoolArray,
    carried: CarriedItems,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Learn from anchors; in a pool without them, take what the first night learned.

    Parameters
    ----------
    carried
        Taken over from the last accepted night.
    bank, is_anchor, in_scale, configuration
        As in `learn_from_anchors`, which says what is given back.
    """
    mean, sd = learn_from_anchors(bank, is_anchor, carried.parameters, in_scale, configuration)
    known = np.isfinite(carried.prior_mean[in_scale]).all(axis=1)
    if (is_anchor & in_scale).any() or not known.any():
        return mean, sd
    earlier_mean = carried.prior_mean[in_scale]
    earlier_sd = carried.prior_precision[in_scale] ** -0.5
    mean[:] = np.median(earlier_mean[known], axis=0)
    sd[:] = np.median(earlier_sd[known], axis=0)
    mean[known], sd[known] = earlier_mean[known], earlier_sd[known]
    return mean, sd
