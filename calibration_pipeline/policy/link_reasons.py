"""Why a common item takes no part in a link, for people to read."""

import numpy as np

from calibration_pipeline.irt.linking_estimates import EstimatedLink
from calibration_pipeline.irt.robust_linking import Rejection
from calibration_pipeline.records import ItemKey

TOO_FEW = "too few answers"


def item_name(key: ItemKey) -> str:
    """Name an item as reasons are stored by."""
    return "@".join(map(str, key))


def why_rejected(link: EstimatedLink, position: int, rejection: Rejection) -> str:
    """Say in a few words why a common item was taken to have drifted; empty if it was kept.

    What comes before the colon names the kind of reason.

    Parameters
    ----------
    link, rejection
        What was found, and by which rule.
    position
        The item's place among the common items.
    """
    if link.is_kept[position]:
        return ""
    found = link.differences
    harder, z = float(found.difficulty[position]), float(found.difficulty_z[position])
    steeper = float(np.exp(found.log_discrimination[position]))
    steeper_z = float(found.discrimination_z[position])
    if abs(z) >= max(rejection.z, abs(steeper_z)):
        return f"difficulty drifted: {harder:+.2f} (z {z:+.1f})"
    if abs(steeper_z) >= rejection.z:
        return f"discrimination drifted: ×{steeper:.2f} (z {steeper_z:+.1f})"
    if abs(harder) > rejection.largest_difference:
        return f"difficulty far off: {harder:+.2f} (z {z:+.1f})"
    return f"at the limit: difficulty {harder:+.2f} (z {z:+.1f})"


def kind_of(reason: str) -> str:
    """Give the kind of a reason; one that begins with a number says how few answers there are."""
    return TOO_FEW if reason[:1].isdigit() else reason.partition(":")[0]
