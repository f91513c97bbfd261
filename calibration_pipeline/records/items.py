"""The pool of items."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibration_pipeline.records.arrays import BoolArray, FloatArray, IntArray, ItemKey


@dataclass(frozen=True)
class ItemBank:
    """The pool as it stands, in canonical order (by item id, then content version).

    Attributes
    ----------
    keys
        One ``(item_id, content_version)`` per item; every array below follows this order.
    scale_names, scale_models
        Each scale's name and model ('Rasch', '1PL', '2PL' or '3PL').
    scale_index
        ``(n_items,)`` position of the item's scale in `scale_names`.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing as imported; NaN where unknown.
    author_difficulty
        ``(n_items,)`` what the author expected; NaN where nothing was said.
    content_families
        One name or None per item.
    option_counts
        ``(n_items,)`` number of answer options, 0 where unknown.
    is_retired
        ``(n_items,)`` retired items are frozen: their answers inform abilities only.
    digest
        SHA-256 of all of the above.
    """

    keys: tuple[ItemKey, ...]
    scale_names: tuple[str, ...]
    scale_models: tuple[str, ...]
    scale_index: IntArray
    parameters: FloatArray
    author_difficulty: FloatArray
    content_families: tuple[str | None, ...]
    option_counts: IntArray
    is_retired: BoolArray
    digest: str

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.keys)

    @cached_property
    def _position_of(self) -> dict[ItemKey, int]:
        return {key: position for position, key in enumerate(self.keys)}

    def positions(self, keys: Sequence[ItemKey]) -> IntArray:
        """Give the position of each key in this bank, −1 where the bank lacks it."""
        lookup = self._position_of
        return np.fromiter((lookup.get(key, -1) for key in keys), np.int64, len(keys))


@dataclass(frozen=True)
class ItemTable:
    """Item estimates as a file states them, in its order.

    Attributes
    ----------
    item_ids
        One id per item, each once.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing; NaN where blank.
    standard_errors
        ``(n_items, 3)`` theirs; NaN where blank or not in the file.
    """

    item_ids: tuple[str, ...]
    parameters: FloatArray
    standard_errors: FloatArray
