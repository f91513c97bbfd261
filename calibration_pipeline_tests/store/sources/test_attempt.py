"""`attempt`, and what is read where it can't be: a step down is told, and never taken lightly."""

import pytest

from calibration_pipeline.errors import SourceError, SourceUnavailableError
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.attempt import AttemptReader
from calibration_pipeline.store.sources.sql.foreign_errors import TableUnreadableError
from calibration_pipeline_tests.store.sources.source_database import (
    DAY,
    execute,
    owning,
    read,
    reader_url,
    rows_of,
)

ATTEMPT = (
    "CREATE TABLE events (learner uuid DEFAULT '00000000-0000-0000-0000-00000000000a', at"
    " timestamptz DEFAULT '2026-03-10 10:00Z')",
    "CREATE VIEW attempt AS SELECT learner AS student_id, 'from attempt' AS item_id,"
    " true AS correct, at AS completed_at FROM events",
    "REVOKE ALL ON events FROM answers_reader",
)
RESPONSES = (
    "CREATE TABLE responses (user_id text DEFAULT 'ann', item_id text DEFAULT 'from responses',"
    " is_correct boolean DEFAULT true, responded_at timestamptz DEFAULT '2026-03-10 10:00Z')",
)
EXAM_RESULTS = (
    "CREATE TABLE exam_results (id integer DEFAULT 7, user_id text DEFAULT 'ann',"
    """ result jsonb DEFAULT '[{"item_id": "from exams", "is_correct": true}]',"""
    " updated_at timestamptz DEFAULT '2026-03-10 10:00Z')",
)
FILL = {
    "attempt": "INSERT INTO events DEFAULT VALUES",
    "responses": "INSERT INTO responses DEFAULT VALUES",
    "exam_results": "INSERT INTO exam_results DEFAULT VALUES",
}
ALL = (*ATTEMPT, *RESPONSES, *EXAM_RESULTS, *FILL.values())


def attempts(url: str, **names: str) -> AttemptReader:
    configured = {name.replace("__", "."): text for name, text in names.items()}
    return AttemptReader(
        SourceConfiguration("attempt", database_url=reader_url(url), names=configured)
    )


def items(reader: AttemptReader) -> list[str]:
    return [row["item_id"] for row in read(reader)]


def test_the_view_comes_first(database_url: str) -> None:
    execute(database_url, *ALL)
    reader = attempts(database_url)
    (row,) = read(reader)
    assert row == {
        "candidate_id": "00000000-0000-0000-0000-00000000000a",
        "item_id": "from attempt",
        "code": "true",
        "answered_at": "2026-03-10 10:00:00+00",
    }
    assert reader.warnings == ()


def test_an_empty_view_is_no_reason_to_step_down(database_url: str) -> None:
    execute(database_url, *ALL, "DELETE FROM events")
    reader = attempts(database_url)
    assert items(reader) == []
    assert reader.warnings == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DROP VIEW attempt", "there is no such table or view"),
        ("REVOKE SELECT ON attempt FROM answers_reader", "permission denied"),
        ("ALTER VIEW attempt RENAME COLUMN correct TO score", "no column 'correct'"),
        # The view may be read, and what it stands on may not.
        ("ALTER VIEW attempt SET (security_invoker = true)", "permission denied for table events"),
    ],
)
def test_a_step_down_says_why(database_url: str, change: str, reason: str) -> None:
    execute(database_url, *ALL, change)
    reader = attempts(database_url)
    assert items(reader) == items(reader) == ["from responses"]
    (warning,) = reader.warnings
    assert reason in warning
    assert warning.endswith("reading responses instead")
    assert len(warning.splitlines()) == 1


def test_two_steps_down(database_url: str) -> None:
    execute(database_url, *EXAM_RESULTS, FILL["exam_results"])
    reader = attempts(database_url)
    assert items(reader) == ["from exams"]
    assert [warning.split(" ")[0] for warning in reader.warnings] == [
        "public.attempt",
        "public.responses",
    ]
    assert reader.warnings[1].endswith("reading exam_results instead")


def test_nothing_to_step_down_to(database_url: str) -> None:
    execute(database_url, "SELECT 1")  # makes the roles
    reader = attempts(database_url)
    with pytest.raises(SourceError, match="none of attempt, responses and exam_results") as caught:
        read(reader)
    assert not isinstance(caught.value, TableUnreadableError)
    assert "attempt: there is no such table or view" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_table_that_the_settings_name_has_no_stand_in(database_url: str) -> None:
    execute(database_url, *RESPONSES)
    with pytest.raises(TableUnreadableError, match=r"app\.v_attempt can't be read"):
        read(attempts(database_url, attempt="app.v_attempt"))
    with pytest.raises(TableUnreadableError):
        read(attempts(database_url, **{"attempt.student_id": "learner"}))


def test_a_wrong_type_is_no_reason_to_step_down(database_url: str) -> None:
    execute(
        database_url,
        *RESPONSES,
        "CREATE VIEW attempt AS SELECT user_id AS student_id, item_id, is_correct AS correct,"
        " responded_at::text AS completed_at FROM responses",
    )
    with pytest.raises(SourceError, match=r"attempt\.completed_at is of type text"):
        read(attempts(database_url))


def test_a_table_that_is_locked_is_no_reason_to_step_down(database_url: str) -> None:
    execute(database_url, *ALL)
    configuration = SourceConfiguration(
        "attempt", database_url=reader_url(database_url), statement_timeout_seconds=1
    )
    reader = AttemptReader(configuration)
    with owning(database_url) as connection, connection.transaction():
        connection.execute("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceUnavailableError):
            read(reader)
    assert reader.warnings == ()


def test_an_unreachable_database_is_no_reason_to_step_down() -> None:
    reader = attempts("postgresql://ann@/learning?host=/nowhere")
    with pytest.raises(SourceUnavailableError):
        read(reader)
    assert reader.warnings == ()


def test_a_view_stays_with_what_it_chose(database_url: str) -> None:
    execute(database_url, *RESPONSES, FILL["responses"])
    reader = attempts(database_url)
    with reader.view("") as view:
        execute(database_url, *ATTEMPT, FILL["attempt"])
        assert rows_of(view)[0]["item_id"] == "from responses"
        assert view.fingerprints(DAY, set())[0].row_count == 1
        assert rows_of(view)[0]["item_id"] == "from responses"
    assert items(reader) == ["from attempt"]


def test_responses_may_name_students(database_url: str) -> None:
    execute(
        database_url,
        *RESPONSES,
        FILL["responses"],
        "ALTER TABLE responses RENAME user_id TO student_id",
        "ALTER TABLE responses RENAME responded_at TO at",
    )
    (row,) = read(attempts(database_url, responses__responded_at="at"))
    assert row["candidate_id"] == "ann"


def test_an_exam_without_an_id_is_named_by_its_candidate_and_time(database_url: str) -> None:
    execute(
        database_url,
        *EXAM_RESULTS,
        FILL["exam_results"],
        "ALTER TABLE exam_results DROP COLUMN id",
    )
    (row,) = read(attempts(database_url))
    assert row["session_id"] == "ann@2026-03-10 10:00:00+00"


def test_a_search_path_is_not_looked_along(database_url: str) -> None:
    """Another schema's `attempt` isn't found unless it is named."""
    execute(database_url, *RESPONSES, FILL["responses"])
    with owning(database_url, "answers_reader") as connection:
        connection.execute("CREATE TABLE answers_reader.attempt (n integer)")
    assert items(attempts(database_url)) == ["from responses"]
