"""A pool of items with known truth, and what authors and the test engine believe of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.model import FREE_COORDINATES
from calibration_pipeline.records import FloatArray, IntArray

# Items of one family are variants of one text: they share this part of difficulty's variance.
_FAMILY_SHARE = 0.3
_ITEMS_PER_FAMILY = 8
_OPTIONS_RANGE = (3, 6)
_DIGITS = 4
_FAULTY_DIFFICULTIES = (0.0, 1.0)
"""Authors' difficulties of the items that may be faulty: often given, and not known by all."""

# What an engine assumes of an item that nobody has calibrated: the pool's typical discrimination.
_ASSUMED_DISCRIMINATION = 1.2


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """The pool to simulate.

    Attributes
    ----------
    items, anchors
        Size of the pool, and how many of its items are anchors.
    model
        'Rasch', '1PL', '2PL' or '3PL'.
    author_error_sd
        Standard deviation of the authors' error about a difficulty, in units of θ.
    scaling_constant
        D.
    miskeyed, leaked
        How many items are faulty: scored with a wrong key, so that the able get them wrong, or
        known to candidates (see `SimulationPlan`). None is an anchor, or both.
    """

    items: int = 2400
    anchors: int = 288
    model: str = "3PL"
    author_error_sd: float = 0.5
    scaling_constant: float = 1.0
    miskeyed: int = 0
    leaked: int = 0

    def __post_init__(self) -> None:
        if self.model not in FREE_COORDINATES:
            raise ValueError(f"there is no model {self.model!r}")
        if not 0 <= self.anchors <= self.items:
            raise ValueError(f"{self.anchors} anchors don't fit into a pool of {self.items} items")
        if min(self.miskeyed, self.leaked) < 0:
            raise ValueError("faulty items count from 0")


@dataclass(frozen=True)
class SimulatedPool:
    """Items in order of their ids.

    Attributes
    ----------
    item_ids
        One per item.
    truth
        ``(n_items, 3)`` discrimination, difficulty, guessing that produce the answers. The
        discrimination of an item with a wrong key is negative.
    engine_parameters
        ``(n_items, 3)`` what selects the items: the truth of anchors, the author's difficulty and
        typical values of the others.
    is_anchor
        ``(n_items,)`` whose true values the bank states.
    author_difficulty
        ``(n_items,)`` in units of θ.
    content_families
        One name per item.
    option_counts
        ``(n_items,)`` answer options; 0 in models without guessing, whose items have none.
    is_miskeyed, is_leaked
        ``(n_items,)`` which items are faulty.
    """

    item_ids: tuple[str, ...]
    truth: FloatArray
    engine_parameters: FloatArray
    is_anchor: NDArray[np.bool_]
    author_difficulty: FloatArray
    content_families: tuple[str, ...]
    option_counts: IntArray
    is_miskeyed: NDArray[np.bool_]
    is_leaked: NDArray[np.bool_]

    def bank_columns(self) -> dict[str, list[object]]:
        """Give the pool as a bank file: parameters of anchors alone, None elsewhere."""
        known = [
            row if anchor else (None, None, None)
            for row, anchor in zip(self.truth.tolist(), self.is_anchor, strict=True)
        ]
        discrimination, difficulty, guessing = zip(*known, strict=True)
        return {
            "item_id": list(self.item_ids),
            "discrimination": list(discrimination),
            "difficulty": list(difficulty),
            "guessing": list(guessing),
            "is_anchor": ["true" if anchor else "false" for anchor in self.is_anchor],
            "author_difficulty": list(self.author_difficulty.tolist()),
            "content_family": list(self.content_families),
            "option_count": [count or None for count in self.option_counts.tolist()],
        }

    def truth_columns(self) -> dict[str, list[object]]:
        """Give the true parameters, as a file to compare estimates with."""
        discrimination, difficulty, guessing = self.truth.T.tolist()
        return {
            "item_id": list(self.item_ids),
            "discrimination": discrimination,
            "difficulty": difficulty,
            "guessing": guessing,
        }


