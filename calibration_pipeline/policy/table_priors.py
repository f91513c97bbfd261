"""Starting values and priors of the items of a single fit (`table_fit`)."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import FREE_COORDINATES, from_internal, to_internal
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.policy.base_priors import (
    MINIMUM_TEACHERS,
    learn_from_anchors,
    textbook_prior,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import BoolArray, FloatArray, ItemBank


@dataclass(frozen=True)
class NormalPriors:
    """A normal prior on φ = (log a, b, logit c) for every item, ``(n_items, 3)`` each."""

    mean: FloatArray
    sd: FloatArray

    def for_items(self, free: BoolArray) -> ItemPriors:
        """Give the priors in natural form, on the coordinates that are free."""
        return ItemPriors.normal(self.mean, self.sd, free)


def free_coordinates(model: str, is_anchor: BoolArray) -> BoolArray:
    """Coordinates of φ that are estimated, ``(n_items, 3)``: none of an anchor."""
    return np.asarray(~is_anchor[:, None] & np.array(FREE_COORDINATES[model]))


def starting_values(
    bank: ItemBank,
    free: BoolArray,
    is_anchor: BoolArray,
    slope: float,
    configuration: CalibrationConfiguration,
) -> FloatArray:
    """Where each item starts, and the values of what isn't estimated, ``(n_items, 3)``.

    An item starts at what the bank says. A 3PL item always starts with a guessing above 0:
    whatever the bank says, it is never fitted as a 2PL.

    Parameters
    ----------
    bank, free, is_anchor
        The items; `bank.parameters` is NaN where unknown.
    slope
        Discrimination of items whose slope isn't estimated.
    configuration
        Gives the textbook prior, where unknown values start.
    """
    typical = from_internal(textbook_prior(configuration).mean[None], np.ones(1, bool))
    known = bank.parameters.copy()
    known[:, 2] = np.where(known[:, 2] > 0.0, known[:, 2], np.nan)
    start = np.where(np.isfinite(known), known, typical)
    absent = np.array([slope, 0.0, 0.0])
    return np.where(is_anchor[:, None], bank.parameters, np.where(free, start, absent))


def priors_from_anchors(
    bank: ItemBank, is_anchor: BoolArray, configuration: CalibrationConfiguration
) -> NormalPriors | None:
    """Priors learned from the anchors; None where they are too few to teach anything."""
    if is_anchor.sum() < MINIMUM_TEACHERS:
        return None
    everything = np.ones(bank.n_items, bool)
    return NormalPriors(
        *learn_from_anchors(bank, is_anchor, bank.parameters, everything, configuration)
    )


def priors_from_authors(
    author: FloatArray,
    learned: LearnedPrior,
    difficulty: FloatArray,
    teaches: BoolArray,
    configuration: CalibrationConfiguration,
) -> NormalPriors | None:
    """Priors whose mean of b is what the author's difficulty says; None where no author spoke.

    The fitted difficulties are regressed on the authors', which learns the authors' bias, scale
    and reliability; the spread is estimated as in `LearnedPrior.updated`. With few items to
    learn from, the author is taken at his word, with the textbook spread.

    Parameters
    ----------
    author
        ``(n_items,)`` the authors' difficulties; NaN where nothing was said.
    learned
        What a fit without authors learned: the prior of everything else.
    difficulty
        ``(n_items,)`` of that fit; read only where `teaches`.
    teaches
        ``(n_items,)`` items with enough answers to be learned from.
    configuration
        Gives the textbook prior.
    """
    has_author = np.isfinite(author)
    if not has_author.any():
        return None
    mean, sd = np.tile(learned.mean, (len(author), 1)), np.tile(learned.sd, (len(author), 1))
    textbook_sd = float(textbook_prior(configuration).sd[1])
    mean[has_author, 1], sd[has_author, 1] = author[has_author], textbook_sd
    x, y = author[has_author & teaches], difficulty[has_author & teaches]
    if len(x) >= MINIMUM_TEACHERS and np.ptp(x) > 0.0:
        slope, intercept = np.polyfit(x, y, 1)
        squares = np.square(y - intercept - slope * x).sum()
        variance = (learned.strength * textbook_sd**2 + squares) / (learned.strength + len(x) + 2)
        mean[has_author, 1] = intercept + slope * author[has_author]
        sd[has_author, 1] = np.sqrt(variance)
    return NormalPriors(mean, sd)


def unanswered_values(
    bank: ItemBank, free: BoolArray, slope: float, prior_mean: FloatArray | None
) -> FloatArray:
    """What is known of items without answers, ``(n_items, 3)``: the bank, else the prior's mean.

    NaN where there is neither. A coordinate that the model lacks is its constant.

    Parameters
    ----------
    bank
        The items.
    free
        ``(n_items, 3)``.
    slope
        Discrimination of items whose slope isn't estimated.
    prior_mean
        ``(n_items, 3)`` of φ; None without priors.
    """
    unknown = np.full((bank.n_items, 3), np.nan)
    if prior_mean is not None:
        unknown = from_internal(prior_mean, np.ones(bank.n_items, bool))
    expected = np.where(free, unknown, np.array([slope, np.nan, 0.0]))
    return np.where(np.isfinite(bank.parameters), bank.parameters, expected)


def is_at_bound(
    parameters: FloatArray, free: BoolArray, configuration: CalibrationConfiguration
) -> BoolArray:
    """Estimates that stand at a bound of the estimator, ``(n_items, 3)``."""
    em = configuration.em
    ranges = np.array([em.discrimination_bounds, em.difficulty_bounds, em.guessing_bounds])
    lower, upper = to_internal(ranges.T)
    internal = to_internal(parameters)
    return np.asarray(free & ((internal <= lower + 1e-6) | (internal >= upper - 1e-6)))
