"""`calibrate quarantine`: what was left out, in words, and when a monitor should mind."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import runs
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.extraction import extract_day
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.answers import DAY, KEY, NOON, ZURICH, log, session
from calibration_pipeline_tests.store.conftest import bank_csv

__all__ = ["bank_csv"]

DAY_BEFORE = DAY - timedelta(days=1)


@pytest.fixture
def extract(engine: sa.Engine, tmp_path: Path, bank_csv: Path) -> Callable[[date], Any]:
    """Extract a day into the home folder that the command reads."""
    import_bank(engine, bank_csv, "3PL")
    archive = Archive(tmp_path / "home" / "archive")
    return lambda day: extract_day(engine, archive, day, ZURICH, KEY)


@pytest.fixture
def two_days(engine: sa.Engine, extract: Callable[[date], Any]) -> None:
    """One day with a bad session, and one that lost only repeated answers."""
    log(engine, session("good", NOON))
    log(engine, session("strange", NOON, items="i1 who i3", candidate="ann"))
    again = session("twice", "2026-03-09T12:00:00+01:00")
    log(engine, [*again, *again])
    extract(DAY_BEFORE)
    extract(DAY)


def test_it_tells_what_was_left_out_and_why(on_database: Calibrate, two_days: None) -> None:
    result = on_database("quarantine")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any("2026-03-10" in line and "unknown_item" in line and "16.67%" in line
               for line in lines)  # fmt: skip
    assert "unknown_item: 1 row" in lines
    assert "  The bank has no such item, or not in this content version." in lines
    assert "`calibrate import-bank`" in result.stdout
    assert any("who" in line and "2026-03-10 12:00:30 CET" in line for line in lines)
    assert "duplicate: 3 rows" in lines
    assert "ann" not in result.stdout
    assert "strange" not in result.stdout
    assert result.stderr.splitlines()[0] == (
        "28 of 30 days: not extracted (2026-02-09 to 2026-03-08)"
    )
    assert "1 of 6 rows of 2026-03-10 were quarantined" in result.stderr


def test_a_day_that_is_within_bounds_is_no_alarm(on_database: Calibrate, two_days: None) -> None:
    result = on_database("quarantine", "--day", DAY_BEFORE)
    assert result.exit_code == 0, result.output
    assert "duplicate: 3 rows" in result.stdout
    assert "unknown_item" not in result.stdout


def test_one_reason_hides_the_others_and_no_alarm(on_database: Calibrate, two_days: None) -> None:
    result = on_database("quarantine", "--reason", "duplicate", "--examples", 0)
    assert result.exit_code == 1
    assert "unknown_item" not in result.stdout
    assert "Session" not in result.stdout
    assert "unknown_item" in result.stderr


def test_the_json_holds_all_of_it(on_database: Calibrate, two_days: None) -> None:
    result = on_database("quarantine", "--from", DAY_BEFORE, "--examples", 1, "--json")
    found = json.loads(result.stdout)
    assert [(day["day"], day["rows"], day["bad_rows"]) for day in found["days"]] == [
        ("2026-03-09", 6, 0),
        ("2026-03-10", 6, 1),
    ]
    assert found["days"][1]["quarantined"] == {"session_incomplete": 2, "unknown_item": 1}
    assert set(found["reasons"]) == {"duplicate", "session_incomplete", "unknown_item"}
    assert len(found["examples"]) == 3
    assert len(found["above_the_limit"]) == 1
    (strange,) = [row for row in found["examples"] if row["reason"] == "unknown_item"]
    assert (strange["item_id"], len(strange["candidate"])) == ("who", 8)


def test_nothing_to_tell_is_said(
    on_database: Calibrate, engine: sa.Engine, extract: Callable[[date], Any]
) -> None:
    result = on_database("quarantine")
    assert (result.exit_code, result.stderr) == (0, "No day was extracted yet.\n")
    log(engine, session("good", NOON))
    extract(DAY)
    result = on_database("quarantine", "--day", DAY)
    assert "Nothing was left out of 3 rows on 1 days." in result.stderr
    result = on_database("quarantine", "--day", DAY_BEFORE)
    assert "None of these days has been extracted." in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--day", "2026-03-10", "--from", "2026-03-01"),
        ("--from", "2026-03-02", "--to", "2026-03-01"),
        ("--from", "2026-03-11"),
        ("--reason", "unknown"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    on_database: Calibrate, two_days: None, options: tuple[str, ...]
) -> None:
    assert on_database("quarantine", *options).exit_code == 2


def test_a_bad_day_is_said_to_count_in_the_windows_after_it(
    on_database: Calibrate, two_days: None, engine: sa.Engine
) -> None:
    """By what looks at the day itself, and by what looks at later nights."""
    until = "its other sessions count in every window up to the night of 2026-04-08"
    assert until in on_database("quarantine", "--day", DAY).stderr
    assert until in on_database("readiness", "--date", "2026-04-08").stderr
    in_json = json.loads(on_database("readiness", "--date", "2026-03-12", "--json").stdout)
    assert until in in_json["bad_days_in_window"][0]
    night = DAY + timedelta(days=2)
    run = runs.open_run(
        engine, partition=night, triggered_by="a test", configuration={}, package_versions={}
    )
    runs.close_run(engine, run, "completed_empty", counts={}, timings={})
    assert until in on_database("status").stdout
    (remark,) = json.loads(on_database("status", "--json").stdout)["bad_days_in_window"]
    assert "`calibrate night --date 2026-03-10 --refresh`" in remark
