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
        `ROW_SCHEMA`, in canonical order, ending at a session's end.
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
    names = pa.array(np.array(REASONS, dtype=object)[reason[~keep]], pa.string())
    left_out = rows.filter(pa.array(~keep)).drop_columns("reason").append_column("reason", names)
    return SortedOut(rows.filter(pa.array(keep)).drop_columns("reason"), session[keep], left_out)


def _codes(column: Any) -> NDArray[Any]:
    """Give a number per row that is the same exactly where the value is."""
    if pa.types.is_string(column.type):
        column = pc.dictionary_encode(column.combine_chunks()).indices
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(pc.fill_null(column, -1).to_numpy())


def _repeats(session: IntArray, rows: pa.Table, among: IntArray) -> tuple[IntArray, IntArray]:
    """Give the rows that answer an item again in their session, and each one's first answer."""
    keys = (_codes(rows["content_version"])[among], _codes(rows["item_id"])[among], session[among])
    order = np.lexsort(keys)  # stable: within equal keys the canonical order stands
    is_repeat = np.zeros(len(order), np.bool_)
    if len(order):
        is_repeat[1:] = np.logical_and.reduce([k[order][1:] == k[order][:-1] for k in keys])
    first = np.maximum.accumulate(np.where(is_repeat, 0, np.arange(len(order))))
    return among[order[is_repeat]], among[order[first[is_repeat]]]
