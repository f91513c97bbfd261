"""Streaming a day of the response log: read in slices of its time, ordered on this side.

PostgreSQL gives rows as they lie in the table, which costs it half of what an order does. The day
is cut at moments between sessions' starts, so that a slice is a block, and can be ordered alone.
"""

import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg import sql

from calibration_pipeline.store.copy import copying, driver_connection
from calibration_pipeline.store.sources.native_decoding import last_session
from calibration_pipeline.store.sources.native_rows import COPIED, CopiedRows

_LARGEST_SLICE = 4
"""Times a slice's rows: a minute with more is ordered by PostgreSQL, which has a disk for that."""
_HEAD_BYTES, _TAIL_BYTES = 19, 2

Block = tuple[NDArray[np.uint8], int]
"""Rows as they are copied, one after another, and how many."""

# Uses response_log_session_started_at_idx.
_SLOTS = """
WITH starts AS MATERIALIZED (
    SELECT session_id, session_started_at, count(*) AS row_count
    FROM calibration.response_log
    WHERE session_started_at >= :first AND session_started_at < :last
    GROUP BY session_id, session_started_at
), several AS (
    SELECT session_id FROM starts GROUP BY session_id HAVING count(*) > 1
)
SELECT date_bin('1 minute', session_started_at, CAST(:first AS timestamptz)) AS start,
       CAST(sum(row_count) AS bigint) AS row_count, NULL AS inconsistent
FROM starts GROUP BY 1
UNION ALL SELECT NULL, NULL, array_agg(session_id) FROM several
ORDER BY start NULLS LAST
"""

# Uses response_log_session_started_at_idx.
_ROWS = """
COPY (
    SELECT {columns} FROM calibration.response_log
    WHERE session_started_at >= {first} AND session_started_at < {last}
    {order}
) TO STDOUT (FORMAT binary)
"""
_ORDER = 'ORDER BY session_started_at, session_id COLLATE "C", position NULLS LAST'


@dataclass(frozen=True)
class Slice:
    """Sessions that started from one moment until before another one, and how many rows."""

    first: datetime
    last: datetime
    row_count: int


@dataclass(frozen=True)
class DayPlan:
    """How a day is read, and the ids of sessions that start more than once in it."""

    slices: tuple[Slice, ...]
    inconsistent: frozenset[str]


def plan_day(
    connection: sa.Connection, first: datetime, last: datetime, slice_rows: int
) -> DayPlan:
    """Cut a day into slices of about `slice_rows` rows; none if it has no rows."""
    *slots, several = connection.execute(sa.text(_SLOTS), {"first": first, "last": last})
    cuts: list[tuple[datetime, int]] = []
    room = 0
    for slot in slots:
        if slot.row_count > room:
            cuts.append((slot.start, 0))
            room = slice_rows
        start, count = cuts[-1]
        cuts[-1] = (start, count + slot.row_count)
        room -= slot.row_count
    bounds = [*cuts, (last, 0)]
    slices = tuple(Slice(start, end, n) for (start, n), (end, _) in pairwise(bounds))
    return DayPlan(slices, frozenset(several.inconsistent or ()))


def stream_slices(
    connection: sa.Connection, slices: Sequence[Slice], slice_rows: int
) -> Generator[CopiedRows, None, None]:
    """Give the rows of each slice, in one block; of one that is far too large in several.

    A block ends where a session ends. Close it to end its COPY.
    """
    for part in slices:
        is_small = part.row_count <= _LARGEST_SLICE * slice_rows
        order = ("", None) if is_small else (_ORDER, slice_rows)
        # An error's traceback would keep the COPY open, and a rollback would wait for it for ever.
        with closing(_copied(connection, part, *order)) as copied:
            for content, count in copied if is_small else _whole_sessions(copied):
                yield CopiedRows(content, count)


def _copied(
    connection: sa.Connection, part: Slice, order: str, slice_rows: int | None
) -> Generator[Block, None, None]:
    """Copy a slice, whole or in blocks of so many rows."""
    statement = sql.SQL(_ROWS).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, COPIED)),
        first=sql.Literal(part.first),
        last=sql.Literal(part.last),
        order=sql.SQL(order),
    )
    head = _HEAD_BYTES
    with copying(connection, statement) as copy:
        rows = _rows(copy, driver_connection(connection).pgconn)
        while True:
            content, count = io.BytesIO(), 0
            for row in islice(rows, slice_rows):
                content.write(row)
                count += 1
            if not count:
                return
            yield np.frombuffer(content.getbuffer(), np.uint8)[head:], count
            head = 0


def _rows(copy: psycopg.Copy, driver: Any) -> Iterator[bytes | memoryview]:
    """Give the rows of a binary COPY as they come; the first one has the head before it.

    What has come already is taken from libpq without `Copy.read`, which would take as much time
    as all the rest. `Copy.read` waits for more, ends, and says what went wrong.
    """
    take = driver.get_copy_data
    while True:
        length, row = take(1)
        if length == 0:
            row = copy.read()
            length = len(row)
        if length < 0:
            raise _failure(driver)
        if length in (0, _TAIL_BYTES):  # a row has more
            copy.read()
            return
        yield row


def _failure(driver: Any) -> psycopg.Error:
    """Give the error that has ended a COPY, and leave its connection ready for a rollback."""
    error: psycopg.Error = psycopg.OperationalError("the server ended the COPY")
    while (result := driver.get_result()) is not None:
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            error = psycopg.errors.error_from_result(result)
    return error


def _whole_sessions(blocks: Iterator[Block]) -> Iterator[Block]:
    """Cut blocks of ordered rows anew so that each ends where a session ends."""
    columns = list(COPIED)
    session, start = columns.index("session_id"), columns.index("session_started_at")
    content, count = np.empty(0, np.uint8), 0
    for more, more_rows in blocks:
        content, count = np.concatenate([content, more]), count + more_rows
        place, row = last_session(content, count, session, start)
        if row:
            yield content[:place], int(row)
            content, count = content[place:], count - int(row)
    if count:
        yield content, count
