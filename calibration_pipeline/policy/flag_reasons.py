"""The reasons for which an item is flagged, and how a flag of each comes to an end."""

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import DIFFERENTIAL_FUNCTIONING
from calibration_pipeline.records import FLAG_REASONS, BoolArray, CalibrationState, ItemNight

DIFFICULTY_DRIFT = "difficulty_drift"
REFERENCE_DRIFT = "reference_drift"
CARRIED_CONTRADICTED = "carried_contradicted"
GUESSING_RISE = "guessing_rise"
LOW_DISCRIMINATION = "low_discrimination"
MISFIT = "misfit"
ANCHOR_DRIFT = "anchor_drift"
ESTIMATE_AT_BOUND = "estimate_at_bound"
SUSPECTED_LEAK = "suspected_leak"

REASONS = FLAG_REASONS
"""Every reason, as it is stored."""

DRIFTS = frozenset({DIFFICULTY_DRIFT, REFERENCE_DRIFT, CARRIED_CONTRADICTED, ANCHOR_DRIFT})
"""Those that say that an item's difficulty is not what it was."""

CHANGES = frozenset({DIFFICULTY_DRIFT, REFERENCE_DRIFT, CARRIED_CONTRADICTED, GUESSING_RISE})
"""Those that compare an item with its own past. Such a flag goes out by itself once the past that
it is compared with is that after the change, though the item is still another one."""

SAYS_IT_CHANGED = DRIFTS | CHANGES | {SUSPECTED_LEAK}
"""Those after which an item is not the one that its older answers were given to. The others are
about the estimates of the night, and are over when these are."""


def is_eligible(state: CalibrationState, configuration: CalibrationConfiguration) -> BoolArray:
    """Items with estimates of tonight's and answers enough to judge them by, ``(n_items,)``."""
    return state.is_updated & (state.window_counts >= configuration.minimum_responses)


def was_judged(
    reason: str, item: ItemNight | None, configuration: CalibrationConfiguration
) -> bool:
    """Whether a night without a flag says that there was nothing to flag.

    It doesn't where the item had too few answers to be looked at. What no longer applies, such as
    an anchor's drift after the item has ceased to be one, counts as judged.

    Parameters
    ----------
    reason
        Of the flag.
    item
        What the night had to judge the item by; None if the bank lacked it.
    configuration
        The least numbers of answers.
    """
    if item is None:
        return False
    if reason == ANCHOR_DRIFT:
        enough = item.window_count >= configuration.minimum_anchor_responses
        return not item.is_anchor or enough
    if reason == DIFFERENTIAL_FUNCTIONING:
        return item.is_compared
    enough = item.window_count >= configuration.minimum_responses
    if reason.startswith(MISFIT):
        return enough
    return item.is_anchor or (item.is_updated and enough)
