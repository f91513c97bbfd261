"""Import of answers into the native response log: the whole file, once, or nothing."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.csv
import sqlalchemy as sa
from psycopg import sql

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.copy import copying
from calibration_pipeline.store.response_file import BATCH_SCHEMA, ResponseFile
from calibration_pipeline.store.tables import import_batches
from calibration_pipeline.store.turns import Turn, wait_for_turn


@dataclass(frozen=True)
class ResponseImport:
    """What an import stored; `is_repeat` if the file had been imported before."""

    responses: int
    sessions: int
    is_repeat: bool


# A file in pieces must not split its sessions: one that is in the log already keeps its start.
_STAGING = """
CREATE TEMPORARY TABLE staging (
    row_number bigint, session_id text, candidate_id text, item_id text, score smallint,
    answered_at timestamptz, content_version integer, session_started_at timestamptz,
    position integer, time_on_task_ms integer, option_selected text,
    theta_at_presentation double precision, population_group text, engine_version text,
    outcome text
) ON COMMIT DROP
"""
_SESSIONS = """
CREATE TEMPORARY TABLE staged_sessions ON COMMIT DROP AS
SELECT session_id, min(row_number) AS first_row,
       min(session_started_at) AS stated_start,
       min(answered_at) AS first_answer,
       coalesce(min(session_started_at) <> max(session_started_at), false) AS starts_differ,
       min(candidate_id) <> max(candidate_id) AS candidates_differ
FROM staging GROUP BY session_id
"""
# Uses response_log_session_started_at_idx.
_LOGGED_SESSIONS = """
CREATE TEMPORARY TABLE logged_sessions ON COMMIT DROP AS
SELECT r.session_id, min(r.session_started_at) AS logged_start
FROM calibration.response_log AS r
JOIN staged_sessions AS s USING (session_id)
WHERE r.session_started_at
      BETWEEN (SELECT min(first_answer) FROM staged_sessions) - interval '2 days'
          AND (SELECT max(first_answer) FROM staged_sessions) + interval '2 days'
GROUP BY r.session_id
"""
_UNKNOWN_ITEMS = """
SELECT count(*) AS rows, min(s.row_number) AS first_row,
       (array_agg(s.item_id ORDER BY s.row_number))[1] AS item_id
FROM staging AS s
WHERE NOT EXISTS (
    SELECT 1 FROM calibration.items AS i
    WHERE i.item_id = s.item_id
      AND (s.content_version IS NULL OR i.content_version = s.content_version)
)
"""
_INCONSISTENT_SESSIONS = """
SELECT count(*) AS sessions, min(first_row) AS first_row
FROM staged_sessions LEFT JOIN logged_sessions USING (session_id)
WHERE starts_differ OR candidates_differ OR stated_start <> logged_start
"""
# Only asked for where sessions of the file are in the log; uses the same index.
_LOGGED_ANSWERS = """
SELECT count(*) AS rows, min(s.row_number) AS first_row
FROM staging AS s
WHERE (s.session_id, s.item_id) IN (
    SELECT r.session_id, r.item_id
    FROM calibration.response_log AS r
    JOIN logged_sessions USING (session_id)
    WHERE r.session_started_at
          BETWEEN (SELECT min(logged_start) FROM logged_sessions)
              AND (SELECT max(logged_start) FROM logged_sessions)
)
"""
_INSERT = """
INSERT INTO calibration.response_log (
    session_id, candidate_id, item_id, content_version, score, answered_at, session_started_at,
    position, time_on_task_ms, option_selected, theta_at_presentation, population_group,
    engine_version, outcome)
SELECT r.session_id, r.candidate_id, r.item_id, coalesce(r.content_version, v.newest), r.score,
       r.answered_at, coalesce(s.stated_start, l.logged_start, s.first_answer),
       r.position, r.time_on_task_ms, r.option_selected, r.theta_at_presentation,
       r.population_group, r.engine_version, r.outcome
FROM staging AS r
JOIN staged_sessions AS s USING (session_id)
LEFT JOIN logged_sessions AS l USING (session_id)
JOIN (SELECT item_id, max(content_version) AS newest FROM calibration.items GROUP BY item_id) AS v
    USING (item_id)
