"""Practice answers, one row each in a queue of a candidate's; and diagnostic sessions' JSON."""

from collections.abc import Sequence

from psycopg import sql

from calibration_pipeline.store.sources.sql.documents import PLACE, PROBLEM, field, from_documents
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.foreign_tables import FoundTable
from calibration_pipeline.store.sources.sql.names import OPTIONAL, Column, Layout, mapped
from calibration_pipeline.store.sources.sql.tables import (
    TableReader,
    logged_at,
    plain_rows,
    stated_values,
    time_of,
)
from calibration_pipeline.store.sources.sql.tables_view import AnswerRows

PRACTICE_RESPONSE = Layout(
    "practice_response",
    (
        Column("queueId"),
        Column("itemId", gives="item_id"),
        Column("isCorrect", gives="code", alternatives=("correct",)),
        Column("answeredAt", gives="answered_at", alternatives=("createdAt",)),
        *OPTIONAL,
    ),
)
PRACTICE_QUEUE = Layout("practice_queue", (Column("id"), Column("studentId")))
DIAGNOSTIC_SESSION = Layout(
    "diagnostic_session",
    (
        Column("id"),
        Column("studentId"),
        Column("inputResponses"),
        Column("startedAt", alternatives=("createdAt",)),
        Column("completedAt", use="where_present"),
        *mapped("population_group", "engine_version", "logged_at"),
    ),
)


class PracticeReader(TableReader):
    """Reads practice answers and diagnostic sessions, one set after the other."""

    kind = "practice"
    layouts = (PRACTICE_RESPONSE, PRACTICE_QUEUE, DIAGNOSTIC_SESSION)

    def _answers(self, database: ForeignDatabase) -> Sequence[AnswerRows]:
        response, queue, diagnostic = (self._find(database, each) for each in self.layouts)
        return [_practice_rows(response, queue), _diagnostic_rows(database, diagnostic)]


def _practice_rows(response: FoundTable, queue: FoundTable) -> AnswerRows:
    """An answer whose queue is gone has no candidate: it is read, and found to be wanting."""
    rows = plain_rows(response, PRACTICE_RESPONSE, "answeredAt")
    number, reference = queue.column("id", "q"), response.column("queueId")
    if queue.type_oid("id") != response.type_oid("queueId"):
        number, reference = queue.text("id", "q"), response.text("queueId")
    source = sql.SQL("{} LEFT JOIN {} AS q ON {} = {}").format(
        rows.source, queue.identifier, number, reference
    )
    return AnswerRows(
        subject=f"{rows.subject} with {queue.name}",
        source=source,
        values={**rows.values, "candidate_id": queue.text("studentId", "q")},
        placed_at=rows.placed_at,
        logged_at=rows.logged_at,
        tables=(*rows.tables, queue.described),
    )


def _diagnostic_rows(database: ForeignDatabase, found: FoundTable) -> AnswerRows:
    """A session is placed by its start; an answer without a time has that of the session's end."""
    started_at = found.text("startedAt")
    session_time: sql.Composable = started_at
    if "completedAt" in found.columns:
        session_time = sql.SQL("coalesce({}, {})").format(found.text("completedAt"), started_at)
    values = {
        "session_id": found.text("id"),
        "session_started_at": started_at,
        "candidate_id": found.text("studentId"),
        "item_id": field("itemId"),
        "code": field("correct", "isCorrect"),
        "answered_at": field("answeredAt", otherwise=session_time),
        "dated_at": started_at,
        "position": PLACE,
        "time_on_task_ms": field("timeOnTaskMs"),
        "problem": PROBLEM,
    }
    extras = stated_values(found, DIAGNOSTIC_SESSION)
    return AnswerRows(
        subject=str(found.name),
        source=from_documents(database, found, "inputResponses"),
        values={**values, **extras},
        placed_at=time_of(found, "startedAt"),
        logged_at=logged_at(found, DIAGNOSTIC_SESSION),
        tables=(found.described,),
    )
