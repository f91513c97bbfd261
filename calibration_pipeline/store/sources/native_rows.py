"""A block of the response log as PostgreSQL copies it, and as the archive wants it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from calibration_pipeline.records import OUTCOMES, BoolArray, IntArray
from calibration_pipeline.store.archive_format import MOMENT
from calibration_pipeline.store.sources.base import (
    CLOCK_TOLERANCE,
    EMPTY,
    REASON_NUMBERS,
    ROW_SCHEMA,
    Fingerprint,
)
from calibration_pipeline.store.sources.native_decoding import (
    DOUBLE,
    LONG,
    TEXT,
    WORD,
    decode,
    with_flag,
)
from calibration_pipeline.store.sources.native_items import NamedItems, ranks
from calibration_pipeline.store.sources.native_memory import Workspace
from calibration_pipeline.store.sources.native_order import (
    differing_sessions,
    group_sessions,
    order_rows,
)

# In the order of the fingerprint's columns; what is no part of it comes last.
COPIED = {
    "response_id": LONG,
    "session_id": TEXT,
    "candidate_id": TEXT,
    "item_id": TEXT,
    "content_version": WORD,
    "score": WORD,
    "answered_at": LONG,
    "session_started_at": LONG,
    "position": WORD,
    "time_on_task_ms": WORD,
    "option_selected": TEXT,
    "theta_at_presentation": DOUBLE,
    "population_group": TEXT,
    "engine_version": TEXT,
    "outcome": TEXT,
    "ingested_at": LONG,
}
_PLACES = {name: place for place, name in enumerate(COPIED)}
LASTING = (_PLACES["item_id"],)
"""Columns whose texts are mostly those of the block before."""
_KINDS = np.array(list(COPIED.values()), np.int64)
_HASHED = _PLACES["outcome"]
_EPOCH = np.int64(946_684_800_000_000)
"""Microseconds from 1970 to 2000, where PostgreSQL's times begin."""
_TOLERANCE = np.int64(CLOCK_TOLERANCE.total_seconds() * 1e6)
_NO_CODE = -2
_LAST = np.iinfo(np.int64).max


