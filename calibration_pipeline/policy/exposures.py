"""Candidates who meet an item again: what they have seen before says less about the item."""

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.policy.gathering import GatheredAnswers
from calibration_pipeline.records import BoolArray, IntArray


def repeated_exposures(answers: GatheredAnswers, n_items: int) -> BoolArray:
    """Mark the answers to an item that the same candidate answered before, ``(n_answers,)``.

    Before is by day, then by session, then within the session.
    """
    pair = answers.candidate[answers.session] * n_items + answers.item
    _, first = np.unique(pair, return_index=True)
    is_repeat = np.ones(len(pair), np.bool_)
    is_repeat[first] = False
    return is_repeat


def is_returning(answers: GatheredAnswers) -> BoolArray:
    """Mark the sessions of candidates who had an earlier one, on any scale, ``(n_sessions,)``."""
    _, first = np.unique(answers.candidate, return_index=True)
    returning = np.ones(len(answers.candidate), np.bool_)
    returning[first] = False
    return returning


def onto_copies(
    item: NDArray[np.int32], is_repeat: BoolArray, n_items: int
) -> tuple[NDArray[np.int32], IntArray]:
    """Move repeated answers to copies of their items, which stand behind the scale's items.

    Returns
    -------
    tuple
        ``(n_answers,)`` item numbers, and the item that each copy is of, ascending.
    """
    copies = np.unique(item[is_repeat]).astype(np.int64)
    moved = item.copy()
    moved[is_repeat] = n_items + np.searchsorted(copies, item[is_repeat])
    return moved, copies
