"""How far an item has moved over the last weeks, and whether that is little enough for an anchor.

What is compared shares no answer. Nightly estimates don't qualify: two nights in a row share 29 of
30 days, so that the mean of 42 of them is hardly better known than one, and an item that began to
drift three weeks ago has moved their mean by next to nothing. So a free item's window is compared
with all that was known of it 42 nights ago (`flag_reference.py`), and an anchor's shadow refit,
which is its window alone, with the reference that it is held at.

The tolerated movement of .05 is below what the answers of one window can tell: of items whose
difficulty one window gives with a standard error of .12, two in three *stable* ones miss it. The
margin is therefore widened for each item as far as its precision demands, and no further: to the
one within which two one-sided tests (Schuirmann 1987, Journal of Pharmacokinetics and
Biopharmaceutics 15, 657-680) find a stated share of stable items. An item that has moved by its
margin is refused with the tests' confidence, and a margin that would be too wide refuses the item.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from calibration_pipeline.policy.anchor_configuration import AnchorConfiguration
from calibration_pipeline.policy.anchor_errors import reference_covariances
from calibration_pipeline.policy.flag_reference import shift_from_reference
from calibration_pipeline.records import AnchorSet, BoolArray, CalibrationState, FloatArray


@dataclass(frozen=True)
class AnchorMovement:
    """Each item's movement, with the verdict of the tests; rows as in the state.

    Attributes
    ----------
    change, change_se
        ``(n_items,)`` in units of b; NaN where there is too little to compare.
    margin
        ``(n_items,)`` within which the movement is tested to lie.
    is_within
        ``(n_items,)`` it does.
    is_precise
        ``(n_items,)`` the margin is no wider than the widest allowed.
    """

    change: FloatArray
    change_se: FloatArray
    margin: FloatArray
    is_within: BoolArray
    is_precise: BoolArray


def anchor_movement(
    state: CalibrationState,
    earlier: CalibrationState | None,
    anchors: AnchorSet,
    configuration: AnchorConfiguration,
) -> AnchorMovement:
    """Estimate every item's movement and test it for being small.

    Parameters
    ----------
    state
        The newest accepted state.
    earlier
        An accepted one at least a window and `movement_nights` older; None if there is none, and
        then anchors alone can be judged.
    anchors
        The set that the state was computed with: its references and their errors.
    configuration
        Margin, confidence, power and limit.
    """
    n = len(state.keys)
    change, variance = np.full(n, np.nan), np.full(n, np.nan)
    if earlier is not None:
        # Sets succeed each other on one scale, so that states under two of them can be compared.
        same_scale = replace(earlier, anchor_digest=state.anchor_digest)
        shift = shift_from_reference(state, same_scale)
        change, variance = shift.shift, np.square(shift.shift_se)
    at = np.flatnonzero(state.is_anchor & (state.window_counts > 0))
    shadow = state.shadow_parameters[at, 1] - state.parameters[at, 1]
    change[at], variance[at] = (
        shadow,
        state.covariance[at, 1, 1] + reference_covariances(state, anchors)[at, 1, 1],
    )
    return judge_movement(change, np.sqrt(variance), configuration)


def judge_movement(
    change: FloatArray, change_se: FloatArray, configuration: AnchorConfiguration
) -> AnchorMovement:
    """Test movements for lying within the margin, or within a wider one where that can't be told.

    Parameters
    ----------
    change, change_se
        ``(n,)`` movements and their standard errors; NaN is within no margin.
    """
    confidence = NormalDist().inv_cdf(configuration.movement_confidence)
    power = NormalDist().inv_cdf((1.0 + configuration.movement_power) / 2.0)
    needed = (confidence + power) * change_se
    margin = np.where(np.isnan(needed), np.nan, np.fmax(needed, configuration.movement_margin))
    # The sum of rounded numbers must not decide of an item that has not moved at all.
    is_within = np.abs(change) <= np.maximum(margin - confidence * change_se, 0.0) + 1e-12
    return AnchorMovement(
        change, change_se, margin, is_within, margin <= configuration.movement_limit
    )
