"""The view ``attempt``; without it the table ``responses``; without that, ``exam_results``.

A step down is taken on what the database says, that a table isn't there or may not be read, and
never because one is empty: then answers that are merely late would change where they come from. A
table that the settings name is meant: if it can't be read, nothing else is read instead.
"""

from collections.abc import Callable, Sequence

from psycopg import sql

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.sql.documents import PLACE, PROBLEM, field, from_documents
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.foreign_errors import (
    TableMissingError,
    TableUnreadableError,
)
from calibration_pipeline.store.sources.sql.foreign_tables import FoundTable
from calibration_pipeline.store.sources.sql.names import OPTIONAL, SETTING, Column, Layout, mapped
from calibration_pipeline.store.sources.sql.tables import (
    TableReader,
    logged_at,
    plain_rows,
    stated_values,
    time_of,
)
from calibration_pipeline.store.sources.sql.tables_view import AnswerRows

ATTEMPT = Layout(
    "attempt",
    (
        Column("student_id", gives="candidate_id"),
        Column("item_id", gives="item_id"),
        Column("correct", gives="code"),
        Column("completed_at", gives="answered_at"),
        *OPTIONAL,
    ),
)
RESPONSES = Layout(
    "responses",
    (
        Column("user_id", gives="candidate_id", alternatives=("student_id",)),
        Column("item_id", gives="item_id"),
        Column("is_correct", gives="code", alternatives=("correct",)),
        Column("responded_at", gives="answered_at"),
        *OPTIONAL,
    ),
)
EXAM_RESULTS = Layout(
    "exam_results",
    (
        Column("id", use="where_present"),
        Column("user_id", alternatives=("student_id",)),
        Column("result", alternatives=("results", "result_json")),
        Column("updated_at"),
        *mapped("population_group", "engine_version", "logged_at"),
    ),
)
"""One JSON document for each exam: an array of answers, or an object that holds one."""

_ARRAYS = ("questions", "responses", "answers")


class AttemptReader(TableReader):
    """Reads ``attempt``, or what stands in for it."""

    kind = "attempt"
    layouts = (ATTEMPT, RESPONSES, EXAM_RESULTS)

    def _answers(self, database: ForeignDatabase) -> Sequence[AnswerRows]:
        ways: Sequence[tuple[Layout, Callable[[ForeignDatabase, FoundTable], AnswerRows]]] = (
            (ATTEMPT, lambda _, found: plain_rows(found, ATTEMPT, "completed_at")),
            (RESPONSES, lambda _, found: plain_rows(found, RESPONSES, "responded_at")),
            (EXAM_RESULTS, _exam_rows),
        )
        failures: list[TableUnreadableError] = []
        for layout, rows in ways:
            try:
                found = self._find(database, layout)
            except TableUnreadableError as failure:
                if self._is_named(layout):
                    raise
                failures.append(failure)
                continue
            below = [each.table for each, _ in ways[1:]]
            for step, instead in zip(failures, below, strict=False):
                self._warn(
                    f"{step.subject} can't be read ({step.reason}): reading {instead} instead"
                )
            return [rows(database, found)]
        for step in failures:
            if not isinstance(step, TableMissingError):  # it is there: what it lacks is the news
                raise step
        said = "; ".join(f"{step.subject}: {step.reason}" for step in failures)
        raise SourceError(
            f"none of attempt, responses and exam_results can be read in {database.redacted} "
            f"({said}): create one of them, or say in {SETTING} what it is called, as in "
            "attempt=SCHEMA.VIEW"
        )


def _exam_rows(database: ForeignDatabase, found: FoundTable) -> AnswerRows:
    """An exam is a session; it is placed by its document's time, whenever it was answered."""
    updated_at = found.text("updated_at")
    candidate = found.text("user_id")
    session = sql.SQL("({} || '@' || {})").format(candidate, updated_at)
    values = {
        "session_id": found.text("id") if "id" in found.columns else session,
        "session_started_at": updated_at,
        "candidate_id": candidate,
        "item_id": field("item_id", "question_id"),
        "code": field("is_correct", "correct"),
        "answered_at": field("responded_at", "answered_at", otherwise=updated_at),
        "dated_at": updated_at,
        "position": PLACE,
        "time_on_task_ms": field("time_on_task_ms"),
        "problem": PROBLEM,
    }
    extras = stated_values(found, EXAM_RESULTS)
    return AnswerRows(
        subject=str(found.name),
        source=from_documents(database, found, "result", _ARRAYS),
        values={**values, **extras},
        placed_at=time_of(found, "updated_at"),
        logged_at=logged_at(found, EXAM_RESULTS),
        tables=(found.described,),
    )
