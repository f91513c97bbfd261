"""A block of the response log as PostgreSQL copies it, and as the archive wants it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
_KINDS = np.array(list(COPIED.values()), np.int64)
_HASHED = _PLACES["outcome"]
_EPOCH = np.int64(946_684_800_000_000)
"""Microseconds from 1970 to 2000, where PostgreSQL's times begin."""
_TOLERANCE = np.int64(CLOCK_TOLERANCE.total_seconds() * 1e6)
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
    """

    def __init__(self, content: NDArray[np.uint8], row_count: int, workspace: Workspace) -> None:
        self.row_count = row_count
        self._columns, self._dictionaries = workspace.for_block(row_count, len(content))
        self._hashes, self._seeds = decode(
            content, row_count, _KINDS, _PLACES["outcome"], _HASHED,
            self._columns, self._dictionaries,
        )  # fmt: skip

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
        place = _PLACES[name]
        count = int(self._dictionaries.counts[place])
        offsets = self._dictionaries.offsets[place, : count + 1].copy()
        texts = self._dictionaries.texts[place, : offsets[-1]].copy()
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(texts))

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

    def is_unknown(self, bank: Mapping[int, pa.Array]) -> BoolArray:
        """Mark the rows whose item is not among the bank's ids of its version."""
        versions, items = self.numbers("content_version"), self.texts("item_id")
        unknown = np.ones(self.row_count, np.bool_)
        for version in set(np.unique(versions).tolist()) & bank.keys():
            has = pc.is_in(items, value_set=bank[version]).to_numpy(zero_copy_only=False)
            unknown &= ~(has[self.codes("item_id")] & (versions == version))
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
        names = _ranks(ids)[self.codes("session_id")[first_rows]]
        ranks = np.empty(len(first_rows), np.int64)
        starts = self.numbers("session_started_at")[first_rows]
        ranks[np.lexsort((names, starts))] = np.arange(len(first_rows))
        position = np.where(self.is_null("position"), _LAST, self.numbers("position"))
        item = _ranks(self.texts("item_id"))[self.codes("item_id")]
        others = (self.numbers(n) for n in ("content_version", "response_id"))
        keys = np.stack([position, self.numbers("answered_at"), item, *others])
        order: IntArray = order_rows(session, ranks, keys)
        return order

    def table(self, reasons: NDArray[np.int8]) -> pa.Table:
        """Give the rows as `ROW_SCHEMA`, texts as dictionaries, in the order of the archive."""
        order = self.order()
        columns: dict[str, Any] = {"reason": pa.array(reasons[order])}
        for field in ROW_SCHEMA:
            if field.name == "reason":
                continue
            mask = self.is_null(field.name)[order]
            if pa.types.is_timestamp(field.type):
                mask |= ~self._is_readable(field.name)[order]
            if COPIED[field.name] == TEXT:
                columns[field.name] = self._dictionary(field.name, order, mask)
            else:
                columns[field.name] = self._plain(field, order, mask)
        return pa.table(columns)

    def _dictionary(self, name: str, order: IntArray, mask: BoolArray) -> pa.DictionaryArray:
        texts = self.texts(name)
        if name == "outcome" and OUTCOMES[0] in texts.to_pylist():
            # Scored is what an answer is unless the log says otherwise: both ways are null.
            mask = mask | (self.codes(name) == texts.index(OUTCOMES[0]).as_py())[order]
        codes = pa.array(self.codes(name)[order], mask=mask if mask.any() else None)
        return pa.DictionaryArray.from_arrays(codes, texts)

    def _plain(self, field: pa.Field, order: IntArray, mask: BoolArray) -> pa.Array:
        values: NDArray[Any] = self.numbers(field.name)[order]
        if pa.types.is_timestamp(field.type):
            values = np.where(mask, 0, values + _EPOCH)
        elif COPIED[field.name] == DOUBLE:
            values = values.view(np.float64)
        else:
            values = values.astype(field.type.to_pandas_dtype())
        return pa.array(values, mask=mask if mask.any() else None).cast(field.type)


_SCORED, _OTHER, _UNKNOWN = range(3)


def _outcome_kind(outcome: str) -> int:
    if outcome not in OUTCOMES:
        return _UNKNOWN
    return _SCORED if outcome == OUTCOMES[0] else _OTHER


def _ranks(texts: pa.StringArray) -> IntArray:
    """Give each text's place in the order of its bytes."""
    ranks = np.empty(len(texts), np.int64)
    ranks[pc.sort_indices(texts).to_numpy()] = np.arange(len(texts))
    return ranks
