"""Which answers of a day count: bad rows and the sessions that lose one are left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from calibration_pipeline.records import BoolArray, IntArray
from calibration_pipeline.store.sources.base import ROW_REASONS

# A reason's number is its place here; 0 is a good row.
REASONS = ("", *ROW_REASONS, "duplicate", "conflicting_duplicate", "session_incomplete")
_DUPLICATE = REASONS.index("duplicate")
_CONFLICT = REASONS.index("conflicting_duplicate")
_INCOMPLETE = REASONS.index("session_incomplete")


@dataclass(frozen=True)
class SortedOut:
    """Rows that count, their session (counted from 0 in this block), and rows left out.

    `left_out` has the reasons as text in the column `reason`.
    """

    kept: pa.Table
    session: IntArray
    left_out: pa.Table


def session_starts(rows: pa.Table) -> BoolArray:
    """Mark the first row of each session; rows of one session stand together."""
    is_first = np.ones(rows.num_rows, np.bool_)
    for name in ("session_id", "session_started_at"):
        codes = _codes(rows[name])
        changes = codes[1:] != codes[:-1]
        is_first[1:] = changes if name == "session_id" else is_first[1:] | changes
    return is_first


def sort_out(rows: pa.Table) -> SortedOut:
    """Sort rows of whole sessions into those that count and those that are left out.

    1. A repeated answer (same session and item) is a duplicate if score, outcome and time are the
       same, a conflict otherwise; the first one stands.
    2. A session that loses an answer is left out whole, since its items were chosen by its
       answers. Dropping an exact duplicate loses nothing.

    Parameters
    ----------
    rows
        `ROW_SCHEMA`, in canonical order, ending at a session's end. Texts may be dictionaries.
    """
    session = np.cumsum(session_starts(rows)) - 1
    reason = rows["reason"].to_numpy().astype(np.int64)
    good = np.flatnonzero(reason == 0)
    repeats, firsts = _repeats(session, rows, good)
    same = np.ones(len(repeats), np.bool_)
    for name in ("score", "outcome", "answered_at"):
        values = _codes(rows[name])
        same &= values[repeats] == values[firsts]
    reason[repeats] = np.where(same, _DUPLICATE, _CONFLICT)
    loses_an_answer = np.zeros(session[-1] + 1 if len(session) else 0, np.bool_)
    loses_an_answer[session[(reason != 0) & (reason != _DUPLICATE)]] = True
    reason[(reason == 0) & loses_an_answer[session]] = _INCOMPLETE
    keep = reason == 0
    bare = rows.drop_columns("reason")
    if keep.all():
        return SortedOut(bare, session, _left_out(bare.slice(0, 0), reason[:0]))
    left_out = _left_out(bare.filter(pa.array(~keep)), reason[~keep])
    return SortedOut(bare.filter(pa.array(keep)), session[keep], left_out)


def _left_out(rows: pa.Table, reasons: IntArray) -> pa.Table:
    """Name the reasons of rows, and give texts as such: a dictionary would be that of all rows."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(place, field.name, rows[field.name].cast(pa.string()))
    names = pa.array(np.array(REASONS, dtype=object)[reasons], pa.string())
    return rows.append_column("reason", names)


def _codes(column: Any) -> NDArray[Any]:
    """Give a number per row that is the same exactly where the value is."""
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries().combine_chunks().indices
    elif pa.types.is_string(column.type):
        column = pc.dictionary_encode(column.combine_chunks()).indices
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(pc.fill_null(column, -1).to_numpy())


def _repeats(session: IntArray, rows: pa.Table, among: IntArray) -> tuple[IntArray, IntArray]:
    """Give the rows that answer an item again in their session, and each one's first answer."""
    keys = (_codes(rows["content_version"])[among], _codes(rows["item_id"])[among], session[among])
    if not _has_repeats(keys):
        return among[:0], among[:0]
    order = np.lexsort(keys)  # stable: within equal keys the canonical order stands
    is_repeat = np.zeros(len(order), np.bool_)
    if len(order):
        is_repeat[1:] = np.logical_and.reduce([k[order][1:] == k[order][:-1] for k in keys])
    first = np.maximum.accumulate(np.where(is_repeat, 0, np.arange(len(order))))
    return among[order[is_repeat]], among[order[first[is_repeat]]]


def _has_repeats(keys: tuple[NDArray[Any], ...]) -> bool:
    """Tell whether any two rows agree in all keys, in a fraction of the time of ordering them."""
    combined, size = np.zeros(len(keys[0]), np.int64), 1
    for key in keys:
        lowest, span = (int(key.min()), int(np.ptp(key)) + 1) if len(key) else (0, 1)
        size *= span
        if size > np.iinfo(np.int64).max:
            return True
        combined = combined * span + (key.astype(np.int64) - lowest)
    combined.sort()
    return bool((combined[1:] == combined[:-1]).any())
