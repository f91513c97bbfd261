"""Memory that blocks of the response log are decoded into."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SPARE = 5
"""Quarters of what a block takes: the next one may be a little larger."""


class Columns(NamedTuple):
    """What rows are decoded into; each array has a row per column of the COPY.

    Attributes
    ----------
    numbers
        ``(n_columns, n_rows)`` numbers, or the bits of doubles; 0 where they are null.
    is_null
        ``(n_columns, n_rows)``
    codes
        ``(n_columns, n_rows)`` codes of texts; −1 where they are null.
    """

    numbers: NDArray[np.int64]
    is_null: NDArray[np.bool_]
    codes: NDArray[np.int32]


class Dictionaries(NamedTuple):
    """The different texts of each column; each array has a row per column of the COPY.

    Attributes
    ----------
    counts, capacities
        ``(n_columns,)`` how many texts there are, and how many slots are in use.
    slots
        ``(n_columns, n_slots)`` hash tables, for four times as many slots as rows: see `_enter`.
    keys, hashes
        ``(n_columns, n_rows)`` what a text is looked up by, and PostgreSQL's hash of it.
    offsets, texts
        ``(n_columns, n_rows + 1)`` and ``(n_columns, n_bytes)``: the text of a code begins at its
        offset and ends at the next.
    """

    counts: NDArray[np.int64]
    capacities: NDArray[np.int64]
    slots: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    offsets: NDArray[np.int32]
    texts: NDArray[np.uint8]


class Workspace:
    """Memory that blocks are decoded in, one after another: to take it anew takes long."""

    def __init__(self, n_columns: int) -> None:
        self._n_columns = n_columns
        self._row_count = self._byte_count = -1
        self._columns: Columns
        self._dictionaries: Dictionaries

    def for_block(self, row_count: int, byte_count: int) -> tuple[Columns, Dictionaries]:
        """Give memory for a block; what is in it is anything."""
        if row_count > self._row_count or byte_count > self._byte_count:
            self._row_count = max(self._row_count, row_count * _SPARE // 4)
            self._byte_count = max(self._byte_count, byte_count * _SPARE // 4)
            self._allocate()
        return self._columns, self._dictionaries

    def _allocate(self) -> None:
        # Memory that is never touched is never taken: most dictionaries are small.
        shape = (self._n_columns, self._row_count)
        slots = 1 << (4 * self._row_count + 1023).bit_length()
        self._columns = Columns(
            numbers=np.empty(shape, np.int64),
            is_null=np.empty(shape, np.bool_),
            codes=np.empty(shape, np.int32),
        )
        self._dictionaries = Dictionaries(
            counts=np.empty(self._n_columns, np.int64),
            capacities=np.empty(self._n_columns, np.int64),
            slots=np.empty((self._n_columns, slots), np.uint64),
            keys=np.empty(shape, np.uint64),
            hashes=np.empty(shape, np.uint64),
            offsets=np.empty((self._n_columns, self._row_count + 1), np.int32),
            texts=np.empty((self._n_columns, self._byte_count), np.uint8),
        )
