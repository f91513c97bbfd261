"""From other systems' rows to ours: text is read, what is wrong is named, sessions are found.

One place for all sources, so that the same row means the same wherever it comes from. The rows of
a day and its neighbours go through a DuckDB file in a scratch folder: sessions need every row of a
candidate in order, and a day may be larger than memory.

**Sessions.** One that the source states with its start is taken as it is. Otherwise a session is a
run of a candidate's answers (or of a stated session's) without a pause longer than the gap, and
begins with its first answer. A row that names neither is one by itself.

**Every row on exactly one day.** A day sees the rows of the days on either side. A session of up to
`LONGEST_SESSION` is seen whole by the day on which it began, and by any other on which one of its
rows is placed: they agree whose it is. Of a longer one no day may see the whole, so it is nobody's
session: each of its rows is quarantined on the day on which the row itself is placed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from calibration_pipeline.records import OUTCOMES
from calibration_pipeline.store.sources.as_written import define_as_written
from calibration_pipeline.store.sources.base import CLOCK_TOLERANCE, REASON_NUMBERS, ROW_SCHEMA
from calibration_pipeline.store.sources.configuration import (
    LONGEST_GAP_MINUTES,
    STANDARD_CODES,
    SourceConfiguration,
)
from calibration_pipeline.store.sources.moments import define_moments
from calibration_pipeline.store.sources.raw import RAW_COLUMNS

LONGEST_SESSION = timedelta(hours=18)
"""Nobody answers for longer at a stretch. With the longest gap it is less than the shortest day."""
LONGEST_GAP = timedelta(minutes=LONGEST_GAP_MINUTES)
"""Pause that ends a stated session without a stated start."""

BANK_SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("content_version", pa.int32()),
        ("valid_from", pa.timestamp("us", "UTC")),
        ("valid_to", pa.timestamp("us", "UTC")),
    ]
)
"""Items of the bank, and when an answer that states no version is one to which."""

_BLOCK_ROWS = 2**16

_MACROS = """
CREATE MACRO time_problem(t) AS CASE
    WHEN moment(t) IS NOT NULL THEN NULL
    WHEN NOT states_offset(t) AND naive_zone() IS NULL
         AND finite(try_cast(t AS TIMESTAMP)) IS NOT NULL
        THEN 'naive_timestamp'
    ELSE 'unreadable_timestamp'
END;
CREATE MACRO id_of(t) AS CASE WHEN contains(t, chr(0)) THEN '' ELSE coalesce(t, '') END;
"""

# An answer that states no version is one to the version that was the newest when it was given.
_READ = """
CREATE TABLE answers AS
WITH texts AS (
    SELECT row_number,
           nullif(id_of(session_id), '') AS stated_session,
           id_of(candidate_id) AS candidate_id,
           id_of(item_id) AS item_id,
           moment(session_started_at) AS stated_start,
           moment(answered_at) AS answered_at,
           moment(logged_at) AS logged_at,
           coalesce(moment(dated_at), moment(answered_at), moment(session_started_at), $first)
               AS placed_at,
           try_cast(content_version AS INTEGER) AS stated_version,
           nullif(lower(trim(coalesce(code, ''))), '') AS code,
           nullif(lower(trim(coalesce(outcome, ''))), '') AS stated_outcome,
           try_cast(position AS INTEGER) AS position,
           try_cast(try_cast(time_on_task_ms AS DOUBLE) AS INTEGER) AS time_on_task_ms,
           option_selected,
           finite(try_cast(theta_at_presentation AS DOUBLE)) AS theta_at_presentation,
           population_group,
           engine_version,
           CASE WHEN problem IS NOT NULL THEN problem
                WHEN contains(concat(session_id, candidate_id, item_id, option_selected,
                                     population_group, engine_version), chr(0))
                    THEN 'malformed_answer'
                WHEN coalesce(candidate_id, '') = '' OR coalesce(item_id, '') = ''
                    THEN 'missing_id'
                WHEN coalesce(answered_at, '') = '' THEN 'missing_timestamp'
                WHEN time_problem(answered_at) IS NOT NULL THEN time_problem(answered_at)
                WHEN session_started_at IS NOT NULL THEN time_problem(session_started_at)
           END AS text_problem,
           CASE WHEN time_problem(answered_at) IS NOT NULL THEN answered_at
                ELSE session_started_at END AS stated_time,
           content_version IS NOT NULL AS states_version
    FROM raw
)
SELECT t.* EXCLUDE (stated_version, states_version, text_problem),
       coalesce(v.content_version, n.content_version, t.stated_version, 1) AS content_version,
       c.score,
       coalesce(nullif(t.stated_outcome, $scored), c.outcome) AS outcome,
       CASE WHEN text_problem IS NOT NULL THEN text_problem
            WHEN v.item_id IS NULL AND n.item_id IS NULL THEN 'unknown_item'
            WHEN t.stated_outcome NOT IN (SELECT outcome FROM outcomes) THEN 'unknown_outcome'
            WHEN coalesce(t.stated_outcome, $scored) = $scored AND t.code IS NULL
                THEN 'null_score'
            WHEN coalesce(t.stated_outcome, $scored) = $scored AND c.code IS NULL
                THEN 'non_binary_score'
            WHEN t.answered_at > coalesce(t.logged_at, $now) + $tolerance THEN 'future_timestamp'
       END AS problem
