"""Practice answers and diagnostic sessions, as the queries of their runbook know them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.practice import PracticeReader
from calibration_pipeline_tests.store.sources.source_database import (
    DAY,
    execute,
    owning,
    read,
    reader_url,
    rows_of,
)

TABLES = (
    "DROP TABLE IF EXISTS practice_response, practice_queue, diagnostic_session",
    'CREATE TABLE practice_queue (id integer, "studentId" text)',
    'CREATE TABLE practice_response (id serial, "queueId" integer, "subSkillId" text,'
    ' "itemId" text, "isCorrect" boolean, "answeredAt" timestamp)',
    'CREATE TABLE diagnostic_session (id text, "studentId" text, "subSkillId" text,'
    ' "inputResponses" jsonb, "startedAt" timestamp, "completedAt" timestamp)',
)
QUEUE = "INSERT INTO practice_queue VALUES (1, 'ann'), (2, 'bob')"
PRACTICE = (
    'INSERT INTO practice_response ("queueId", "itemId", "isCorrect", "answeredAt") VALUES '
    "(1, 'i1', true, '2026-03-10 10:00'), (2, 'i2', NULL, '2026-03-10 11:00'),"
    " (3, 'i3', false, '2026-03-10 12:00')"
)


def practice(url: str, **names: str) -> PracticeReader:
    configured = {name.replace("__", "."): text for name, text in names.items()}
    return PracticeReader(
        SourceConfiguration("practice", database_url=reader_url(url), names=configured)
    )


def diagnose(url: str, *sessions: tuple[str, str, Any, str | None, str | None]) -> None:
    with owning(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO diagnostic_session VALUES (%s, %s, 'main', %s, %s, %s)",
            [(name, who, json.dumps(held), *times) for name, who, held, *times in sessions],
        )


def test_practice_answers_have_the_candidate_of_their_queue(source_url: str) -> None:
    execute(source_url, *TABLES, QUEUE, PRACTICE)
    rows = sorted(read(practice(source_url)), key=lambda row: row["item_id"])
    assert rows == [
        {
            "candidate_id": "ann",
            "item_id": "i1",
            "code": "true",
            "answered_at": "2026-03-10 10:00:00",
            "dated_at": "2026-03-10 10:00:00+00",  # what it means is judged elsewhere
        },
        {
            "candidate_id": "bob",
            "item_id": "i2",
            "answered_at": "2026-03-10 11:00:00",
            "dated_at": "2026-03-10 11:00:00+00",
        },
        # Its queue is gone: the answer isn't.
        {
            "item_id": "i3",
            "code": "false",
            "answered_at": "2026-03-10 12:00:00",
            "dated_at": "2026-03-10 12:00:00+00",
        },
    ]


def test_the_keys_of_a_queue_may_be_of_two_types(source_url: str) -> None:
    execute(
        source_url,
        *TABLES,
        QUEUE,
        PRACTICE,
        "ALTER TABLE practice_queue ALTER id TYPE text",
        'ALTER TABLE practice_response RENAME "answeredAt" TO "createdAt"',
    )
    found = {row.get("candidate_id") for row in read(practice(source_url))}
    assert found == {"ann", "bob", None}


ANSWERS = [
    {"itemId": "i1", "correct": True, "answeredAt": "2026-03-10T23:58:00Z", "timeOnTaskMs": 900},
    {"itemId": "i2", "isCorrect": 0},
    {"itemId": ["i3"], "correct": "maybe", "answeredAt": "yesterday"},
    {},
    None,
    "i4",
]


def test_a_diagnostic_session_is_placed_by_its_start(source_url: str) -> None:
    execute(source_url, *TABLES)
    diagnose(
        source_url,
        ("d1", "ann", ANSWERS, "2026-03-10 23:57", "2026-03-11 00:05"),
        ("d2", "bob", [{"itemId": "i1"}], "2026-03-09 23:59", "2026-03-10 00:01"),
    )
    rows = read(practice(source_url), *DAY)
    assert {row["session_id"] for row in rows} == {"d1"}
    assert {row["dated_at"] for row in rows} == {"2026-03-10 23:57:00+00"}
    assert [row["position"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert [row.get("item_id") for row in rows] == ["i1", "i2", '["i3"]', None, None, None]
    assert [row.get("code") for row in rows] == ["true", "0", "maybe", None, None, None]
    end = "2026-03-11 00:05:00"
    times = ["2026-03-10T23:58:00Z", end, "yesterday", end, end, end]
    assert [row["answered_at"] for row in rows] == times
    assert [row.get("problem") for row in rows] == [None] * 4 + ["malformed_answer"] * 2
    assert rows[0]["time_on_task_ms"] == "900"


def test_a_session_under_way_has_its_starts_time(source_url: str) -> None:
    execute(source_url, *TABLES)
    diagnose(source_url, ("d1", "ann", [{"itemId": "i1"}], "2026-03-10 10:00", None))
    assert read(practice(source_url))[0]["answered_at"] == "2026-03-10 10:00:00"
    execute(source_url, 'ALTER TABLE diagnostic_session DROP COLUMN "completedAt"')
    assert read(practice(source_url))[0]["answered_at"] == "2026-03-10 10:00:00"


def test_both_are_one_stream(source_url: str) -> None:
    execute(source_url, *TABLES, QUEUE, PRACTICE)
    diagnose(
        source_url,
        ("d1", "ann", [{"itemId": "i1"}, {"itemId": "i2"}], "2026-03-10 23:00", None),
        ("d2", "ann", [{"itemId": "i1"}, {"itemId": "i2"}], None, "2026-03-10 23:00"),
    )
    with practice(source_url).view("") as view:
        assert not view.is_dated_by_session
        assert len(rows_of(view, *DAY)) == 5
        (found,) = view.fingerprints(DAY, {("i1", 1)})
        assert found.row_count == 5
        (other,) = view.fingerprints(DAY, {("i3", 1)})
        assert other.checksum != found.checksum
        assert view.undated_rows() == 2
    execute(
        source_url,
        'UPDATE diagnostic_session SET "inputResponses" = \'[{"itemId": "i1"}, {}]\'',
    )
    with practice(source_url).view("") as view:
        (changed,) = view.fingerprints(DAY, {("i1", 1)})
    assert changed.row_count == 5
    assert changed.checksum != found.checksum


def test_when_documents_were_logged(source_url: str) -> None:
    execute(
        source_url,
        *TABLES,
        QUEUE,
        PRACTICE,
        "ALTER TABLE diagnostic_session ADD \"updatedAt\" timestamptz DEFAULT '2026-03-20Z'",
    )
    diagnose(source_url, ("d1", "ann", [{"itemId": "i1"}], "2026-03-10 10:00", None))
    with practice(source_url, diagnostic_session__logged_at="updatedAt").view("") as view:
        assert view.late_arrivals(DAY, None) == [datetime(2026, 3, 20, tzinfo=UTC)]
        assert [row.get("logged_at") for row in rows_of(view)].count(None) == 3


@pytest.mark.parametrize("table", ["practice_response", "practice_queue", "diagnostic_session"])
def test_all_three_tables_are_needed(source_url: str, table: str) -> None:
    execute(source_url, *TABLES, f"DROP TABLE {table}")
    with pytest.raises(SourceError, match=rf"public\.{table} can't be read"):
        read(practice(source_url))