def simulate_pool(plan: PoolPlan, generator: np.random.Generator) -> SimulatedPool:
    """Draw a pool: log a ~ N(.2, .3²) with a in [.4, 2.5], b ~ N(0, 1), c ~ U(.1, .3).

    Coordinates that the model lacks are fixed at a = 1 and c = 0.
    """
    n_items = plan.items
    family = generator.integers(0, max(1, n_items // _ITEMS_PER_FAMILY), n_items)
    truth = _draw_truth(plan, family, generator)
    is_anchor = np.zeros(n_items, np.bool_)
    is_anchor[generator.choice(n_items, plan.anchors, replace=False)] = True
    author_difficulty = truth[:, 1] + generator.normal(0.0, plan.author_error_sd, n_items)
    author_difficulty = author_difficulty.round(2)
    has_slope, _, has_guessing = FREE_COORDINATES[plan.model]
    option_counts = np.zeros(n_items, np.int64)
    if has_guessing:
        option_counts[:] = (1.0 / truth[:, 2]).round().clip(*_OPTIONS_RANGE)
    believed = np.column_stack(
        [
            np.full(n_items, _ASSUMED_DISCRIMINATION if has_slope else 1.0),
            author_difficulty,
            1.0 / option_counts if has_guessing else np.zeros(n_items),
        ]
    )
    width = len(str(n_items - 1))
    is_miskeyed, is_leaked = _draw_faults(plan, ~is_anchor, author_difficulty, generator)
    truth[is_miskeyed, 0] *= -1.0
    return SimulatedPool(
        item_ids=tuple(f"item-{number:0{width}d}" for number in range(n_items)),
        truth=truth,
        engine_parameters=np.where(is_anchor[:, None], truth, believed),
        is_anchor=is_anchor,
        author_difficulty=author_difficulty,
        content_families=tuple(f"family-{number:0{width}d}" for number in family),
        option_counts=option_counts,
        is_miskeyed=is_miskeyed,
        is_leaked=is_leaked,
    )


def _draw_faults(
    plan: PoolPlan,
    may_be: NDArray[np.bool_],
    author_difficulty: FloatArray,
    generator: np.random.Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw the items with a wrong key, and those that leak, ``(n_items,)`` each."""
    low, high = _FAULTY_DIFFICULTIES
    within = may_be & (author_difficulty >= low) & (author_difficulty <= high)
    rows = np.flatnonzero(within)
    wanted = plan.miskeyed + plan.leaked
    if wanted > len(rows):
        raise ValueError(f"{wanted} faulty items don't fit into {len(rows)} that may be faulty")
    chosen = generator.choice(rows, wanted, replace=False) if wanted else rows[:0]
    faults = np.zeros((2, plan.items), np.bool_)
    faults[0, chosen[: plan.miskeyed]] = True
    faults[1, chosen[plan.miskeyed :]] = True
    return faults[0], faults[1]


def _draw_truth(plan: PoolPlan, family: IntArray, generator: np.random.Generator) -> FloatArray:
    """True parameters, ``(n_items, 3)``, rounded so that a bank file states them exactly."""
    n_items = plan.items
    has_slope, _, has_guessing = FREE_COORDINATES[plan.model]
    shared = generator.normal(0.0, np.sqrt(_FAMILY_SHARE), n_items)[family]
    own = generator.normal(0.0, np.sqrt(1.0 - _FAMILY_SHARE), n_items)
    discrimination = generator.lognormal(0.2, 0.3, n_items).clip(0.4, 2.5)
    guessing = generator.uniform(0.1, 0.3, n_items)
    return np.column_stack(
        [
            discrimination if has_slope else np.ones(n_items),
            shared + own,
            guessing if has_guessing else np.zeros(n_items),
        ]
    ).round(_DIGITS)