FROM texts AS t
LEFT JOIN codes AS c ON c.code = t.code
LEFT JOIN bank AS v
    ON t.states_version AND v.item_id = t.item_id AND v.content_version = t.stated_version
LEFT JOIN bank AS n
    ON NOT t.states_version AND n.item_id = t.item_id
   AND t.placed_at >= n.valid_from AND t.placed_at < n.valid_to
"""

# Peers of a moment are in one frame, so that answers of the same moment are in one session.
_DAY = """
WITH started AS (
    SELECT *,
           CASE WHEN stated_session IS NOT NULL THEN stated_start END AS start
    FROM answers
), keyed AS (
    SELECT *,
           CASE WHEN stated_session IS NOT NULL
                    THEN 's' || stated_session || coalesce('@' || epoch_us(start), '')
                WHEN candidate_id <> '' THEN 'c' || candidate_id
                ELSE 'r' || row_number END AS key,
           CASE WHEN stated_session IS NULL THEN $gap ELSE $stated_gap END AS gap,
           start >= $first AND start < $last AND coalesce(
               min(start) FILTER (start >= $first AND start < $last) OVER same
               <> max(start) FILTER (start >= $first AND start < $last) OVER same, false)
               AS has_two_starts
    FROM started
    WINDOW same AS (PARTITION BY stated_session)
), paused AS (
    SELECT *,
           CASE WHEN placed_at - lag(placed_at) OVER (PARTITION BY key ORDER BY placed_at) <= gap
                THEN 0 ELSE 1 END AS follows_pause
    FROM keyed
), numbered AS (
    SELECT *,
           CASE WHEN start IS NULL
                THEN sum(follows_pause) OVER (PARTITION BY key ORDER BY placed_at) END AS run
    FROM paused
), sessions AS (
    SELECT *,
           coalesce(start, min(placed_at) OVER session) AS session_started_at,
           has_two_starts
           OR coalesce(min(nullif(candidate_id, '')) OVER session
                       <> max(nullif(candidate_id, '')) OVER session, false) AS is_inconsistent,
           coalesce(greatest(max(placed_at) OVER session, start)
                    - least(min(placed_at) OVER session, start) > $longest, false) AS is_too_long
    FROM numbered
    WINDOW session AS (PARTITION BY key, run)
)
SELECT CAST(coalesce(r.number, CASE WHEN is_too_long THEN $too_long
                                    WHEN is_inconsistent THEN $inconsistent ELSE 0 END) AS TINYINT)
           AS reason,
       CASE WHEN stated_session IS NULL
                THEN candidate_id || '/' || epoch_us(session_started_at)
            WHEN start IS NULL THEN stated_session || '@' || epoch_us(session_started_at)
            ELSE stated_session END AS session_id,
       candidate_id, session_started_at, item_id, CAST(content_version AS INTEGER)
           AS content_version,
       CAST(score AS SMALLINT) AS score, answered_at, position, time_on_task_ms, option_selected,
       theta_at_presentation, population_group, engine_version,
       CASE problem
           WHEN 'non_binary_score' THEN code_as_written(code, candidate_id, stated_session)
           WHEN 'unknown_outcome'
               THEN code_as_written(stated_outcome, candidate_id, stated_session)
           WHEN 'naive_timestamp' THEN time_as_written(stated_time, candidate_id, stated_session)
           WHEN 'unreadable_timestamp'
               THEN time_as_written(stated_time, candidate_id, stated_session)
           ELSE nullif(outcome, $scored)
       END AS outcome
