"""Streaming a day of the response log: read in slices of its time, ordered on this side.

PostgreSQL gives rows as they lie in the table, which costs it half of what an order does. The day
is cut at moments between sessions' starts, so that a slice is a block, and can be ordered alone.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, pairwise

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
"""Times a slice's rows: a minute with more is ordered by PostgreSQL, which has a disk for that."""

_FIRST_ID = slice(6, 14)
"""Where the first row has its response's id: after the number of columns and the id's length."""
_MOST_BYTES = 2**26
"""Of a block, about: an offset in its texts has 31 bits, and memory has to hold a few blocks."""

Rows = tuple[NDArray[np.uint8], int]
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


def copied_blocks(
    connection: sa.Connection, slices: Sequence[Slice], slice_rows: int
) -> Generator[Rows, None, None]:
    """Give the rows of each slice, in one block; of one that is far too large in several.

    A block ends where a session ends. Its memory is taken again by the third block after it: see
    `reading_ahead`. Close it to end its COPY.

    Raises
    ------
    SourceError
        A session is too long to be held in memory.
    """
    driver = driver_connection(connection)
    readers = cycle([CopyReader(driver) for _ in range(BLOCKS_AT_ONCE)])
    for part, reader in zip(slices, readers, strict=False):
        # An error's traceback would keep a COPY open, and a rollback would wait for it for ever.
        with closing(_blocks(connection, reader, part, slice_rows)) as blocks:
            yield from blocks


def _blocks(
    connection: sa.Connection, reader: CopyReader, part: Slice, slice_rows: int
) -> Generator[Rows, None, None]:
    """Give at least one block; the reader's memory is that of one at most."""
    if part.row_count <= _LARGEST_SLICE * slice_rows:
        with closing(_copied(connection, reader, part, "", part.row_count + 1)) as copied:
            content, row_count, is_last = next(copied)
            if is_last:
                yield content, row_count
                return
            # Its texts are far too long. To leave the COPY would be to leave the transaction.
            for _ in copied:
                pass
    with closing(_copied(connection, reader, part, _ORDER, slice_rows)) as copied:
        yield from _whole_sessions(copied)


def _copied(
    connection: sa.Connection, reader: CopyReader, part: Slice, order: str, most_rows: int
) -> Generator[Block, None, None]:
    statement = sql.SQL(_ROWS).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, COPIED)),
        first=sql.Literal(part.first),
        last=sql.Literal(part.last),
        order=sql.SQL(order),
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
