"""Documented tables in somebody else's database: what is missing is named, and how to mend it."""

import traceback

import pytest

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.student_attempts import StudentAttemptsReader
from calibration_pipeline_tests.store.sources.source_database import (
    execute,
    owning,
    read,
    reader_url,
)

COLUMNS = "student_id text, item_id text, correct boolean, created_at timestamptz"


def student_attempts(url: str) -> StudentAttemptsReader:
    return StudentAttemptsReader(SourceConfiguration("student_attempts", database_url=url))


def test_missing_privileges(database_url: str) -> None:
    execute(database_url, f"CREATE TABLE student_attempts ({COLUMNS})")
    reader = student_attempts(reader_url(database_url))
    assert read(reader) == []
    for revoked in (
        "REVOKE SELECT ON student_attempts FROM answers_reader",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM answers_reader",
    ):
        with owning(database_url) as connection:
            connection.execute(revoked)
            with pytest.raises(SourceError, match=r"permission denied.*grant the login"):
                read(reader)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (COLUMNS.replace("item_id", "itemid"), "no column 'item_id' (did you mean itemid?)"),
        (COLUMNS.replace("created_at", "moment"), "no column 'attempted_at or created_at'"),
        (COLUMNS.replace("timestamptz", "text"), "is of type text"),
        (COLUMNS.replace("timestamptz", "date"), "is of type date"),
    ],
)
def test_a_table_of_another_shape(database_url: str, columns: str, told: str) -> None:
    execute(database_url, f"CREATE TABLE student_attempts ({columns})")
    with pytest.raises(SourceError) as caught:
        read(student_attempts(database_url))
    assert told in str(caught.value)
    assert "CALIBRATION_SOURCE__NAMES" in str(caught.value)


def test_all_columns_that_a_table_lacks_are_told_at_once(database_url: str) -> None:
    execute(
        database_url,
        "CREATE TABLE student_attempts (pupil text, itemid text, correct boolean, x text)",
    )
    names = {"student_attempts.student_id": "pupils", "student_attempts.option_selected": "choice"}
    configuration = SourceConfiguration("student_attempts", database_url=database_url, names=names)
    with pytest.raises(SourceError) as caught:
        read(StudentAttemptsReader(configuration))
    assert (
        "it has no columns 'pupils' (did you mean pupil?), 'item_id' (did you mean itemid?), "
        "'attempted_at or created_at', 'choice'): add student_attempts.student_id=ITS_NAME,"
        "student_attempts.item_id=ITS_NAME,student_attempts.attempted_at=ITS_NAME,"
        "student_attempts.option_selected=ITS_NAME to CALIBRATION_SOURCE__NAMES; "
        "its columns are 'pupil, itemid, correct, x'" in str(caught.value)
    )


def test_a_table_that_is_not_there(database_url: str) -> None:
    execute(database_url, f"CREATE TABLE student_attempt ({COLUMNS})")
    with pytest.raises(SourceError, match="did you mean student_attempt"):
        read(student_attempts(database_url))


def test_values_are_not_repeated(database_url: str) -> None:
    """A cast that fails names the value, which may be a person's id."""
    execute(
        database_url,
        f"CREATE TABLE raw ({COLUMNS})",
        "INSERT INTO raw VALUES ('ann@example.org', 'i1', true, '2026-03-10 10:00Z')",
        "CREATE VIEW student_attempts AS SELECT student_id::integer, item_id, correct, created_at"
        " FROM raw",
    )
    with pytest.raises(SourceError, match="invalid text representation, 22P02") as caught:
        read(student_attempts(database_url))
    assert "ann@" not in "".join(traceback.format_exception(caught.value))
