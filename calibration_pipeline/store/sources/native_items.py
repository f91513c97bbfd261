"""What is worked out of the items that blocks of a day name, and again only when they become more.

A bank's items are named in every block. To order them, and to look for them in the bank, takes
longer for a block than to decode a column of it.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calibration_pipeline.records import BoolArray, IntArray


class NamedItems:
    """The items named so far: their order, and which of them the bank knows.

    Parameters
    ----------
    bank
        Ids of items by version of their content.
    """

    def __init__(self, bank: Mapping[int, pa.Array]) -> None:
        self._bank = bank
        self._ids: pa.StringArray | None = None
        self._ranks: IntArray
        self._known: dict[int, BoolArray] = {}

    def name(self, ids: pa.StringArray) -> None:
        """Take the ids that codes stand for from here on; the same object if they are the same."""
        if ids is not self._ids:
            self._ids, self._ranks, self._known = ids, ranks(ids), {}

    @property
    def ranks(self) -> IntArray:
        """Each id's place in the order of their bytes, ``(n_ids,)``."""
        return self._ranks

    @property
    def versions(self) -> set[int]:
        """The versions of content that the bank has items of."""
        return set(self._bank)

    def are_known(self, version: int) -> BoolArray:
        """Mark the ids that the bank has of one of its versions, ``(n_ids,)``."""
        if version not in self._known:
            is_known = pc.is_in(self._ids, value_set=self._bank[version])
            self._known[version] = is_known.to_numpy(zero_copy_only=False)
        return self._known[version]


def ranks(texts: pa.StringArray) -> IntArray:
    """Give each text's place in the order of its bytes."""
    places = np.empty(len(texts), np.int64)
    places[pc.sort_indices(texts).to_numpy()] = np.arange(len(texts))
    return places
