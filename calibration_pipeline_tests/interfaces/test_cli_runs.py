"""`calibrate runs` as a person sees it, in a terminal of 80 columns."""

import os
import pty
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import runs
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline_tests.interfaces.conftest import Calibrate

NIGHT = date(2026, 3, 10)
REASON = (
    "70 of 1200 rows of 2026-03-10 were quarantined (5.8%; at most 1.0%), 70 of them as "
    "non_binary_score: see `calibrate quarantine --day 2026-03-10`"
)


@pytest.fixture
def logged(migrated_url: str) -> None:
    """A run that published a version, on answers from elsewhere, and one that was rejected."""
    names = {"attempt": "app.v_attempt", "attempt.student_id": "learner"}
    source = SourceConfiguration("attempt", database_url="postgresql://me:hunter2@db", names=names)
    engine = open_engine(migrated_url)
    _log(engine, source, "schedule", "completed", {"version": 1234}, "")
    _log(engine, source, "calibrate night by the psychometrician", "rejected", {}, REASON)
    engine.dispose()


def _log(
    engine: sa.Engine,
    source: SourceConfiguration,
    triggered_by: str,
    outcome: str,
    counts: dict[str, int],
    reason: str,
) -> None:
    run_id = runs.open_run(
        engine,
        partition=NIGHT,
        triggered_by=triggered_by,
        configuration={"window_days": 30, "source": source.stated},
        package_versions={},
    )
    timings = {"responses": 1234.5, "item_fits": 99.5}
    runs.close_run(engine, run_id, outcome, counts=counts, timings=timings, reason=reason)


def in_a_terminal(*arguments: str, columns: int = 80) -> list[str]:
    """The lines that a command prints on a terminal so many columns wide."""
    own, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    command = [Path(sys.executable).with_name("calibrate"), *arguments]
    with subprocess.Popen(command, stdout=theirs, env=environment):
        os.close(theirs)
        said = b""
        while block := _read(own):
            said += block
    os.close(own)
    return said.decode().replace("\r", "").splitlines()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 2**16)
    except OSError:  # Linux says so where the other end is closed
        return b""


def test_the_list_fits_into_80_columns(on_database: Calibrate, logged: None) -> None:
    lines = in_a_terminal("runs", "list")
    table = [line for line in lines if line.startswith(("┃", "│", "┏", "┡", "└"))]
    assert all(len(line) <= 80 for line in table)
    (heading,) = (line for line in table if "Night" in line)
    assert [cell.strip() for cell in heading.strip("┃").split("┃")] == [
        "Run", "Night", "Outcome", "Started", "Secs", "By",
    ]  # fmt: skip
    (completed,) = (line for line in table if "completed" in line)
    cells = [cell.strip() for cell in completed.strip("│").split("│")]
    assert len(cells[0]) == 8
    assert cells[1:3] == ["2026-03-10", "completed, v1234"]
    assert cells[4:] == ["1,334", "schedule"]
    (told,) = (line for line in lines if REASON in line)
    assert "2026-03-10 rejected: " in told


def test_a_run_names_its_source_without_its_secret(on_database: Calibrate, logged: None) -> None:
    run = on_database("runs", "list", "--json").stdout.split('"run_id": "')[1][:8]
    shown = on_database("runs", "show", run).stdout
    assert "attempt; names attempt=app.v_attempt, attempt.student_id=learner" in shown
    assert "hunter2" not in shown
    assert all(len(line) <= 80 for line in in_a_terminal("runs", "show", run))
