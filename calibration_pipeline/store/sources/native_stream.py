"""Streaming a day of the response log: read in slices of its time, ordered on this side.

PostgreSQL gives rows as they lie in the table, which costs it half of what an order does. The day
is cut at moments between sessions' starts, so that a slice is a block, and can be ordered alone.
How long a slice is follows from the one before: to count the rows first would be to read them
twice.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from psycopg import sql

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.copy import copying, driver_connection
from calibration_pipeline.store.read_ahead import BLOCKS_AT_ONCE
from calibration_pipeline.store.sources.native_copy import Block, CopyReader
from calibration_pipeline.store.sources.native_decoding import last_session
from calibration_pipeline.store.sources.native_rows import COPIED

_LARGEST_SLICE = 4
"""Times the rows that a slice is to have: one with more is cut again."""
_SHORTEST_SLICE = timedelta(seconds=1)
"""One with more rows all the same is ordered by PostgreSQL, which has a disk for that."""
_CUT_AGAIN = 8
_MOST_GROWTH = 4
_FILLED = 0.9
"""Of the rows that a slice is to have: the next one may be a little denser."""

_FIRST_ID = slice(6, 14)
"""Where the first row has its response's id: after the number of columns and the id's length."""
_MOST_BYTES = 2**26
"""Of a block, about: an offset in its texts has 31 bits, and memory has to hold a few blocks."""

Rows = tuple[NDArray[np.uint8], int]
"""Rows as they are copied, one after another, and how many."""

_ESTIMATE = """
EXPLAIN (FORMAT JSON) SELECT FROM calibration.response_log
WHERE session_started_at >= :first AND session_started_at < :last
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
class _Slice:
    """Sessions that started from one moment until before another one."""

    first: datetime
    last: datetime


def copied_blocks(
    connection: sa.Connection, first: datetime, last: datetime, slice_rows: int
) -> Generator[Rows, None, None]:
    """Give the rows of the sessions that started from `first` until before `last`.

    A block ends where a session ends, and has about `slice_rows` rows. Its memory is taken again
    by the third block after it: see `reading_ahead`. Close it to end its COPY.

    Raises
    ------
    SourceError
        A session is too long to be held in memory.
    """
    driver = driver_connection(connection)
    readers = cycle([CopyReader(driver) for _ in range(BLOCKS_AT_ONCE)])
    reader = next(readers)
    length = _first_length(connection, first, last, slice_rows)
    while first < last:
        part = _Slice(first, min(first + length, last))
        found = _whole_slice(connection, reader, part, _LARGEST_SLICE * slice_rows)
        row_count = 0
        if found is None and length > _SHORTEST_SLICE:
            length = max(length / _CUT_AGAIN, _SHORTEST_SLICE)
            continue
        if found is not None:
            yield found
            row_count = found[1]
            reader = next(readers)
        else:
            # An error's traceback would keep a COPY open, and a rollback would wait for ever.
            with closing(_copied(connection, reader, part, _ORDER, slice_rows)) as copied:
                for block in _whole_sessions(copied):
                    yield block
                    row_count += block[1]
        first = part.last
        growth = _FILLED * slice_rows / row_count if row_count else _MOST_GROWTH
        length *= min(max(growth, 1 / _MOST_GROWTH), _MOST_GROWTH)
        length = max(length, _SHORTEST_SLICE)


def _first_length(
    connection: sa.Connection, first: datetime, last: datetime, slice_rows: int
) -> timedelta:
    """Give the whole time if PostgreSQL takes its rows for few, else a share of it."""
    (plan,) = connection.scalars(sa.text(_ESTIMATE), {"first": first, "last": last}).one()
    row_count = int(plan["Plan"]["Plan Rows"])
    return (last - first) * min(1.0, _FILLED * slice_rows / max(row_count, 1))


def _whole_slice(
    connection: sa.Connection, reader: CopyReader, part: _Slice, most_rows: int
) -> Rows | None:
    """Give a slice's rows as one block, or None if memory is not to hold so many."""
    limit = f"LIMIT {most_rows + 1}"
    with closing(_copied(connection, reader, part, limit, most_rows + 1)) as copied:
        content, row_count, is_last = next(copied)
        # To leave the COPY would be to leave the transaction: what is left of it is read.
        for _ in copied:
            pass
    return (content, row_count) if is_last else None


def _copied(
    connection: sa.Connection, reader: CopyReader, part: _Slice, rest: str, most_rows: int
) -> Generator[Block, None, None]:
    statement = sql.SQL(_ROWS).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, COPIED)),
        first=sql.Literal(part.first),
        last=sql.Literal(part.last),
        order=sql.SQL(rest),
    )
    with copying(connection, statement) as copy:
        yield from reader.blocks(copy, most_rows, _MOST_BYTES)


def _whole_sessions(blocks: Iterator[Block]) -> Iterator[Rows]:
    """Cut blocks of ordered rows anew so that each ends where a session ends."""
    columns = list(COPIED)
    session, start = columns.index("session_id"), columns.index("session_started_at")
    content, count = np.empty(0, np.uint8), 0
    for more, more_rows, _ in blocks:
        content, count = np.concatenate([content, more]), count + more_rows
        place, row = last_session(content, count, session, start)
        if row:
            yield content[:place], int(row)
            content, count = content[place:], count - int(row)
        if len(content) > _MOST_BYTES:
            first = int.from_bytes(content[_FIRST_ID].tobytes(), "big")
            raise SourceError(
                f"the response log has a session of more than {_MOST_BYTES // 2**20} MB "
                f"(response_id {first} is one of its answers): it can't be "
                "read; correct what logs such texts, and delete them from "
                "calibration.response_log; nothing was recorded"
            )
    yield content, count
