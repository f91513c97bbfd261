"""The native response log as a source: has a day changed, and what are its rows."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa
from psycopg import sql

from calibration_pipeline.records import OUTCOMES
from calibration_pipeline.store.copy import copying
from calibration_pipeline.store.sources.base import (
    CLOCK_TOLERANCE,
    EMPTY,
    ROW_SCHEMA,
    Fingerprint,
    day_bounds,
    days_between,
)

# Uses response_log_session_started_at_idx. Whether the bank knows the item is part of the hash:
# importing the item later changes what the day's extraction gives. The outcome seeds the hash, so
# that a row without one has the checksum that it had before there were outcomes.
_FINGERPRINTS = """
SELECT width_bucket(r.session_started_at, CAST(:bounds AS timestamptz[])) AS day_number,
       count(*) AS row_count,
       max(r.ingested_at) AS latest_ingested_at,
       bit_xor(hash_record_extended(ROW(
           r.response_id, r.session_id, r.candidate_id, r.item_id, r.content_version, r.score,
           r.answered_at, r.session_started_at, r.position, r.time_on_task_ms, r.option_selected,
           r.theta_at_presentation, r.population_group, r.engine_version, i.item_id IS NULL
       ), coalesce(hashtextextended(r.outcome, 0), 0))) AS checksum
FROM calibration.response_log AS r
LEFT JOIN calibration.items AS i USING (item_id, content_version)
WHERE r.session_started_at >= :first AND r.session_started_at < :last
GROUP BY 1
"""

# Uses response_log_late_ingested_at_idx, whose condition stands here word for word.
_LATE_ARRIVALS = """
SELECT width_bucket(session_started_at, CAST(:bounds AS timestamptz[])) AS day_number,
       max(ingested_at) AS latest_ingested_at
FROM calibration.response_log
WHERE ingested_at > coalesce(CAST(:since AS timestamptz), '-infinity')
  AND ingested_at - session_started_at > interval '12 hours'
  AND session_started_at >= :first AND session_started_at < :last
GROUP BY 1
"""

# Uses response_log_session_started_at_idx. The order is that of the archive; among rows that
# are the same answer the one logged first comes first. A time is in the future if it is later
# than the moment the row was logged: unlike "later than now", that never changes. Scored is what
# an answer is unless the log says otherwise, so both ways of saying it come out as null.
_DAY = """
COPY (
    WITH day AS (
        SELECT * FROM calibration.response_log
        WHERE session_started_at >= {first} AND session_started_at < {last}
    ), inconsistent AS (
        SELECT session_id FROM day GROUP BY session_id
        HAVING min(session_started_at) <> max(session_started_at)
            OR min(candidate_id) <> max(candidate_id)
    )
    SELECT CASE
               WHEN i.item_id IS NULL THEN 1
               WHEN d.outcome NOT IN ({outcomes}) THEN 6
               WHEN d.score IS NULL AND coalesce(d.outcome, {scored}) = {scored} THEN 2
               WHEN d.score NOT IN (0, 1) THEN 3
               WHEN d.answered_at > d.ingested_at + {tolerance} THEN 4
               WHEN n.session_id IS NOT NULL THEN 5
               ELSE 0
           END,
           d.session_id, d.candidate_id, d.session_started_at, d.item_id, d.content_version,
           d.score, d.answered_at, d.position, d.time_on_task_ms, d.option_selected,
           d.theta_at_presentation, d.population_group, d.engine_version,
           nullif(d.outcome, {scored})
    FROM day AS d
    LEFT JOIN calibration.items AS i USING (item_id, content_version)
    LEFT JOIN inconsistent AS n USING (session_id)
    ORDER BY d.session_started_at, d.session_id COLLATE "C", d.position NULLS LAST, d.answered_at,
             d.item_id COLLATE "C", d.content_version, d.response_id
) TO STDOUT (FORMAT csv)
"""


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

    def fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
        """See `SourceView`."""
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

    def stream_day(self, day: date, block_bytes: int = 16 * 2**20) -> Iterator[pa.Table]:
        """See `SourceView`.

        Parameters
        ----------
        block_bytes
            Size of a block as text; memory stays within a few times this.
        """
        first, last = day_bounds([day], self._timezone)
        statement = sql.SQL(_DAY).format(
            first=sql.Literal(first),
            last=sql.Literal(last),
            tolerance=sql.Literal(CLOCK_TOLERANCE),
            outcomes=sql.SQL(", ").join(map(sql.Literal, OUTCOMES)),
            scored=sql.Literal(OUTCOMES[0]),
        )
        block = io.BytesIO()
        self._connection.execute(sa.text("SET LOCAL work_mem = '64MB'"))
        with copying(self._connection, statement) as copy:
            for row in copy:
                block.write(row)
                if block.tell() >= block_bytes:
                    yield _parse(block)
                    block = io.BytesIO()
        if block.tell():
            yield _parse(block)


def _parse(block: io.BytesIO) -> pa.Table:
    block.seek(0)
    return pa.csv.read_csv(
        block,
        read_options=pa.csv.ReadOptions(column_names=ROW_SCHEMA.names),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=ROW_SCHEMA,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


NATIVE = NativeSource()
"""It has no state of its own."""
