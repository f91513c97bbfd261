"""`calibrate forget` and `calibrate retention`: what they print, and how they end."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from calibration_pipeline.interfaces.cli import main, progress
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.extraction import extract_day
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonyms import load_or_create_key
from calibration_pipeline.store.tables import candidate_map, pseudonym_keys, response_log
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.store.answers import ZURICH
from calibration_pipeline_tests.store.privacy import accept_night, count, log_people

DAY = date(2020, 1, 10)
"""Past any retention period."""


def after(days: int) -> date:
    return DAY + timedelta(days=days)


@pytest.fixture
def home(on_database: Calibrate, engine: sa.Engine, tmp_path: Path) -> Path:
    """A home with two archived days."""
    (tmp_path / "bank.csv").write_text(
        "item_id,discrimination,difficulty,guessing\ni1,,,\ni2,,,\ni3,,,\n"
    )
    import_bank(engine, tmp_path / "bank.csv", "3PL")
    home = tmp_path / "home"
    key = load_or_create_key(home / "pseudonym.key")
    for number in (0, 1):
        log_people(engine, after(number), "ann", "bob")
        extract_day(engine, Archive(home / "archive"), after(number), ZURICH, key)
    return home


def from_stdin(text: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["forget", "-", *arguments], input=text)


def test_forgetting_prints_counts_and_never_the_id(
    on_database: Calibrate, home: Path, engine: sa.Engine
) -> None:
    result = from_stdin("bob\n", "--erase", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["candidates"], facts["answers"], facts["archived_days"]) == (1, 6, 2)
    assert facts["nights_that_used_erased_answers"] == 0
    assert "bob" not in result.output
    assert count(engine, response_log) == 6
    again = from_stdin("bob\n", "--erase")
    assert again.exit_code == 0
    assert "Erased already" in again.stdout


def test_erasing_says_how_far_it_is_and_never_of_whom(
    on_database: Calibrate, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_SECONDS", 0.0)
    for arguments in (("-", "--erase"), ("--reapply",)):
        result = CliRunner().invoke(main, ["forget", *arguments], input="bob\n")
        assert "Looking through archived days: 1 of 2" in result.stderr
        assert "bob" not in result.output


def test_somebody_unknown_ends_in_one_line(on_database: Calibrate, home: Path) -> None:
    result = from_stdin("somebody-else\n")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: nothing is kept under that id")
    assert "somebody-else" not in result.output
    assert not (home / "forgotten").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--reapply", "--erase"], ["ann", "--reapply"], ["-"], [""], [" \t"]]
)
def test_one_id_or_reapply_is_wanted(
    on_database: Calibrate, home: Path, engine: sa.Engine, arguments: list[str]
) -> None:
    result = CliRunner().invoke(main, ["forget", *arguments], input="one\ntwo\n")
    assert result.exit_code == 2
    assert count(engine, candidate_map) == 2


def test_acts_are_reapplied(on_database: Calibrate, home: Path, engine: sa.Engine) -> None:
    assert on_database("forget", "ann").exit_code == 0
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM calibration.suppressions"))
    log_people(engine, after(2), "ann")
    key = load_or_create_key(home / "pseudonym.key")
    extract_day(engine, Archive(home / "archive"), after(2), ZURICH, key)
    result = on_database("forget", "--reapply", "--json")
    assert json.loads(result.stdout)["forgotten"]["links"] == 1
    assert on_database("forget", "--reapply").exit_code == 0


def test_without_the_list_of_acts_none_is_done_again_and_nothing_is_made(
    calibrate: Calibrate, tmp_path: Path
) -> None:
    result = calibrate("forget", "--reapply")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: there is no file `forgotten` in {tmp_path / 'home'}")
    assert list(tmp_path.iterdir()) == []


def test_no_new_key_is_made_for_a_database_with_pseudonyms(
    on_database: Calibrate, home: Path
) -> None:
    (home / "pseudonym.key").rename(home / "kept")
    result = on_database("forget", "ann")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "there is no pseudonym key" in line
    assert not (home / "pseudonym.key").exists()
    (home / "kept").rename(home / "pseudonym.key")
    assert on_database("forget", "ann").exit_code == 0


def test_a_running_night_is_waited_for_by_a_person(
    on_database: Calibrate, home: Path, engine: sa.Engine
) -> None:
    with CalibrationLock(engine, "the night of today"):
        for command in (("forget", "ann"), ("retention",)):
            result = on_database(*command)
            assert result.exit_code == 1
            assert "the night of today" in result.stderr
        assert on_database("retention", "--dry-run").exit_code in (0, 1)


def test_retention_counts_and_then_deletes(
    on_database: Calibrate,
    home: Path,
    engine: sa.Engine,
    run_id: str,
) -> None:
    refused = on_database("retention")
    assert refused.exit_code == 1
    assert "no night has been accepted yet" in refused.stderr
    accept_night(engine, run_id, after(3000), folded_through=after(2970))
    counted = json.loads(on_database("retention", "--dry-run", "--json").stdout)
    assert (counted["answers"], counted["archived_revisions"], counted["dry_run"]) == (12, 2, True)
    assert count(engine, response_log) == 12
    deleted = json.loads(on_database("retention", "--json").stdout)
    assert deleted == counted | {"dry_run": False}
    assert count(engine, response_log) == count(engine, candidate_map) == 0
    assert list((home / "archive").rglob("*.parquet")) == []


def test_another_key_stops_forgetting_until_it_is_accepted(
    on_database: Calibrate, home: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepting = ("db", "accept-key", "--reason", "the key is lost")
    assert from_stdin("nobody").exit_code == 1  # and the key is on record
    used = on_database(*accepting)
    assert (used.exit_code, "in use already" in used.output) == (2, True)
    monkeypatch.setenv("CALIBRATION_PSEUDONYM_KEY", "another key, and a long one")
    refused = from_stdin("bob", "--erase")
    assert refused.exit_code == 2
    assert "isn't the one that this database's pseudonyms were made with" in refused.output
    assert count(engine, response_log) == 12
    assert on_database("db", "accept-key", "--reason", " ").exit_code == 2
    accepted = on_database(*accepting)
    assert (accepted.exit_code, "is in use" in accepted.output) == (0, True)
    # Both pseudonyms of whoever is still in the map are found (docs/personal-data.md).
    assert from_stdin("bob", "--erase").exit_code == 0
    assert count(engine, response_log) == 6


def test_whoever_was_erased_under_a_key_that_is_lost_is_kept_out_again(
    on_database: Calibrate, home: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is kept under the id by then, so that it can't be told from a wrong one."""
    assert from_stdin("bob", "--erase").exit_code == 0
    assert from_stdin("nobody", "--erase").exit_code == 1
    key = "another key, and a long one"
    monkeypatch.setenv("CALIBRATION_PSEUDONYM_KEY", key)
    assert on_database("db", "accept-key", "--reason", "the old one is lost").exit_code == 0
    repeated = from_stdin("bob", "--erase")
    assert repeated.exit_code == 0, repeated.output
    log_people(engine, after(2), "ann", "bob")
    archive = Archive(home / "archive")
    extracted = extract_day(engine, archive, after(2), ZURICH, key.encode())
    assert extracted.session_count == 1


def test_where_no_key_is_set_none_is_accepted(
    on_database: Calibrate, tmp_path: Path, engine: sa.Engine
) -> None:
    """One that is made up for the moment would be on record, and nobody would have it."""
    refused = on_database("db", "accept-key", "--reason", "lost")
    assert refused.exit_code == 2
    assert "there is no pseudonym key" in refused.output
    assert count(engine, pseudonym_keys) == 0