"""


def import_responses(
    engine: sa.Engine,
    path: Path,
    progress: Callable[[int, int], None],
    *,
    repeat_answers: bool = False,
) -> ResponseImport:
    """Append a file of answers to the response log, in one transaction.

    A session starts when the file says so, else when the log does, else at its first answer. An
    answer without a content_version is one to the newest version of its item.

    Parameters
    ----------
    path
        CSV or Parquet with session_id, candidate_id (or person_id), item_id, is_correct (or
        correct), answered_at and, if known, the other columns of the log.
    progress
        Called with how much of the file has been read, and its size.
    repeat_answers
        Append answers that are in the log already, too: extraction quarantines them.

    Raises
    ------
    BadInputError
        The file can't be used as it stands; nothing was stored.
    """
    file = ResponseFile(path)
    sha256 = _sha256(path)
    with engine.begin() as connection:
        # Two imports at once: the second waits, and then sees whether the file is in already.
        wait_for_turn(connection, Turn.RESPONSE_IMPORT)
        repeat = connection.execute(
            sa.select(import_batches).where(import_batches.c.file_sha256 == sha256)
        ).one_or_none()
        if repeat is not None:
            return ResponseImport(repeat.response_count, repeat.session_count, is_repeat=True)
        _stage(connection, file, progress)
        for statement in (_SESSIONS, "ANALYZE staged_sessions", _LOGGED_SESSIONS):
            connection.execute(sa.text(statement))
        _refuse_unknown_items(connection, file.name)
        _refuse_inconsistent_sessions(connection, file.name)
        if not repeat_answers:
            _refuse_logged_answers(connection, file.name)
        responses = connection.execute(sa.text(_INSERT)).rowcount
        sessions = connection.scalar(sa.text("SELECT count(*) FROM staged_sessions")) or 0
        connection.execute(
            sa.insert(import_batches).values(
                file_sha256=sha256,
                file_name=path.name,
                response_count=responses,
                session_count=sessions,
            )
        )
        # The planner would otherwise take a log that has just grown for an empty one.
        connection.execute(sa.text("ANALYZE calibration.response_log"))
    return ResponseImport(responses, sessions, is_repeat=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stage(
    connection: sa.Connection, file: ResponseFile, progress: Callable[[int, int], None]
) -> None:
    connection.execute(sa.text(_STAGING))
    columns = ["score" if n == "is_correct" else n for n in BATCH_SCHEMA.names]
    statement = sql.SQL("COPY staging ({}) FROM STDIN (FORMAT csv)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    options = pyarrow.csv.WriteOptions(include_header=False)
    try:
        with copying(connection, statement) as copy:
            for batch, done, total in file.batches():
                # Once anything is wrong the rest is only checked, to count the bad rows.
                if not file.problems.found:
                    text = io.BytesIO()
                    pyarrow.csv.write_csv(batch, text, options)
                    copy.write(text.getbuffer())
                progress(done, total)
    except psycopg.DataError as error:
        raise BadInputError(
            f"{file.name} holds text that the database can't store "
            f"({str(error).splitlines()[0]}): correct the file and import it again"
        ) from error
    file.problems.refuse()


def _refuse_unknown_items(connection: sa.Connection, name: str) -> None:
    unknown: Any = connection.execute(sa.text(_UNKNOWN_ITEMS)).one()
    if unknown.rows:
        raise BadInputError(
            f"{name}, row {unknown.first_row}: the bank has no item {unknown.item_id!r} "
            f"({unknown.rows:,} rows with unknown items): run `calibrate import-bank` first, or "
            "correct the file; nothing was stored"
        )


def _refuse_inconsistent_sessions(connection: sa.Connection, name: str) -> None:
    wrong: Any = connection.execute(sa.text(_INCONSISTENT_SESSIONS)).one()
    if wrong.sessions:
        raise BadInputError(
            f"{name}, row {wrong.first_row}: the session has more than one start or candidate, or "
            f"another start than in the log ({wrong.sessions:,} such sessions): "
            "give each session an id of its own; nothing was stored"
        )


def _refuse_logged_answers(connection: sa.Connection, name: str) -> None:
    """Refuse answers that the log has from another file, or from a test engine."""
    if not connection.scalar(sa.text("SELECT EXISTS (SELECT FROM logged_sessions)")):
        return
    repeated: Any = connection.execute(sa.text(_LOGGED_ANSWERS)).one()
    if repeated.rows:
        raise BadInputError(
            f"{name}, row {repeated.first_row}: the log has an answer of that session to that item "
            f"already ({repeated.rows:,} such rows): leave them out, or append them all the same "
            "with --force (nights quarantine them as duplicates); nothing was stored"
        )
