"""Simulated answers to healthy and to leaked items, for `studies/leaks.py`."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.leak_detection import WatchedAnswers
from calibration_pipeline.irt.leak_model import ItemKnowledge
from calibration_pipeline.irt.leak_thresholds import usual_items
from calibration_pipeline.irt.model import FloatArray

ABILITY_SD, TARGETING, TARGETING_SD = 0.35, 0.2, 0.5
TIME_SD, SPEED_SD, TIME_MEAN_SE = 0.4, 0.15, 0.03
SUCCESS, TIME_FACTOR = 0.95, 0.6
ERRORS = (0.2, 0.16, 0.05)
"""Of log a, b and c, as in the comparison that the figures are held against."""


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes
    ----------
    is_timed
        Whether times are logged.
    is_known
        Whether the items' parameters are known exactly.
    is_targeted
        Whether items are given to candidates near their difficulty, as in an adaptive test;
        otherwise abilities are N(0, 1) whatever the item.
    """

    is_timed: bool
    is_known: bool
    is_targeted: bool

    @property
    def name(self) -> str:
        """For a row of a table."""
        return ", ".join(
            [
                "times" if self.is_timed else "accuracy",
                "known" if self.is_known else "estimated",
                "adaptive" if self.is_targeted else "N(0, 1)",
            ]
        )


@dataclass(frozen=True)
class Pool:
    """True items, and what is known about them."""

    truth: FloatArray
    knowledge: ItemKnowledge


def draw_pool(world: World, count: int, generator: np.random.Generator) -> Pool:
    """Draw items and what an estimate with the usual errors says about them."""
    items = usual_items(count, world.is_timed, generator)
    truth = items.parameters
    if world.is_known:
        nothing = np.zeros(count)
        known = ItemKnowledge(
            truth, np.zeros((count, 3, 3)), items.time_mean, nothing, items.time_variance
        )
        return Pool(truth, known)
    errors = generator.normal(size=(count, 3)) * ERRORS
    guessing = np.clip(truth[:, 2] + errors[:, 2], 0.02, 0.5)
    estimate = np.column_stack(
        [truth[:, 0] * np.exp(errors[:, 0]), truth[:, 1] + errors[:, 1], guessing]
    )
    spread = np.tile(ERRORS, (count, 1))
    spread[:, 2] /= np.maximum(guessing * (1.0 - guessing), 0.08)
    covariance = np.square(spread)[:, :, None] * np.eye(3)
    time_mean = items.time_mean + generator.normal(0.0, TIME_MEAN_SE, count)
    time_se = np.full(count, TIME_MEAN_SE)
    return Pool(truth, ItemKnowledge(estimate, covariance, time_mean, time_se, items.time_variance))


def draw_answers(
    pool: Pool, world: World, per_item: int, leaked_share: float, generator: np.random.Generator
) -> WatchedAnswers:
    """Draw so many answers to each item; a share of the candidates has pre-knowledge."""
    n_items = len(pool.truth)
    shape = (n_items, per_item)
    a, b, c = (column[:, None] for column in pool.truth.T)
    if world.is_targeted:
        means = b + TARGETING + generator.normal(0.0, TARGETING_SD, shape)
    else:
        means = generator.normal(0.0, np.sqrt(1.0 - ABILITY_SD**2), shape)
    theta = means + generator.normal(0.0, ABILITY_SD, shape)
    leaked = generator.random(shape) < leaked_share
    right = np.where(leaked, SUCCESS, c + (1.0 - c) / (1.0 + np.exp(-a * (theta - b))))
    correct = (generator.random(shape) < right).astype(np.int64)
    pace = np.full(shape, np.nan)
    if world.is_timed:
        pace = 4.0 + generator.normal(0.0, np.hypot(TIME_SD, SPEED_SD), shape)
        pace += np.where(leaked, np.log(TIME_FACTOR), 0.0)
    size = n_items * per_item
    return WatchedAnswers(
        item=np.repeat(np.arange(n_items), per_item),
        correct=correct.ravel(),
        ability_mean=means.ravel(),
        ability_sd=np.full(size, ABILITY_SD),
        pace=pace.ravel(),
        speed_variance=np.full(size, SPEED_SD**2),
    )
