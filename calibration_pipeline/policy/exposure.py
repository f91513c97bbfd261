"""How often items are really seen."""

from collections.abc import Sequence

import numpy as np

from calibration_pipeline.records import DayResponses, FloatArray, ItemBank


def observed_exposure(days: Sequence[DayResponses], bank: ItemBank) -> FloatArray:
    """Share of the days' sessions that saw each item at least once, ``(bank.n_items,)``."""
    seen = np.zeros(bank.n_items)
    sessions = 0
    for day in days:
        n_sessions = len(day.session_offsets) - 1
        sessions += n_sessions
        if not len(day.item):
            continue
        session = np.repeat(np.arange(n_sessions), np.diff(day.session_offsets))
        item = bank.positions(day.keys)[day.item]
        once = np.unique(session * bank.n_items + item) % bank.n_items
        seen += np.bincount(once, minlength=bank.n_items)
    return seen / max(sessions, 1)