FROM sessions LEFT JOIN reasons AS r ON r.reason = sessions.problem
WHERE CASE WHEN is_too_long THEN placed_at ELSE session_started_at END >= $first
  AND CASE WHEN is_too_long THEN placed_at ELSE session_started_at END < $last
ORDER BY session_started_at, session_id, position NULLS LAST, answered_at NULLS LAST, item_id,
         content_version, reason, score, outcome, time_on_task_ms, option_selected,
         theta_at_presentation, population_group, engine_version
"""


class Normaliser:
    """Takes in a source's rows around a day, and gives those of the day's sessions.

    Parameters
    ----------
    connection
        Of a DuckDB that holds nothing yet.
    configuration
        Codes, gap and zone.
    bank
        Of `BANK_SCHEMA`.
    now
        A row that doesn't say when it was logged can't be later than this.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        configuration: SourceConfiguration,
        bank: pa.Table,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._configuration = configuration
        self._now = now
        define_moments(connection, configuration.naive_timezone)
        define_as_written(connection)
        connection.execute(_MACROS)
        columns = ", ".join(f"{name} VARCHAR" for name in RAW_COLUMNS)
        connection.execute("CREATE SEQUENCE row_numbers")
        number = "row_number BIGINT DEFAULT nextval('row_numbers')"
        connection.execute(f"CREATE TABLE raw ({number}, {columns})")
        self._create("bank", bank)
        self._create("codes", _codes(configuration))
        self._create("outcomes", pa.table({"outcome": OUTCOMES}))
        self._create(
            "reasons",
            pa.table({"reason": list(REASON_NUMBERS), "number": list(REASON_NUMBERS.values())}),
        )

    def _create(self, name: str, rows: pa.Table) -> None:
        with self._registered(rows):
            self._connection.execute(f"CREATE TABLE {name} AS FROM incoming")

    @contextmanager
    def _registered(self, rows: pa.Table) -> Iterator[None]:
        self._connection.register("incoming", rows)
        try:
            yield
        finally:
            self._connection.unregister("incoming")

    def add(self, rows: pa.Table) -> None:
        """Take in rows of `RAW_SCHEMA`."""
        with self._registered(rows):
            self._connection.execute("INSERT INTO raw BY NAME FROM incoming")

    def sessions_of(
        self, first: datetime, last: datetime, longest: timedelta | None = LONGEST_SESSION
    ) -> Iterator[pa.Table]:
        """Give the rows of the sessions that began from one moment to before another.

        Parameters
        ----------
        first, last
            Around them, rows must have been added for `longest` and `LONGEST_GAP` more.
        longest
            No session lasts longer. None where all rows were placed by their session's start: then
            all of a session's rows are there, however long it is.

        Yields
        ------
        pyarrow.Table
            Of `ROW_SCHEMA`, in the order of the archive. Where a code, an outcome or a time wasn't
            understood, `outcome` is its text, as far as that can't be a person's: the row counts
            for nothing, and whoever mends the source wants to see it.
        """
        common = {"first": first, "scored": OUTCOMES[0]}
        self._connection.execute(_READ, {**common, "now": self._now, "tolerance": CLOCK_TOLERANCE})
        found = self._connection.sql(
            _DAY,
            params={
                **common,
                "last": last,
                "gap": self._configuration.session_gap,
                "stated_gap": LONGEST_GAP,
                "longest": longest,
                "inconsistent": REASON_NUMBERS["session_inconsistent"],
                "too_long": REASON_NUMBERS["session_too_long"],
            },
        )
        for batch in found.to_arrow_reader(_BLOCK_ROWS):
            yield pa.Table.from_batches([batch]).cast(ROW_SCHEMA)


def _codes(configuration: SourceConfiguration) -> pa.Table:
    """What each code says, in small letters."""
    own = {code.strip().lower(): meaning for code, meaning in configuration.codes.items()}
    codes = {**STANDARD_CODES, **own}
    scores = {"right": 1, "wrong": 0}
    return pa.table(
        {
            "code": list(codes),
            "score": pa.array([scores.get(meaning) for meaning in codes.values()], pa.int16()),
            "outcome": pa.array(
                [None if meaning in scores else meaning for meaning in codes.values()], pa.string()
            ),
        }
    )
