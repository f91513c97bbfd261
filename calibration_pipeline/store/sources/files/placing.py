"""Where rows of text lie in time, by SQL on one batch of a file after another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from calibration_pipeline.store.sources.base import CLOCK_TOLERANCE
from calibration_pipeline.store.sources.files.checksum import row_checksums
from calibration_pipeline.store.sources.moments import define_moments
from calibration_pipeline.store.sources.raw import RAW_COLUMNS, RAW_SCHEMA

CELL = timedelta(minutes=15)
"""Rows are counted by quarters of an hour: today every zone's midnight is at the end of one."""

LATE = timedelta(hours=12)
"""Rows that were logged later than this after the time by which they are placed came late."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CELL_US = CELL // timedelta(microseconds=1)
_LATE_US = LATE // timedelta(microseconds=1)
_MEMORY = "128MB"

# Times before 1970 and after 9999 are no times of a log, and Python can't state all of them.
_MACROS = f"""
CREATE MACRO cell_of(us) AS (us - ((us % {CELL_US}) + {CELL_US}) % {CELL_US}) // {CELL_US};
CREATE MACRO sensible(us) AS CASE WHEN us BETWEEN 0 AND 253402214400000000 THEN us END;
CREATE MACRO place_by(t, u) AS
    epoch_us(coalesce(moment(t), moment(u), as_if_utc(t), as_if_utc(u)));
CREATE MACRO version_of(t) AS CAST(try_cast(t AS INTEGER) AS VARCHAR);
"""

# A row whose version is no number is one of no item that a bank could know.
_SUMMARY = """
WITH placed AS (
    SELECT place_by(answered_at, session_started_at) AS place,
           sensible(epoch_us(moment(logged_at))) AS logged,
           checksum,
           CASE WHEN item_id IS NULL OR version_of(content_version) IS NULL
                     AND content_version IS NOT NULL
                THEN NULL ELSE [item_id, version_of(content_version)] END AS item
    FROM incoming
)
SELECT cell_of(place),
       count(*),
       sum(checksum),
       max(logged),
       max(logged) FILTER (logged - place > {late}),
       max(sensible(place)) FILTER (place <= $newest_possible),
       list(DISTINCT item) FILTER (item IS NOT NULL)
FROM placed
GROUP BY 1
"""

# What the row states as its time decides where it lies; only where that says nothing, `dated_at`.
_BETWEEN = """
WITH placed AS (
    SELECT *, coalesce(place_by(answered_at, session_started_at), $undated) AS place FROM incoming
)
SELECT {columns} FROM placed WHERE place >= $first AND place < $last
"""
_DATED_AT = """CASE WHEN moment(answered_at) IS NULL
    THEN strftime(make_timestamp(place), '%Y-%m-%dT%H:%M:%S.%f+00:00') END AS dated_at"""

Item = tuple[str, int | None]
"""An item's id and its content version; None where the file has no versions."""


@dataclass(frozen=True)
class CellSummary:
    """Rows of a batch that lie in one cell.

    Attributes
    ----------
    cell
        Number of the quarter of an hour since 1970 UTC; None for rows without a readable time.
    row_count, checksum
        How many they are, and the sum of their checksums.
    latest_logged, latest_late
        Microseconds since 1970 UTC when the last of them was logged, and the last that came late.
    newest
        Microseconds since 1970 UTC of the last of them, leaving out what lies in the future.
    items
        That occur in them.
    """

    cell: int | None
    row_count: int
    checksum: int
    latest_logged: int | None
    latest_late: int | None
    newest: int | None
    items: tuple[Item, ...]


class Placing:
    """Places rows by their own time, or where that can't be read by their session's start.

    Times without an offset count as UTC if nobody
    said what they are: such rows are quarantined, but on a day.

    Parameters
    ----------
    connection
        Of an empty DuckDB.
    naive_timezone
        Zone of times without an offset; None if nobody said.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, naive_timezone: str | None) -> None:
        self._connection = connection
        define_moments(connection, naive_timezone)
        connection.execute(_MACROS)
        columns = (_DATED_AT if name == "dated_at" else name for name in RAW_COLUMNS)
        self._summary = _SUMMARY.format(late=_LATE_US)
        self._between = _BETWEEN.format(columns=", ".join(columns))

    def summarise(self, rows: pa.Table, modified_us: int) -> Iterator[CellSummary]:
        """Summarise a batch.

        Parameters
        ----------
        rows
            Of `raw.RAW_SCHEMA`.
        modified_us
            When the file was written, microseconds since 1970 UTC: what lies later is no time by
            which others could be placed.
        """
        checksums = pa.array(row_checksums(rows))
        newest_possible = modified_us + CLOCK_TOLERANCE // timedelta(microseconds=1)
        found = self._run(
            rows.append_column("checksum", checksums),
            self._summary,
            {"newest_possible": newest_possible},
        )
        for cell, row_count, checksum, logged, late, newest, items in found.fetchall():
            yield CellSummary(cell, row_count, checksum, logged, late, newest, _items(items))

    def between(self, rows: pa.Table, first: datetime, last: datetime, undated_us: int) -> pa.Table:
        """Give the rows of a batch from one moment to before another.

        Parameters
        ----------
        rows
            Of `raw.RAW_SCHEMA`.
        undated_us
            Where rows without a readable time lie, microseconds since 1970 UTC.

        Returns
        -------
        pyarrow.Table
            Of `raw.RAW_SCHEMA`, with `dated_at` where `answered_at` is no moment.
        """
        bounds = {"first": microseconds(first), "last": microseconds(last), "undated": undated_us}
        return self._run(rows, self._between, bounds).to_arrow_table().cast(RAW_SCHEMA)

    def _run(self, rows: pa.Table, statement: str, parameters: dict[str, int]) -> Any:
        self._connection.register("incoming", rows)
        return self._connection.sql(statement, params=parameters)


@contextmanager
def placing(naive_timezone: str | None) -> Iterator[Placing]:
    """Open a `Placing`; it writes nothing to a disk."""
    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "temp_directory": "",
        # Nothing is fetched from anywhere.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(":memory:", config=options) as connection:
        yield Placing(connection, naive_timezone)


def microseconds(moment: datetime) -> int:
    """Give microseconds since 1970 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _items(found: Sequence[Sequence[str | None]] | None) -> tuple[Item, ...]:
    return tuple(
        (item_id, None if version is None else int(version))
        for item_id, version in found or ()
        if item_id is not None
    )