def _since_2000(moment: datetime) -> np.int64:
    """Give a moment as PostgreSQL does, in microseconds."""
    return np.int64((moment - datetime(2000, 1, 1)) // timedelta(microseconds=1))


# A day within what Python's calendar has, so that they are times in every zone.
_EARLIEST, _LATEST = _since_2000(datetime(1, 1, 2)), _since_2000(datetime(9999, 12, 31))


@dataclass(frozen=True)
class Tally:
    """What a fingerprint needs of some rows: how many, the newest arrival, the XOR of hashes."""

    row_count: int = 0
    latest_ingested_at: int | None = None
    checksum: np.uint64 = np.uint64(0)  # noqa: RUF009 - it is immutable

    def __add__(self, other: "Tally") -> "Tally":
        arrivals = [t.latest_ingested_at for t in (self, other) if t.latest_ingested_at is not None]
        return Tally(
            self.row_count + other.row_count,
            max(arrivals, default=None),
            self.checksum ^ other.checksum,
        )

    def fingerprint(self) -> Fingerprint:
        """Give the fingerprint of a day with exactly these rows."""
        if not self.row_count:
            return EMPTY
        latest = pa.scalar(self.latest_ingested_at, MOMENT).as_py()
        return Fingerprint(self.row_count, latest, int(self.checksum.astype(np.int64)))


class CopiedRows:
    """Rows of a binary COPY of `COPIED`, decoded; to be used before the next ones are.

    Parameters
    ----------
    content
        Rows one after another, without the head and the tail of a COPY.
    row_count
        How many.
    workspace
        Where they are decoded, and others before and after them.
    items
        Those named so far, and in the bank.
    """

    def __init__(
        self,
        content: NDArray[np.uint8],
        row_count: int,
        workspace: Workspace,
        items: NamedItems,
    ) -> None:
        self.row_count = row_count
        self._workspace = workspace
        self._columns, self._dictionaries = workspace.for_block(row_count, len(content))
        self._hashes, self._seeds = decode(
            content, row_count, _KINDS, _PLACES["outcome"], _HASHED,
            self._columns, self._dictionaries,
        )  # fmt: skip
        self._items = items
        self._items.name(self.texts("item_id"))

    def numbers(self, name: str) -> NDArray[np.int64]:
        """Give a column of numbers; 0 where it is null."""
        column: NDArray[np.int64] = self._columns.numbers[_PLACES[name], : self.row_count]
        return column

    def is_null(self, name: str) -> BoolArray:
        """Mark where a column is null."""
        column: BoolArray = self._columns.is_null[_PLACES[name], : self.row_count]
        return column

    def codes(self, name: str) -> NDArray[np.int32]:
        """Give the place of each row's text among the column's texts; −1 where it is null."""
        column: NDArray[np.int32] = self._columns.codes[_PLACES[name], : self.row_count]
        return column

    def texts(self, name: str) -> pa.StringArray:
        """Give the different texts of a column."""
        return self._workspace.texts(_PLACES[name])

    def tally(self, is_unknown: BoolArray) -> Tally:
        """Give what the fingerprint needs, told which rows' items the bank doesn't know."""
        arrivals = self.numbers("ingested_at")[self._is_readable("ingested_at")]
        latest = int(arrivals.max()) + int(_EPOCH) if len(arrivals) else None
        checksum = np.uint64(with_flag(self._hashes, self._seeds, is_unknown))
        return Tally(self.row_count, latest, checksum)

    @cached_property
    def sessions(self) -> tuple[IntArray, IntArray]:
        """Each row's session, and each session's first row: rows of one id and one start."""
        session, first_rows = group_sessions(
            self.codes("session_id"),
            self.numbers("session_started_at"),
            self._dictionaries.counts[_PLACES["session_id"]],
        )
        return session, first_rows

    def session_hashes(self) -> NDArray[np.uint64]:
        """Give a hash of each session's id: of one that starts twice, twice."""
        _, first_rows = self.sessions
        codes = self.codes("session_id")[first_rows]
        hashes: NDArray[np.uint64] = self._dictionaries.hashes[_PLACES["session_id"], codes]
        return hashes

    def is_unknown(self) -> BoolArray:
        """Mark the rows whose item is not among the bank's of its version."""
        versions, items = self.numbers("content_version"), self.codes("item_id")
        unknown = np.ones(self.row_count, np.bool_)
        first = int(versions[0])
        present = {first} if (versions == first).all() else set(np.unique(versions).tolist())
        for version in present & self._items.versions:
            unknown &= ~(self._items.are_known(version)[items] & (versions == version))
        return unknown

    def _is_readable(self, name: str) -> BoolArray:
        """Mark the times that a calendar has."""
        times = self.numbers(name)
        return (times >= _EARLIEST) & (times < _LATEST)

    def reasons(self, is_unknown: BoolArray, inconsistent: Collection[str]) -> NDArray[np.int8]:
        """Give each row's number in `ROW_REASONS`, 0 for a good one.

        A time is in the future if it is later than the moment the row was logged: unlike "later
        than now", that never changes.

        Parameters
        ----------
        inconsistent
            Ids of sessions that are known to have more than one start.
        """
        session, first_rows = self.sessions
        is_bad = differing_sessions(session, self.codes("candidate_id"), len(first_rows))
        if inconsistent:
            ids = self.texts("session_id").to_pylist()
            codes = self.codes("session_id")[first_rows].tolist()
            is_bad |= np.array([ids[code] in inconsistent for code in codes])
        outcome = np.array([*map(_outcome_kind, self.texts("outcome").to_pylist()), _SCORED])
        kinds = outcome[self.codes("outcome")]  # null is scored: the last one
        score, is_null = self.numbers("score"), self.is_null("score")
        arrived = np.minimum(self.numbers("ingested_at"), _LAST - _TOLERANCE)
        conditions = {
            "unknown_item": is_unknown,
            "unknown_outcome": kinds == _UNKNOWN,
            "null_score": is_null & (kinds == _SCORED),
            "non_binary_score": ~is_null & (score != 0) & (score != 1),
            "unreadable_timestamp": ~(
                self._is_readable("answered_at") & self._is_readable("ingested_at")
            ),
            "future_timestamp": self.numbers("answered_at") > arrived + _TOLERANCE,
            "session_inconsistent": is_bad[session],
        }
        reasons = np.zeros(self.row_count, np.int8)
        for name, holds in reversed(conditions.items()):
            reasons[holds] = REASON_NUMBERS[name]
        return reasons

    def order(self) -> IntArray:
        """Give the rows in the order of the archive."""
        session, first_rows = self.sessions
        ids = self.texts("session_id")
        names = ranks(ids)[self.codes("session_id")[first_rows]]
        places = np.empty(len(first_rows), np.int64)
        starts = self.numbers("session_started_at")[first_rows]
        places[np.lexsort((names, starts))] = np.arange(len(first_rows))
        position = np.where(self.is_null("position"), _LAST, self.numbers("position"))
        item = self._items.ranks[self.codes("item_id")]
        others = (self.numbers(n) for n in ("content_version", "response_id"))
        keys = np.stack([position, self.numbers("answered_at"), item, *others])
        order: IntArray = order_rows(session, places, keys)
        return order

    def table(self, reasons: NDArray[np.int8]) -> pa.Table:
        """Give the rows as `ROW_SCHEMA`, texts as dictionaries, in the order of the archive."""
        order = self.order()
        columns: dict[str, Any] = {"reason": pa.array(reasons[order])}
        for field in ROW_SCHEMA:
            if field.name == "reason":
                continue
            is_absent = self.is_null(field.name)
            if pa.types.is_timestamp(field.type):
                is_absent = is_absent | ~self._is_readable(field.name)
            if field.name == "outcome":
                is_absent = is_absent | self._says_scored()
            mask = is_absent[order] if is_absent.any() else None
            if COPIED[field.name] == TEXT:
                codes = pa.array(self.codes(field.name)[order], mask=mask)
                texts = self.texts(field.name)
                columns[field.name] = pa.DictionaryArray.from_arrays(codes, texts)
            else:
                columns[field.name] = self._plain(field, order, mask)
        return pa.table(columns)

    def _says_scored(self) -> BoolArray:
        """Mark the outcomes that say so: as an answer without one, it has none in the archive."""
        place = self.texts("outcome").index(OUTCOMES[0]).as_py()
        marks: BoolArray = self.codes("outcome") == (place if place >= 0 else _NO_CODE)
        return marks

    def _plain(self, field: pa.Field, order: IntArray, mask: BoolArray | None) -> pa.Array:
        values: NDArray[Any] = self.numbers(field.name)[order]
        if pa.types.is_timestamp(field.type):
            values = values + _EPOCH if mask is None else np.where(mask, 0, values + _EPOCH)
        elif COPIED[field.name] == DOUBLE:
            values = values.view(np.float64)
        else:
            values = values.astype(field.type.to_pandas_dtype())
        return pa.array(values, mask=mask).cast(field.type)


_SCORED, _OTHER, _UNKNOWN = range(3)


def _outcome_kind(outcome: str) -> int:
    if outcome not in OUTCOMES:
        return _UNKNOWN
    return _SCORED if outcome == OUTCOMES[0] else _OTHER
