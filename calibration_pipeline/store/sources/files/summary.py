"""What is remembered of a file, so that it needn't be read to see which days it changes."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.sources.base import EMPTY, Fingerprint
from calibration_pipeline.store.sources.files.placing import (
    CELL_US,
    EPOCH,
    CellSummary,
    Item,
    microseconds,
)

V = TypeVar("V")

_CELLS_PER_DAY = timedelta(days=1) // timedelta(microseconds=CELL_US)


@dataclass(frozen=True)
class Cell:
    """Rows of a quarter of an hour; the fields are those of `placing.CellSummary`."""

    row_count: int
    checksum: int
    latest_logged: int | None
    latest_late: int | None


@dataclass(frozen=True)
class FileSummary:
    """A file's rows by quarters of an hour, and its items by days of UTC.

    Attributes
    ----------
    size, modified_ns
        Of the file that was read.
    undated_us
        Where its rows without a readable time lie, microseconds since 1970 UTC.
    cells
        By number of the quarter of an hour since 1970 UTC; those without rows are left out.
    items
        That occur in the file.
    items_of_day
        By number of the UTC day since 1970: positions in `items` of those that occur.
    """

    size: int
    modified_ns: int
    undated_us: int
    cells: Mapping[int, Cell]
    items: tuple[Item, ...]
    items_of_day: Mapping[int, NDArray[np.int32]]

    def cells_between(self, first: datetime, last: datetime) -> Iterator[Cell]:
        """Give the cells that rows from one moment to before another may be in."""
        return _values_at(_numbers_between(first, last), self.cells)

    def has_rows_between(self, first: datetime, last: datetime) -> bool:
        """Whether rows from one moment to before another may be in the file."""
        return next(self.cells_between(first, last), None) is not None

    def items_between(self, first: datetime, last: datetime) -> Iterator[Item]:
        """Give the items of the days of UTC that overlap with a time; some may come twice."""
        cells = _numbers_between(first, last)
        days = range(cells.start // _CELLS_PER_DAY, -(-cells.stop // _CELLS_PER_DAY))
        for positions in _values_at(days, self.items_of_day):
            yield from (self.items[position] for position in positions)


def fingerprints(
    files: Collection[FileSummary], bounds: Sequence[datetime], known: Collection[ItemKey]
) -> list[Fingerprint]:
    """Give the fingerprint of the rows of all files from each of the bounds to the next.

    Which file a row is in makes no difference. A bound within a quarter of an hour counts that
    quarter on both sides.

    Parameters
    ----------
    bounds, known
        See `raw.RawView`.
    """
    keys, ids = frozenset(known), frozenset(item_id for item_id, _ in known)
    return [_fingerprint(files, first, last, keys, ids) for first, last in pairwise(bounds)]


def _fingerprint(
    files: Collection[FileSummary],
    first: datetime,
    last: datetime,
    known: frozenset[ItemKey],
    known_ids: frozenset[str],
) -> Fingerprint:
    cells = [cell for file in files for cell in file.cells_between(first, last)]
    if not cells:
        return EMPTY
    items = {item for file in files for item in file.items_between(first, last)}
    unknown = sorted(
        (item_id, -1 if version is None else version)
        for item_id, version in items
        if (item_id not in known_ids if version is None else (item_id, version) not in known)
    )
    content = json.dumps([sum(cell.checksum for cell in cells) % 2**64, unknown])
    digest = hashlib.blake2b(content.encode(), digest_size=8).digest()
    return Fingerprint(
        row_count=sum(cell.row_count for cell in cells),
        latest_ingested_at=_moment(cell.latest_logged for cell in cells),
        checksum=int.from_bytes(digest, "little", signed=True),
    )


def late_arrivals(
    files: Collection[FileSummary], bounds: Sequence[datetime], since: datetime | None
) -> list[datetime | None]:
    """Give for the rows between bounds when the newest one came that came late.

    Parameters
    ----------
    bounds, since
        See `raw.RawView`.
    """
    found = [
        _moment(cell.latest_late for file in files for cell in file.cells_between(first, last))
        for first, last in pairwise(bounds)
    ]
    return [None if since is not None and at is not None and at <= since else at for at in found]


class SummaryBuilder:
    """Adds up the batches of one file.

    Parameters
    ----------
    size, modified_ns
        Of the file.
    """

    def __init__(self, size: int, modified_ns: int) -> None:
        self._size = size
        self._modified_ns = modified_ns
        self._cells: dict[int, Cell] = {}
        self._undated: list[CellSummary] = []
        self._newest: int | None = None
        self._position_of: dict[Item, int] = {}
        self._items_of_day: dict[int, set[int]] = {}

    def add(self, found: CellSummary) -> None:
        """Add what was found in one cell of a batch."""
        self._newest = _later(self._newest, found.newest)
        if found.cell is None:
            self._undated.append(found)
        else:
            self._put(found.cell, found)

    def _put(self, number: int, found: CellSummary) -> None:
        before = self._cells.get(number, Cell(0, 0, None, None))
        self._cells[number] = Cell(
            before.row_count + found.row_count,
            (before.checksum + found.checksum) % 2**64,
            _later(before.latest_logged, found.latest_logged),
            _later(before.latest_late, found.latest_late),
        )
        positions = self._items_of_day.setdefault(number // _CELLS_PER_DAY, set())
        seen = self._position_of
        positions.update(seen.setdefault(item, len(seen)) for item in found.items)

    def build(self) -> FileSummary:
        """Give the summary.

        Rows without a readable time lie where the file's newest row does that isn't later than the
        file itself, and if there is none, where the file was written.
        """
        undated_us = self._modified_ns // 1000 if self._newest is None else self._newest
        for found in self._undated:
            self._put(undated_us // CELL_US, found)
        return FileSummary(
            size=self._size,
            modified_ns=self._modified_ns,
            undated_us=undated_us,
            cells=self._cells,
            items=tuple(self._position_of),
            items_of_day={
                day: np.array(sorted(positions), np.int32)
                for day, positions in self._items_of_day.items()
            },
        )


def _numbers_between(first: datetime, last: datetime) -> range:
    return range(microseconds(first) // CELL_US, -(-microseconds(last) // CELL_US))


def _values_at(numbers: range, values: Mapping[int, V]) -> Iterator[V]:
    """Give the values at some numbers, without going through more of either than there are."""
    if len(numbers) < len(values):
        return (values[number] for number in numbers if number in values)
    return (value for number, value in values.items() if number in numbers)


def _later(one: int | None, other: int | None) -> int | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _moment(found: Iterator[int | None]) -> datetime | None:
    latest = max((moment for moment in found if moment is not None), default=None)
    return None if latest is None else EPOCH + timedelta(microseconds=latest)
