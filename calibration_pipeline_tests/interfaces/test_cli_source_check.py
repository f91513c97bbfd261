"""`calibrate doctor` and `calibrate status` on a source: what nights would read, or why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline.interfaces.cli import doctor
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.sources.source_database import execute, reader_url

RESPONSES = (
    "CREATE TABLE responses (user_id text, item_id text, is_correct bool, responded_at timestamptz)"
)
UNREACHABLE = "postgresql://me:hunter2@127.0.0.1:1/answers"

Set = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, on_database: Calibrate) -> Set:
    """Set the source's variables; doctor's numerics are tested elsewhere."""
    monkeypatch.setattr(doctor, "_recoveries", lambda: iter(()))

    def configure(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"CALIBRATION_SOURCE__{name.upper()}", str(value))

    return configure


def source_check(calibrate: Calibrate) -> dict[str, Any]:
    checks = json.loads(calibrate("doctor", "--json").stdout)["checks"]
    (found,) = (check for check in checks if check["name"] == "Source of answers")
    return dict(found)


def test_the_own_log_needs_no_look(on_database: Calibrate, configure: Set) -> None:
    assert source_check(on_database)["passed"]
    status = json.loads(on_database("status", "--json").stdout)
    assert (status["source"], status["needs_attention"]) == (None, [])


def test_the_table_that_stands_in_is_told_with_its_columns(
    on_database: Calibrate, configure: Set, database_url: str
) -> None:
    execute(database_url, RESPONSES)
    configure(kind="attempt", database_url=reader_url(database_url))
    found = source_check(on_database)
    assert found["passed"]
    assert found["detail"] == (
        "attempt: public.responses (user_id, item_id, is_correct, responded_at); public.attempt "
        "can't be read (there is no such table or view): reading responses instead"
    )
    result = on_database("status", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["source"] == found["detail"]


def test_a_missing_column_fails_with_the_nearest_name(
    on_database: Calibrate, configure: Set, database_url: str
) -> None:
    """Of three tables the one that is there is told of, and not that the others aren't."""
    execute(database_url, RESPONSES, "ALTER TABLE responses RENAME is_correct TO iscorrect")
    configure(kind="attempt", database_url=reader_url(database_url))
    found = source_check(on_database)
    assert not found["passed"]
    assert "no column 'is_correct or correct' (did you mean iscorrect?)" in found["detail"]
    assert "add responses.is_correct=ITS_NAME to CALIBRATION_SOURCE__NAMES" in found["detail"]
    assert "exam_results" not in found["detail"]


def test_a_source_that_is_down_is_said_before_anything_else(
    on_database: Calibrate, configure: Set
) -> None:
    configure(kind="student_attempts", database_url=UNREACHABLE)
    assert "can't be reached" in source_check(on_database)["detail"]
    result = on_database("status", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert "can't be reached" in document["needs_attention"][0]
    assert document["next_command"] == "calibrate doctor"
    assert "hunter2" not in result.output


def test_files_are_counted_and_their_columns_are_looked_at(
    on_database: Calibrate, configure: Set, tmp_path: Path
) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    header = "candidate_id,item_id,is_correct,answered_at\n"
    for day in (1, 2, 3):
        (folder / f"{day}.csv").write_text(header + "no,answer,is,read\n")
    configure(kind="files", path=folder)
    assert source_check(on_database)["detail"] == "files: 3 files, from 1.csv to 3.csv"
    (folder / "3.csv").write_text(header.replace("answered_at", "answerd_at"))
    assert "answered_at (nearest: answerd_at)" in source_check(on_database)["detail"]
    (folder / "3.csv").write_text(header.replace(",", ";"))
    assert "3.csv is separated by ;" in source_check(on_database)["detail"]


def test_tables_in_the_stores_own_database_are_looked_for_there(
    on_database: Calibrate, configure: Set, migrated_url: str
) -> None:
    configure(kind="student_attempts")
    found = source_check(on_database)
    assert "public.student_attempts can't be read" in found["detail"]
    assert "there is no such table or view" in found["detail"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [("attempt", "attempt.studentid=x"), ("practice", "queue=x"), ("files", "files.itemid=x")],
)
def test_a_typing_error_in_the_names_ends_like_any_other_setting(
    on_database: Calibrate, configure: Set, tmp_path: Path, kind: str, names: str
) -> None:
    configure(kind=kind, names=names, **({"path": tmp_path} if kind == "files" else {}))
    for command in ("status", "readiness"):
        result = on_database(command)
        assert result.exit_code == 2
        assert "CALIBRATION_SOURCE__NAMES" in result.stderr
    assert not source_check(on_database)["passed"]
