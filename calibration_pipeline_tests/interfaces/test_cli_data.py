"""`calibrate migrate`, `import-bank` and `import-responses`, and what they say to bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from calibration_pipeline.store.schema import database_revision, head_revision
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.processes import PATIENCE_SECONDS

BANK = """item_id,discrimination,difficulty,guessing,is_anchor
A,1.2,-0.5,0.2,true
B,0.9,0.5,0.25,true
C,,,,false
"""
HEADER = "session_id,candidate_id,item_id,is_correct,answered_at\n"
RESPONSES = HEADER + (
    "s1,c1,A,1,2026-03-01T08:00:00+01:00\n"
    "s1,c1,B,0,2026-03-01T08:01:00+01:00\n"
    "s2,c2,C,1,2026-03-01T09:00:00Z\n"
)
ROW = "s9,c9,A,1,2026-03-02T08:00:00Z\n"

BAD_RESPONSES = {
    "missing column": (RESPONSES.replace("is_correct", "score"), "lacks the column is_correct"),
    "unknown item": (RESPONSES + ROW.replace("A", "Z"), "row 4: the bank has no item 'Z'"),
    "non-binary score": (RESPONSES + ROW.replace(",1,", ",2,"), "row 4: is_correct is neither"),
    "naive timestamp": (RESPONSES + ROW.replace("Z", ""), "row 4: answered_at has no time zone"),
    "no timestamp": (RESPONSES + ROW.replace("08:00", "25:00"), "row 4: answered_at"),
    "not text": (b"\xff\xfe\x00\x01", "can't be read"),
}
BAD_BANKS = {
    "missing column": (BANK.replace("guessing", "chance"), "lacks the column guessing"),
    "not a number": (BANK.replace("0.25", "often"), "guessing must be a number, found 'often'"),
    "item twice": (BANK + "A,1,0,0.2,false\n", "item 'A'"),
    "incomplete anchor": (BANK.replace("0.9,", ","), "anchor 'B' lacks a reference value"),
    "not text": (b"\xff\xfe\x00\x01", "can't be read"),
}


@pytest.fixture
def bank(on_database: Calibrate, tmp_path: Path) -> Path:
    """A bank file that has been imported."""
    path = tmp_path / "bank.csv"
    path.write_text(BANK)
    assert on_database("import-bank", path).exit_code == 0
    return path


@pytest.fixture
def empty_engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """A database without our schema, which the settings name."""
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", database_url)
    engine = sa.create_engine(database_url)
    yield engine
    engine.dispose()


def count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.text(f"SELECT count(*) FROM calibration.{table}")) or 0  # noqa: S608


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def the_line(text: str) -> str:
    """What a failed command says: one line, after its progress where the machine is slow."""
    *progress, line = text.splitlines()
    assert all(", per cent: " in each for each in progress)
    assert line.startswith("error: ")
    return line


def test_migrate_makes_the_schema_and_then_leaves_it_alone(
    calibrate: Calibrate, empty_engine: sa.Engine
) -> None:
    first, second = calibrate("migrate"), calibrate("migrate")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"revision {head_revision()} now (before: none)" in first.output
    assert "already" in second.output
    assert database_revision(empty_engine) == head_revision()


def test_a_bank_is_imported_once(on_database: Calibrate, bank: Path, engine: sa.Engine) -> None:
    again = on_database("import-bank", bank, "--json")
    assert json.loads(again.stdout) == {
        "items_added": 0,
        "items_unchanged": 3,
        "scales_added": 0,
        "anchors_added": 0,
        "anchor_set_id": 1,
    }
    assert count(engine, "items") == 3
    assert count(engine, "anchor_set_items") == 2


def test_answers_are_imported_once(
    on_database: Calibrate, bank: Path, engine: sa.Engine, tmp_path: Path
) -> None:
    path = write(tmp_path / "responses.csv", RESPONSES)
    first, second = (on_database("import-responses", path, "--json") for _ in range(2))
    assert json.loads(first.stdout)["responses_added"] == 3
    assert json.loads(first.stdout)["sessions_in_file"] == 2
    assert json.loads(second.stdout)["responses_added"] == 0
    assert "imported before" in second.stderr
    assert count(engine, "response_log") == 3


def test_a_result_is_a_table_without_json(
    on_database: Calibrate, bank: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "responses.csv", RESPONSES)
    printed = on_database("import-responses", path).stdout
    assert "Imported responses.csv" in printed
    assert "responses added" in printed


@pytest.mark.parametrize("case", BAD_RESPONSES)
def test_bad_answers_are_refused_whole(
    on_database: Calibrate, bank: Path, engine: sa.Engine, tmp_path: Path, case: str
) -> None:
    content, expected = BAD_RESPONSES[case]
    result = on_database("import-responses", write(tmp_path / "responses.csv", content))
    assert result.exit_code == 2
    assert expected in the_line(result.stderr)
    assert result.stdout == ""
    assert count(engine, "response_log") == 0
    assert count(engine, "import_batches") == 0


def test_a_naive_timestamp_column_of_a_parquet_file_is_refused(
    on_database: Calibrate, bank: Path, engine: sa.Engine, tmp_path: Path
) -> None:
    path = tmp_path / "responses.parquet"
    columns = {
        "session_id": ["s"],
        "candidate_id": ["c"],
        "item_id": ["A"],
        "is_correct": [1],
        "answered_at": pa.array([0], pa.timestamp("ms")),
    }
    pa.parquet.write_table(pa.table(columns), path)
    result = on_database("import-responses", path)
    assert result.exit_code == 2
    assert "answered_at has no time zone" in the_line(result.stderr)
    assert count(engine, "response_log") == 0


@pytest.mark.parametrize("case", BAD_BANKS)
def test_a_bad_bank_is_refused_whole(
    on_database: Calibrate, engine: sa.Engine, tmp_path: Path, case: str
) -> None:
    content, expected = BAD_BANKS[case]
    result = on_database("import-bank", write(tmp_path / "bank.csv", content))
    assert result.exit_code == 2
    assert expected in the_line(result.stderr)
    for table in ("items", "scales", "anchor_sets"):
        assert count(engine, table) == 0


@pytest.mark.parametrize("command", ["import-bank", "import-responses"])
def test_a_file_that_cannot_be_read_is_named(
    on_database: Calibrate, tmp_path: Path, command: str
) -> None:
    for path in (tmp_path / "absent.csv", tmp_path, write(tmp_path / "text.parquet", "no")):
        result = on_database(command, path)
        assert result.exit_code == 2
        line = the_line(result.stderr)
        assert path.name in line
        assert ("can't be read" if path.exists() else "doesn't exist") in line


@pytest.mark.parametrize(
    "command", [("import-bank", "x.csv"), ("import-responses", "x.csv"), ("snapshots", "list")]
)
def test_a_wrong_schema_revision_names_the_command_that_mends_it(
    calibrate: Calibrate, empty_engine: sa.Engine, command: tuple[str, ...]
) -> None:
    result = calibrate(*command)
    assert result.exit_code == 1
    assert "run `calibrate migrate`" in the_line(result.stderr)
    assert database_revision(empty_engine) is None


def test_a_newer_schema_is_left_alone(on_database: Calibrate, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE calibration.alembic_version SET version_num = '9999'"))
    for command in (("migrate",), ("snapshots", "list")):
        result = on_database(*command)
        assert result.exit_code == 1
        assert "revision 9999" in the_line(result.stderr)
    assert database_revision(engine) == "9999"


_MAIN = "from calibration_pipeline.interfaces.cli import main; main()"


def real_process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")} | environment,
        check=False,
    )


def test_a_real_process_ends_bad_input_with_one_line(
    bank: Path, migrated_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    path = write(tmp_path / "responses.csv", BAD_RESPONSES["non-binary score"][0])
    ended = real_process("import-responses", path, CALIBRATION_DATABASE_URL=migrated_url)
    assert ended.returncode == 2
    assert "row 4" in the_line(ended.stderr)
    assert count(engine, "response_log") == 0


def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/x"
    ended = real_process("--debug", "migrate", CALIBRATION_DATABASE_URL=url)
    assert ended.returncode == 1
    assert "secret" not in ended.stdout + ended.stderr
    line = the_line(ended.stderr.splitlines()[-1])
    assert "127.0.0.1:1/x can't be reached" in line
    assert "CALIBRATION_DATABASE_URL" in line
    ended = real_process("import-bank", tmp_path / "bank.csv", CALIBRATION_DATABASE_URL=url)
    assert ended.returncode == 1
    assert "can't be reached" in the_line(ended.stderr)


def test_a_real_process_refuses_a_database_without_the_schema(database_url: str) -> None:
    ended = real_process("snapshots", "list", CALIBRATION_DATABASE_URL=database_url)
    assert ended.returncode == 1
    assert "run `calibrate migrate`" in the_line(ended.stderr)


@pytest.mark.parametrize(
    ("settings", "where", "unset"),
    [
        ({"KIND": "files", "PATH": "/answers"}, "/answers", "KIND and CALIBRATION_SOURCE__PATH"),
        ({"KIND": "attempt"}, "other tables", "KIND"),
        ({"DATABASE_URL": "postgresql://me:pw@x/y"}, "another database", "DATABASE_URL"),
    ],
)
def test_answers_are_not_imported_into_a_log_that_no_night_reads(
    on_database: Calibrate,
    bank: Path,
    engine: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    where: str,
    unset: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"CALIBRATION_SOURCE__{name}", value)
    path = write(tmp_path / "responses.csv", RESPONSES)
    result = on_database("import-responses", path)
    assert result.exit_code == 2
    said = the_line(result.stderr)
    assert f"nights read answers from {where}" in said
    assert f"or unset CALIBRATION_SOURCE__{unset} to have nights read the log" in said
    assert "pw" not in said
    assert count(engine, "response_log") == 0
