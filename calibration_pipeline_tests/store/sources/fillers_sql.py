"""Fill databases of other systems, as the documents that describe them have it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from calibration_pipeline.store.sources.sql.names import OPTIONAL
from calibration_pipeline_tests.store.sources.contract_answers import Answer
from calibration_pipeline_tests.store.sources.sql_filler import (
    DocumentFiller,
    SqlFiller,
    is_moment,
    is_text,
    plain,
)

_OUTCOMES = ("omitted", "not_reached", "invalid")


class AttemptFiller(SqlFiller):
    """The view ``attempt`` over tables that the reader may not read."""

    kind = "attempt"
    codes = None

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(
            [
                "DROP VIEW IF EXISTS attempt",
                "DROP TABLE IF EXISTS attempt_events",
                "CREATE TABLE attempt_events (learner text, item text, code text, at timestamptz)",
                "CREATE VIEW attempt AS SELECT learner AS student_id, item AS item_id,"
                " code AS correct, at AS completed_at FROM attempt_events",
                "REVOKE ALL ON attempt_events FROM answers_reader",
            ]
        )
        self._insert("attempt_events", [plain(answer) for answer in self._held(answers)])


class ResponsesFiller(SqlFiller):
    """No view ``attempt``: the table ``responses``."""

    kind = "attempt"

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(
            [
                "DROP TABLE IF EXISTS responses",
                "CREATE TABLE responses (user_id text, item_id text, is_correct boolean,"
                " responded_at timestamptz)",
                "CREATE INDEX ON responses (responded_at)",
            ]
        )
        self._insert("responses", [plain(answer) for answer in self._held(answers)])


class ExamResultsFiller(DocumentFiller):
    """Neither ``attempt`` nor ``responses``: one JSON document for each exam."""

    kind = "attempt"

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(
            [
                "DROP TABLE IF EXISTS exam_results",
                "CREATE TABLE exam_results (id text, user_id text, result json,"
                " updated_at timestamptz)",
            ]
        )
        rows = [
            (session, candidate, json.dumps({"questions": [_question(a) for a in group]}), first)
            for (session, candidate), first, group in self._documents(answers)
        ]
        self._insert("exam_results", rows)


def _question(answer: Answer) -> dict[str, Any]:
    return {
        "question_id": answer.item_id,
        "is_correct": _json_code(answer.code),
        "responded_at": answer.answered_at,
        "time_on_task_ms": answer.time_on_task_ms,
    }


def _json_code(code: str | None) -> Any:
    return {"true": True, "false": False, "1": 1, "0": 0}.get(code or "", code)


class StudentAttemptsFiller(SqlFiller):
    """The table ``student_attempts``."""

    kind = "student_attempts"

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(
            [
                "DROP TABLE IF EXISTS student_attempts",
                "CREATE TABLE student_attempts (student_id text, item_id text, correct boolean,"
                " created_at timestamptz DEFAULT now())",
                "CREATE INDEX ON student_attempts (created_at)",
            ]
        )
        self._insert("student_attempts", [plain(answer) for answer in self._held(answers)])


class RenamedFiller(SqlFiller):
    """The same under names of its own, with all that a table of answers may have."""

    kind = "student_attempts"
    has_sessions = True
    codes = None
    schema = "learning app"
    names = {  # noqa: RUF012
        "student_attempts": '"learning app"."v1.attempts; --"',
        "student_attempts.student_id": 'who "is" it',
        "student_attempts.item_id": "Item%s",
        "student_attempts.correct": "{verdict}",
        "student_attempts.attempted_at": "when",
        **{f"student_attempts.{column.name}": column.name.upper() for column in OPTIONAL},
    }

    def fill(self, answers: Sequence[Answer]) -> None:
        table = self.names["student_attempts"]
        extras = ", ".join(
            f'"{column.name.upper()}" {"timestamptz" if column.name == "logged_at" else "text"}'
            for column in OPTIONAL
        )
        self._run(
            [
                f"DROP TABLE IF EXISTS {table}",
                f'CREATE TABLE {table} ("who ""is"" it" text, "Item%s" text, "{{verdict}}" text,'
                f' "when" timestamptz, {extras})',
            ]
        )
        rows = [
            (*plain(answer), *(getattr(answer, column.name, None) for column in OPTIONAL))
            for answer in self._held(answers)
        ]
        self._insert(table, rows)


class PracticeFiller(SqlFiller):
    """``practice_response`` and its queues; no diagnostic session."""

    kind = "practice"
    tables = (
        "DROP TABLE IF EXISTS practice_response, practice_queue, diagnostic_session",
        'CREATE TABLE practice_queue (id integer PRIMARY KEY, "studentId" text)',
        'CREATE TABLE practice_response (id integer, "queueId" integer, "subSkillId" text,'
        ' "itemId" text, "isCorrect" boolean, "answeredAt" timestamptz)',
        'CREATE TABLE diagnostic_session (id text, "studentId" text, "subSkillId" text,'
        ' "inputResponses" jsonb, "startedAt" timestamptz, "completedAt" timestamptz)',
    )

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(self.tables)
        held = self._held(answers)
        candidates = list(dict.fromkeys(answer.candidate_id for answer in held))
        self._insert("practice_queue", list(enumerate(candidates)))
        self._insert(
            "practice_response",
            [
                (n, candidates.index(a.candidate_id), "main", a.item_id, a.code, a.answered_at)
                for n, a in enumerate(held)
            ],
        )


class DiagnosticFiller(DocumentFiller):
    """Diagnostic sessions; no practice."""

    kind = "practice"

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(PracticeFiller.tables)
        rows = [
            (session, candidate, "main", json.dumps([_response(a) for a in group]), first, None)
            for (session, candidate), first, group in self._documents(answers)
        ]
        self._insert("diagnostic_session", rows)


def _response(answer: Answer) -> dict[str, Any]:
    return {
        "itemId": answer.item_id,
        "correct": _json_code(answer.code),
        "answeredAt": answer.answered_at,
        "timeOnTaskMs": answer.time_on_task_ms,
    }


class ElsewhereFiller(SqlFiller):
    """A response log like ours, in another database."""

    kind = "response_log"
    has_sessions = True
    schema = "calibration"

    def can_hold(self, answer: Answer) -> bool:
        values = (answer.candidate_id, answer.item_id, answer.session_id)
        code = answer.code
        return (
            None not in values
            and is_text(*values)
            and is_moment(answer.answered_at)
            and (code is None or code in _OUTCOMES or (code.isdecimal() and int(code) < 2**15))
        )

    def fill(self, answers: Sequence[Answer]) -> None:
        self._run(
            [
                "DROP TABLE IF EXISTS calibration.response_log",
                "CREATE TABLE calibration.response_log (session_id text NOT NULL,"
                " candidate_id text NOT NULL, item_id text NOT NULL, score smallint,"
                " answered_at timestamptz NOT NULL, session_started_at timestamptz NOT NULL,"
                " position integer, time_on_task_ms integer, outcome text,"
                " ingested_at timestamptz NOT NULL DEFAULT now())",
            ]
        )
        held = self._held(answers)
        starts: dict[str | None, datetime] = {}
        for answer in held:
            moment = datetime.fromisoformat(str(answer.answered_at))
            starts[answer.session_id] = min(starts.get(answer.session_id, moment), moment)
        rows = [
            (
                a.session_id,
                a.candidate_id,
                a.item_id,
                None if a.code in _OUTCOMES or a.code is None else int(a.code),
                a.answered_at,
                starts[a.session_id],
                a.position,
                a.time_on_task_ms,
                a.code if a.code in _OUTCOMES else None,
                a.answered_at,
            )
            for a in held
        ]
        self._insert("calibration.response_log", rows)


SQL_FILLERS = (
    AttemptFiller,
    ResponsesFiller,
    ExamResultsFiller,
    StudentAttemptsFiller,
    RenamedFiller,
    PracticeFiller,
    DiagnosticFiller,
    ElsewhereFiller,
)
