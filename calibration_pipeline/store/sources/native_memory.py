"""Memory that blocks of the response log are decoded into."""

import math
import mmap
from collections.abc import Collection
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

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
        ``(n_columns, n_slots)`` hash tables, for four times as many slots as texts: see `_enter`.
    keys, hashes
        ``(n_columns, n_texts)`` what a text is looked up by, and PostgreSQL's hash of it.
    offsets, texts
        ``(n_columns, n_texts + 1)`` and ``(n_columns, n_bytes)``: the text of a code begins at its
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
    """Memory that blocks are decoded in, one after another: to take it anew takes long.

    Parameters
    ----------
    n_columns
        Of the COPY.
    lasting
        Columns whose texts keep their codes from block to block, until they have become more than
        a block has rows.
    """

    def __init__(self, n_columns: int, lasting: Collection[int] = ()) -> None:
        self._n_columns = n_columns
        self._lasting = frozenset(lasting)
        self._row_count = self._byte_count = -1
        self._columns: Columns
        self._dictionaries: Dictionaries
        self._texts: dict[int, pa.StringArray] = {}

    def for_block(self, row_count: int, byte_count: int) -> tuple[Columns, Dictionaries]:
        """Give memory for a block; dictionaries are empty, but for those that last."""
        if row_count > self._row_count or byte_count > self._byte_count:
            self._row_count = max(self._row_count, row_count * _SPARE // 4)
            self._byte_count = max(self._byte_count, byte_count * _SPARE // 4)
            self._allocate()
        for column in range(self._n_columns):
            if column not in self._lasting or self._is_full(column):
                self._dictionaries.counts[column] = self._dictionaries.capacities[column] = 0
                self._texts.pop(column, None)
        return self._columns, self._dictionaries

    def texts(self, column: int) -> pa.StringArray:
        """Give the different texts of a column by their codes.

        They are the same object as long as they are the same.
        """
        count = int(self._dictionaries.counts[column])
        known = self._texts.get(column)
        if known is None or len(known) != count:
            offsets = self._dictionaries.offsets[column, : count + 1].copy()
            texts = self._dictionaries.texts[column, : offsets[-1]].copy()
            known = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(texts))
            self._texts[column] = known
        return known

    def _is_full(self, column: int) -> bool:
        count = self._dictionaries.counts[column]
        bytes_taken = self._dictionaries.offsets[column, count]
        return bool(count > self._row_count or bytes_taken > self._byte_count)

    def _allocate(self) -> None:
        shape = (self._n_columns, self._row_count)
        n_texts, n_bytes = 2 * self._row_count, 2 * self._byte_count  # those kept, and a block's
        slots = 1 << (4 * n_texts + 1023).bit_length()
        self._texts.clear()
        self._columns = Columns(
            numbers=np.empty(shape, np.int64),
            is_null=np.empty(shape, np.bool_),
            codes=np.empty(shape, np.int32),
        )
        self._dictionaries = Dictionaries(
            counts=np.zeros(self._n_columns, np.int64),
            capacities=np.zeros(self._n_columns, np.int64),
            slots=_taken_on_touch((self._n_columns, slots), np.uint64),
            keys=_taken_on_touch((self._n_columns, n_texts), np.uint64),
            hashes=_taken_on_touch((self._n_columns, n_texts), np.uint64),
            offsets=_taken_on_touch((self._n_columns, n_texts + 1), np.int32),
            texts=_taken_on_touch((self._n_columns, n_bytes), np.uint8),
        )


def _taken_on_touch(shape: tuple[int, int], kind: DTypeLike) -> NDArray[Any]:
    """Give zeros, of which the machine gives what is touched: most dictionaries are small.

    NumPy asks for huge pages: two megabytes at a touch, for each column's part of each array.
    """
    size = math.prod(shape)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    try:
        pages = mmap.mmap(-1, size * np.dtype(kind).itemsize, flags=flags)
    except OSError as error:
        raise MemoryError(f"no memory for {shape} of {np.dtype(kind)}") from error
    with suppress(AttributeError, OSError):  # where there are no huge pages
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, kind, size).reshape(shape)
