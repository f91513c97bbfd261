"""How well the traffic protects items from leaks: how soon one would be found."""

from itertools import pairwise

import numpy as np

from calibration_pipeline.records import LeakVerdicts

NIGHTS = (2, 7, 30)
"""By which items are counted."""


def protection(verdicts: LeakVerdicts) -> dict[str, int]:
    """Count items by how soon a leak of theirs is expected to be found, the soonest first."""
    days = np.where(verdicts.is_watched, verdicts.delay_days, np.inf)
    counts = {
        f"within {high} nights": int(((days > low) & (days <= high)).sum())
        for low, high in pairwise((0, *NIGHTS))
    }
    found_late = np.isfinite(days) & (days > NIGHTS[-1])
    return counts | {
        f"later than {NIGHTS[-1]} nights": int(found_late.sum()),
        "not in useful time": int((verdicts.is_watched & ~np.isfinite(days)).sum()),
        "not watched": int((~verdicts.is_watched).sum()),
    }
