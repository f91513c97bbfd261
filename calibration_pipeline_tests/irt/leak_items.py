"""Items and answers for the tests of the leak detector."""

import numpy as np

from calibration_pipeline.irt.leak_detection import WatchedAnswers
from calibration_pipeline.irt.leak_model import ItemKnowledge, LeakModel

EXACT = LeakModel(parameter_nodes=(1, 1), time_nodes=1)
ONE_SHARE = LeakModel(shares=(0.5,), budgets=(1.0,), parameter_nodes=(1, 1), time_nodes=1)
ERRORS = np.array([0.2, 0.16, 0.05])


def known_items(count, *, timed=False):
    """The same item many times, known exactly."""
    return ItemKnowledge(
        np.tile([1.2, 0.0, 0.2], (count, 1)),
        np.zeros((count, 3, 3)),
        np.full(count, 4.0 if timed else np.nan),
        np.zeros(count),
        np.full(count, 0.16),
    )


def estimated_items(count, generator, *, timed):
    """True parameters, and estimates with the usual errors."""
    truth = np.column_stack(
        [
            generator.lognormal(0.2, 0.3, count).clip(0.4, 2.5),
            generator.normal(size=count),
            generator.uniform(0.1, 0.3, count),
        ]
    )
    error = generator.normal(size=(count, 3)) * ERRORS
    guessing = (truth[:, 2] + error[:, 2]).clip(0.03, 0.5)
    estimate = np.column_stack(
        [truth[:, 0] * np.exp(error[:, 0]), truth[:, 1] + error[:, 1], guessing]
    )
    spread = np.tile(ERRORS, (count, 1))
    spread[:, 2] /= np.maximum(guessing * (1 - guessing), 0.08)
    return truth, ItemKnowledge(
        estimate,
        np.square(spread)[:, :, None] * np.eye(3),
        4.0 + generator.normal(0, 0.03, count) if timed else np.full(count, np.nan),
        np.full(count, 0.03),
        np.full(count, 0.16),
    )


def draw_answers(truth, per_item, share, generator, *, timed):
    """Answers of an adaptive test to items with these parameters; a share has pre-knowledge."""
    shape = (len(truth), per_item)
    a, b, c = (column[:, None] for column in truth.T)
    mean = b + 0.2 + generator.normal(0, 0.5, shape)
    theta = mean + generator.normal(0, 0.35, shape)
    knows = generator.random(shape) < share
    right = np.where(knows, 0.95, c + (1 - c) / (1 + np.exp(-a * (theta - b))))
    pace = 4.0 + generator.normal(0, np.hypot(0.4, 0.15), shape) + np.log(0.6) * knows
    return WatchedAnswers(
        np.repeat(np.arange(len(truth)), per_item),
        (generator.random(shape) < right).astype(int).ravel(),
        mean.ravel(),
        np.full(mean.size, 0.35),
        pace.ravel() if timed else np.full(mean.size, np.nan),
        np.full(mean.size, 0.15**2),
    )
