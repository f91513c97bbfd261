"""Hundreds of millions of answers, simulated in place: no temporary array grows with them.

The next item depends on the session's earlier answers and on nothing else, or the fit could not
ignore how items were selected.
"""

import numpy as np
from numba import njit, prange

from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.responses import ResponseData

ANSWERS = 50
SPREAD = 12
"""The next item is drawn from this many around the one that the estimate points to."""
TARGET = 0.65
"""Share of right answers at which the estimate stays where it is."""
BLOCK = 4096
"""Sessions that share a random stream; blocks, not threads, decide what is drawn."""


@njit(cache=True, parallel=True)
def _fill(truth, by_difficulty, seed, item, correct):  # type: ignore[no-untyped-def]
    """Fill ``item`` and ``correct (n_sessions, ANSWERS)``.

    Difficulties are ranked. Each step of a session draws from the ranks with a remainder of their
    own, so that no item comes twice, near a rank that rises after right answers and falls after
    wrong ones, in ever smaller steps (Robbins & Monro 1951).
    """
    n_sessions, answers = item.shape
    n_ranks = truth.shape[0] // answers
    for block in prange((n_sessions + BLOCK - 1) // BLOCK):
        np.random.seed(seed + block)  # noqa: NPY002 - numba's own generator, one per thread
        for s in range(block * BLOCK, min(n_sessions, (block + 1) * BLOCK)):
            theta = np.random.normal()  # noqa: NPY002
            offset = int(np.random.random() * answers)  # noqa: NPY002
            at = 0.5
            for t in range(answers):
                near = at * n_ranks + (np.random.random() - 0.5) * SPREAD  # noqa: NPY002
                rank = min(max(int(near), 0), n_ranks - 1)
                j = by_difficulty[rank * answers + (t + offset) % answers]
                p = truth[j, 2] + (1.0 - truth[j, 2]) / (
                    1.0 + np.exp(-truth[j, 0] * (theta - truth[j, 1]))
                )
                x = 1 if np.random.random() < p else 0  # noqa: NPY002
                item[s, t] = j
                correct[s, t] = x
                at = min(max(at + (x - TARGET) / (t + 3.0), 0.0), 1.0)


def simulate_large(n_answers: int, truth: FloatArray, seed: int) -> ResponseData:
    """Adaptive sessions of 50 answers, abilities from N(0, 1).

    Parameters
    ----------
    n_answers
        Rounded down to a multiple of 50.
    truth
        ``(n_items, 3)``; the number of items a multiple of 50.
    seed
        The answers depend on nothing else, whatever the number of threads.
    """
    n_sessions = n_answers // ANSWERS
    item = np.empty((n_sessions, ANSWERS), np.int32)
    correct = np.empty((n_sessions, ANSWERS), np.uint8)
    _fill(truth, np.argsort(truth[:, 1]), seed, item, correct)
    offsets = np.arange(n_sessions + 1, dtype=np.int64) * ANSWERS
    return ResponseData(offsets, item.reshape(-1), correct.reshape(-1), len(truth))
