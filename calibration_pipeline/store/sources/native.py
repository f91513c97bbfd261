"""The native response log as a source: has a day changed, and what are its rows."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.copy import driver_connection
from calibration_pipeline.store.read_ahead import reading_ahead
from calibration_pipeline.store.sources.base import (
    EMPTY,
    Fingerprint,
    ReadAgain,
    day_bounds,
    days_between,
)

SLICE_ROWS = 75_000
"""Rows of a block, about; some 200 bytes each while it is read and ordered."""

# Nothing but PostgreSQL's calendar has the others, infinity among them.
_READABLE = "{0} >= '0001-01-02 00:00+00' AND {0} < '9999-12-31 00:00+00'"

# Uses response_log_session_started_at_idx. Whether the bank knows the item is part of the hash:
# importing the item later changes what the day's extraction gives. The outcome seeds the hash, so
# that a row without one has the checksum that it had before there were outcomes.
_FINGERPRINTS = """
SELECT width_bucket(r.session_started_at, CAST(:bounds AS timestamptz[])) AS day_number,
       count(*) AS row_count,
       max(r.ingested_at) FILTER (WHERE {readable}) AS latest_ingested_at,
       bit_xor(hash_record_extended(ROW(
           r.response_id, r.session_id, r.candidate_id, r.item_id, r.content_version, r.score,
           r.answered_at, r.session_started_at, r.position, r.time_on_task_ms, r.option_selected,
           r.theta_at_presentation, r.population_group, r.engine_version, i.item_id IS NULL
       ), coalesce(hashtextextended(r.outcome, 0), 0))) AS checksum
FROM calibration.response_log AS r
LEFT JOIN calibration.items AS i USING (item_id, content_version)
WHERE r.session_started_at >= :first AND r.session_started_at < :last
GROUP BY 1
""".format(readable=_READABLE.format("r.ingested_at"))

# Uses response_log_late_ingested_at_idx, whose condition stands here word for word.
_LATE_ARRIVALS = """
SELECT width_bucket(session_started_at, CAST(:bounds AS timestamptz[])) AS day_number,
       max(ingested_at) AS latest_ingested_at
FROM calibration.response_log
WHERE ingested_at > coalesce(CAST(:since AS timestamptz), '-infinity')
  AND ingested_at - session_started_at > interval '12 hours'
  AND {readable}
  AND session_started_at >= :first AND session_started_at < :last
GROUP BY 1
""".format(readable=_READABLE.format("ingested_at"))

# Uses response_log_session_started_at_idx.
_INCONSISTENT = """
SELECT session_id FROM calibration.response_log
WHERE session_started_at >= :first AND session_started_at < :last
GROUP BY session_id HAVING min(session_started_at) <> max(session_started_at)
"""

_BANK = "SELECT content_version, array_agg(item_id) AS ids FROM calibration.items GROUP BY 1"

# By the index to the pages in their order, as they lie, not row by row; and one process, since
# this side keeps another one busy.
_READING = (
    "SET LOCAL client_encoding = 'UTF8'",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL enable_indexscan = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
)


class NativeSource:
    """The store's own `response_log`."""

    kind = "response_log"
    is_in_store = True
    warnings: tuple[str, ...] = ()

    @contextmanager
    def view(self, store: sa.Connection, timezone: ZoneInfo) -> Iterator["NativeView"]:
        """See `ResponseSource`. The view is that of the store's transaction."""
        yield NativeView(store, timezone)


class NativeView:
    """The response log as one transaction of the store sees it."""

    def __init__(self, connection: sa.Connection, timezone: ZoneInfo) -> None:
        self._connection = connection
        self._timezone = timezone
        self._found: dict[date, Fingerprint] = {}
        self._inconsistent: dict[date, frozenset[str]] = {}

    def fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
        """See `SourceView`."""
        if first == last and first in self._found:
            return {first: self._found[first]}
        days = days_between(first, last)
        rows = self._connection.execute(sa.text(_FINGERPRINTS), self._bounds(days))
        found = {
            days[row.day_number - 1]: Fingerprint(
                row.row_count, row.latest_ingested_at, row.checksum
            )
            for row in rows
        }
        return {day: found.get(day, EMPTY) for day in days}

    def late_arrivals(
        self, first: date, last: date, since: datetime | None
    ) -> dict[date, datetime]:
        """See `SourceView`.

        What an engine logs as it happens is not looked at, so that this takes as long as there are
        late answers.
        """
        days = days_between(first, last)
        bounds = {"since": since, **self._bounds(days)}
        rows = self._connection.execute(sa.text(_LATE_ARRIVALS), bounds)
        return {days[row.day_number - 1]: row.latest_ingested_at for row in rows}

    def _bounds(self, days: list[date]) -> dict[str, Any]:
        """The beginnings of days, the first one's, and the end of the last one."""
        *bounds, end = day_bounds(days, self._timezone)
        return {"bounds": bounds, "first": bounds[0], "last": end}

    def stream_day(self, day: date, slice_rows: int = SLICE_ROWS) -> Iterator[pa.Table]:
        """See `SourceView`. Texts come as dictionaries; no session goes on in the next block.

        Once all rows of a day have been read, `fingerprints` knows the day's without reading it
        again: both are of one moment.

        Parameters
        ----------
        slice_rows
            Rows of a block, about; memory stays within a few blocks.
        """
        # Here, and not above: numba takes longer to import than `calibrate status` may.
        from calibration_pipeline.store.sources.native_day import DayDecoder
        from calibration_pipeline.store.sources.native_stream import copied_blocks

        connection = self._connection
        _require_utf8(connection)
        for setting in _READING:
            connection.execute(sa.text(setting))
        first, last = day_bounds([day], self._timezone)
        items = connection.execute(sa.text(_BANK))
        bank = {row.content_version: pa.array(row.ids) for row in items}
        decoder = DayDecoder(bank, self._inconsistent.get(day, ()))
        # Three at once: one takes rows, one decodes them, and the caller does what it likes.
        interrupt = driver_connection(connection).cancel_safe
        copied = reading_ahead(copied_blocks(connection, first, last, slice_rows), interrupt)
        # Both: an error of the decoder's would leave the first one waiting, its COPY open.
        with closing(copied), closing(reading_ahead(decoder.tables(copied), interrupt)) as tables:
            yield from tables
        for setting in _READING:
            connection.execute(sa.text(f"RESET {setting.split()[2]}"))
        self._found[day] = decoder.tally.fingerprint()
        if day not in self._inconsistent and decoder.a_session_may_start_twice():
            self._note_inconsistent_sessions(day)

    def _note_inconsistent_sessions(self, day: date) -> None:
        """Find the sessions of a day that start more than once.

        To look for them before the day is read would take as long as a quarter of reading it.

        Raises
        ------
        ReadAgain
            There are some.
        """
        first, last = day_bounds([day], self._timezone)
        found = self._connection.scalars(sa.text(_INCONSISTENT), {"first": first, "last": last})
        self._inconsistent[day] = frozenset(found)
        if self._inconsistent[day]:
            raise ReadAgain


def _require_utf8(connection: sa.Connection) -> None:
    """Refuse a database whose own hashes would be of other bytes than those that are read."""
    encoding = driver_connection(connection).info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SourceError(
            f"the response log's database holds texts as {encoding}, and they are read as UTF8: "
            "make a database with ENCODING 'UTF8' and restore a dump of this one into it; nothing "
            "was recorded"
        )


NATIVE = NativeSource()
"""It has no state of its own."""
