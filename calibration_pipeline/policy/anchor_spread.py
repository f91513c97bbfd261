"""Choosing some of the items that qualify so that they are spread as the pool is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Strata:
    """Where the items of one scale's pool belong.

    Attributes
    ----------
    difficulty
        ``(n_items,)`` stratum by difficulty, from 0.
    family
        A content family per item; items without one are a family of their own.
    """

    difficulty: IntArray
    family: Sequence[str]

    @classmethod
    def by_rank(cls, difficulty: FloatArray, family: Sequence[str], count: int) -> "Strata":
        """Cut a pool into strata of equal size by difficulty; ties in the order given."""
        n = len(difficulty)
        rank = np.empty(n, np.int64)
        rank[np.argsort(difficulty, kind="stable")] = np.arange(n)
        return cls(rank * count // max(n, 1), family)


def choose_spread(
    strata: Strata,
    qualifies: BoolArray,
    is_present: BoolArray,
    difficulty_se: FloatArray,
    wanted: int,
) -> BoolArray:
    """Choose items one by one, each for where the pool is represented least.

    That is the stratum of difficulty that is furthest below its share of the places, in it the
    family that is, and in that the item whose difficulty is known best. Present anchors come
    first: a set that changes without need would move the scale without need. Ties go to the
    earlier stratum, family and item.

    Parameters
    ----------
    strata
        Of the whole pool of a scale, those that don't qualify included.
    qualifies, is_present, difficulty_se
        ``(n_items,)`` each.
    wanted
        Places; fewer are filled where fewer qualify.

    Returns
    -------
    BoolArray
        ``(n_items,)`` the chosen ones.
    """
    places = _Places(strata, wanted)
    chosen = np.zeros(len(qualifies), bool)
    for candidates in (qualifies & is_present, qualifies & ~is_present):
        waiting: dict[tuple[int, str], list[int]] = {}
        at = np.flatnonzero(candidates)
        # The last one waiting is taken first.
        for j in at[np.argsort(difficulty_se[at], kind="stable")][::-1]:
            waiting.setdefault((int(strata.difficulty[j]), strata.family[j]), []).append(int(j))
        while waiting and places.taken < wanted:
            cell = places.neediest(waiting)
            chosen[waiting[cell].pop()] = True
            places.take(cell)
            if not waiting[cell]:
                del waiting[cell]
    return chosen


class _Places:
    """How many places each stratum and family should have, and has."""

    def __init__(self, strata: Strata, wanted: int) -> None:
        share = wanted / max(len(strata.family), 1)
        self.strata_left = {k: n * share for k, n in Counter(strata.difficulty.tolist()).items()}
        self.family_left = {k: n * share for k, n in Counter(strata.family).items()}
        self.taken = 0

    def neediest(self, cells: dict[tuple[int, str], list[int]]) -> tuple[int, str]:
        """The cell to take the next item from; the first one of those that need it alike."""
        return min(
            cells, key=lambda cell: (-self.strata_left[cell[0]], cell[0],
                                     -self.family_left[cell[1]], cell[1]),
        )  # fmt: skip

    def take(self, cell: tuple[int, str]) -> None:
        self.strata_left[cell[0]] -= 1.0
        self.family_left[cell[1]] -= 1.0
        self.taken += 1
