"""How many answers a leak would take to be found: the delay that the traffic can give.

The detector's statistic is followed along its mean path. After n answers of which a share leaked,

    log Λ(n) ≈ log Σₖ wₖ·exp(n·L₁ₖ) − log Σₖ wₖ·exp(n·L₀ₖ)

with L the expected log likelihoods of one answer at node k of the item's posterior. Simulated
medians are up to a quarter shorter: chance helps in waiting for a first passage. Where an item with
other parameters would explain the leaked answers as well, the path flattens out below the
threshold: such a leak is never found, and the delay is infinite.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.leak_delay_kernels import mean_path_delays
from calibration_pipeline.irt.leak_detection import model_constants
from calibration_pipeline.irt.leak_model import (
    ItemKnowledge,
    LeakModel,
    knowledge_nodes,
    node_weights,
    normal_nodes,
)
from calibration_pipeline.irt.model import FloatArray

_ABILITIES, _PACES = 3, 5


@dataclass(frozen=True)
class ItemTakers:
    """Who gets the items, ``(n_items,)`` each.

    Attributes
    ----------
    ability_mean, ability_spread
        Of the abilities' means given the sessions' other answers.
    ability_sd
        Standard deviation of an ability around its mean.
    speed_variance
        Of the candidates' speeds.
    """

    ability_mean: FloatArray
    ability_spread: FloatArray
    ability_sd: FloatArray
    speed_variance: FloatArray


def expected_delays(
    knowledge: ItemKnowledge,
    takers: ItemTakers,
    true_share: float,
    thresholds: FloatArray,
    longest: FloatArray,
    model: LeakModel,
) -> FloatArray:
    """Answers from a leak until its alarm, ``(n_items,)``; infinite if it isn't found.

    Parameters
    ----------
    knowledge
        ``(n_items,)`` items; NaN where nothing is known: such items aren't watched.
    takers
        Who gets them.
    true_share
        Share of the answers that leak.
    thresholds
        ``(n_items, n_shares)`` of log Λ.
    longest
        ``(n_items,)`` answers after which the leak counts as not found.
    model
        The alternatives.
    """
    delays = np.full(len(longest), np.inf)
    chosen = np.flatnonzero(knowledge.is_known & (longest >= 1.0))
    known = knowledge.at(chosen)
    nodes = knowledge_nodes(known, model)
    found = np.empty(len(chosen))
    columns = (
        takers.ability_mean, takers.ability_spread, takers.ability_sd,
        np.nan_to_num(takers.speed_variance),
    )  # fmt: skip
    mean_path_delays(
        np.column_stack([known.parameters, known.time_mean]),
        np.column_stack([column[chosen] for column in columns]),
        true_share, np.array(model.shares), thresholds[chosen], longest[chosen].astype(float),
        node_weights(model), nodes.parameters, nodes.time_mean, nodes.time_variance,
        np.column_stack(normal_nodes(_ABILITIES)), np.column_stack(normal_nodes(_PACES)),
        np.column_stack(normal_nodes(model.ability_nodes)), model_constants(model), found,
    )  # fmt: skip
    delays[chosen] = found
    return delays
