"""`calibrate night` and `calibrate backfill`: what they print, and how they end."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from sqlalchemy.engine import make_url

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.orchestration.assets import item_fits
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.runs import open_run
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT, bare_environment
from calibration_pipeline_tests.programme import (
    FIRST,
    LAST,
    NIGHTS,
    Programme,
    calibrated,
    dagster_template,
    dagster_url,
    environment_of,
    loaded_template,
    programme,
)

__all__ = ["calibrated", "dagster_template", "dagster_url", "loaded_template", "programme"]

# As a fresh process of an operator's: what a night has imported is listed at its end.
NIGHT = """
import sys
from calibration_pipeline.interfaces.cli import main
main(sys.argv[1:], standalone_mode=False)
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"torch", "pyro", "py_irt", "dask"})
print("imported:", heavy)
"""
RECORDED = "SELECT count(*) FROM calibration.runs"


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal in the project's folder."""

    programme: Programme
    environment: dict[str, str]

    def __call__(self, *arguments: object, **changes: str) -> Result:
        environment = self.environment | changes
        return CliRunner(env=environment).invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def operator(
    programme: Programme,
    dagster_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Operator]:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", folder)
    monkeypatch.chdir(folder)
    for name in os.environ:
        if name.startswith(("CALIBRATION_", "DAGSTER_")):
            monkeypatch.delenv(name)
    yield Operator(programme, environment_of(programme.settings, dagster_url))
    assert [path.name for path in folder.iterdir()] == ["dagster.yaml"]


def the_line(result: Result) -> str:
    """What a failed command says: one line, and nothing on stdout."""
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_nights_and_ranges_of_them_give_the_bytes_of_one_run(
    operator: Operator, calibrated: Programme
) -> None:
    first = operator("backfill", "--from", FIRST, "--to", NIGHTS[2], "--json")
    assert first.exit_code == 0, first.output
    rows = json.loads(first.stdout)
    assert [(row["night"], row["outcome"], row["version"]) for row in rows] == [
        (str(night), "completed", number) for number, night in enumerate(NIGHTS[:3], start=1)
    ]
    assert rows[1]["responses"] == 1800
    assert all(row["seconds"] > 0 for row in rows)
    second = operator("night", "--date", NIGHTS[3], "--triggered-by", "cohort_end")
    assert second.exit_code == 0
    assert all(text in second.stdout for text in (str(NIGHTS[3]), "completed", "3,600"))
    who = operator.programme.scalar(
        "SELECT triggered_by FROM calibration.runs WHERE partition = :day", day=NIGHTS[3]
    )
    assert who == "cohort_end"
    states, versions = calibrated.digests()
    assert operator.programme.digests() == (states[:4], versions[:4])


def test_a_night_that_publishes_nothing_ends_with_1_and_its_reason(operator: Operator) -> None:
    strict = {"CALIBRATION_POLICY__POPULATION_SD_RANGE": "2.0,5.0"}
    result = operator("backfill", "--from", FIRST, "--to", NIGHTS[1], "--json", **strict)
    assert result.exit_code == 1
    rows = json.loads(result.stdout)
    assert [row["outcome"] for row in rows] == ["rejected", "rejected"]
    assert "population sd" in rows[0]["reason"]
    shown = operator("night", "--date", FIRST, **strict)
    assert shown.exit_code == 1
    assert "rejected" in shown.stdout
    assert "outside [2.0, 5.0]" in shown.stdout
    assert "Traceback" not in shown.output
    assert current_version(operator.programme.engine) is None


def test_a_dry_run_prints_everything_and_writes_nothing(operator: Operator) -> None:
    operator("night", "--date", FIRST)
    result = operator("night", "--date", NIGHTS[1], "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["outcome"], row["responses"], row["version"]) == ("completed", 1800, 2)
    assert row["publication"] == {"version": 2, "is_new": True, "current": 2, "held_back": ""}
    assert sum(items["items"] for items in row["items"]) == 150
    assert all(found["passed"] for found in row["audit"])
    assert row["links"][0]["scale"] == "main"
    changes = [abs(mover["change"]) for mover in row["movers"]]
    assert changes == sorted(changes, reverse=True)
    assert result.stderr.splitlines()[-1] == "A dry run: nothing was written."
    table = operator("night", "--date", NIGHTS[1], "--dry-run")
    for text in (
        "2 would be published",
        row["state_digest"],
        "Thresholds crossed",
        "anchor",
        "Largest",
    ):
        assert text in table.stdout
    flags = f"{row['flags_open']} flags open, {row['flags_new']} new, 0 resolved"
    assert flags in table.stdout
    assert operator.programme.scalar(RECORDED) == 1
    assert flags in operator("night", "--date", NIGHTS[1]).stdout
    page = operator.programme.settings.home / "reports" / f"{NIGHTS[1]}.html"
    assert flags in page.read_text()
    real = json.loads(operator("night", "--date", NIGHTS[1], "--json").stdout)[0]
    assert {name: row[name] for name in real if name != "seconds"} == {
        name: value for name, value in real.items() if name != "seconds"
    }


def test_a_dry_run_ends_as_the_night_would(operator: Operator) -> None:
    strict = {"CALIBRATION_POLICY__POPULATION_SD_RANGE": "2.0,5.0"}
    result = operator("backfill", "--from", FIRST, "--to", NIGHTS[1], "--dry-run", **strict)
    assert result.exit_code == 1
    assert "none would be published" in result.stdout
    assert "outside [2.0, 5.0]" in result.stdout
    assert operator.programme.scalar(RECORDED) == 0


def test_where_there_is_nothing_yet_a_dry_run_makes_nothing(
    operator: Operator, tmp_path: Path
) -> None:
    home = tmp_path / "elsewhere" / "home"
    unset = {"CALIBRATION_DATABASE_URL": "", "CALIBRATION_HOME": str(home)}
    result = operator("night", "--date", FIRST, "--dry-run", **unset)
    assert result.exit_code == 1
    assert "run `calibrate migrate`" in the_line(result)
    assert not home.parent.exists()


def test_a_rejected_night_is_accepted_with_a_reason(operator: Operator) -> None:
    strict = {"CALIBRATION_POLICY__POPULATION_SD_RANGE": "2.0,5.0"}
    night = ("night", "--date", FIRST)
    accept = (*night, "--accept-rejected", "--reason", "a strong cohort")
    assert operator(*accept, **strict).exit_code == 2
    assert operator(*night, **strict).exit_code == 1
    result = operator(*accept, "--json", **strict)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["outcome"], row["version"]) == ("completed", 1)
    assert "accepted all the same by" in row["reason"]
    assert row["reason"].endswith("a strong cohort")
    assert f"{FIRST} was accepted in spite of" in result.stderr.splitlines()[-1]
    again = operator(*accept, **strict)
    assert again.exit_code == 2
    assert "there is nothing to decide" in the_line(again)


@pytest.mark.parametrize(
    "options",
    [
        ("--accept-rejected", "--reason", "x"),
        ("--date", "2026-01-01", "--accept-rejected"),
        ("--date", "2026-01-01", "--reason", "x"),
        ("--date", "2026-01-01", "--accept-rejected", "--reason", "x", "--dry-run"),
    ],
)
def test_an_acceptance_names_its_night_and_its_reason(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["night", *options])
    assert result.exit_code == 2
    assert "--help`" in result.stderr


def test_the_run_log_tells_who_ran_what(operator: Operator) -> None:
    assert "No night has been run yet." in operator("runs", "list").stderr
    operator("night", "--date", FIRST, "--triggered-by", "cohort_end")
    strict = {"CALIBRATION_POLICY__POPULATION_SD_RANGE": "2.0,5.0"}
    operator("night", "--date", NIGHTS[1], **strict)
    newest, oldest = json.loads(operator("runs", "list", "--json").stdout)
    assert (newest["night"], newest["outcome"]) == (str(NIGHTS[1]), "rejected")
    assert newest["configuration"]["population_sd_range"] == [2.0, 5.0]
    assert (oldest["triggered_by"], oldest["counts"]["version"]) == ("cohort_end", 1)
    assert oldest["package_versions"]["numpy"]
    (only,) = json.loads(operator("runs", "list", "--night", FIRST, "--json").stdout)
    assert only == oldest
    listed = operator("runs", "list", "--limit", 1).stdout
    assert newest["run_id"][:8] in listed
    assert oldest["run_id"][:8] not in listed
    shown = operator("runs", "show", oldest["run_id"][:8]).stdout
    for text in (oldest["run_id"], "cohort_end", "seconds of item fits", "version of numpy"):
        assert text in shown
    one = json.loads(operator("runs", "show", newest["run_id"], "--json").stdout)
    assert one == newest
    for unknown in ("ffffffff-ffff", "%", ""):
        result = operator("runs", "show", unknown)
        assert result.exit_code == 2
        assert "`calibrate runs list` shows the ids" in the_line(result)


def test_a_run_that_is_not_over_is_under_way(operator: Operator) -> None:
    open_run(
        operator.programme.engine,
        partition=FIRST,
        triggered_by="the schedule",
        configuration={},
        package_versions={},
    )
    (run,) = json.loads(operator("runs", "list", "--json").stdout)
    assert (run["outcome"], run["finished_at"], run["counts"]) == ("under way", None, {})
    assert "not yet" in operator("runs", "show", run["run_id"]).stdout


def test_an_empty_night_is_no_failure(operator: Operator) -> None:
    day = LAST + timedelta(days=30)
    result = operator("night", "--date", day, "--json")
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)
    assert (row["outcome"], row["items_refitted"]) == ("completed_empty", 0)


@pytest.mark.slow
def test_a_late_answer_is_used_with_refresh_alone(operator: Operator) -> None:
    programme = operator.programme
    operator("night", "--date", FIRST)
    programme.log_like("late", FIRST)
    counts = []
    for options in ((), ("--refresh",)):
        result = operator("night", "--date", FIRST, *options, "--json")
        counts.append(json.loads(result.stdout)[0]["responses"])
    assert counts == [900, 915]


@pytest.mark.slow
def test_a_re_run_says_which_later_nights_are_stale_and_what_rebuilds_them(
    operator: Operator,
) -> None:
    operator("backfill", "--from", FIRST, "--to", NIGHTS[2])
    operator.programme.log_like("late", FIRST)
    result = operator("night", "--date", FIRST, "--refresh", "--json")
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)
    command = f"calibrate backfill --from {NIGHTS[1]}"
    assert row["stale_after_it"] == {
        "nights": 2,
        "first": str(NIGHTS[1]),
        "last": str(NIGHTS[2]),
        "reason": f"{NIGHTS[1]} starts from {FIRST} as it was before it was run again",
        "command": command,
        "rejected_because": None,
    }
    said = result.stderr.splitlines()[-1]
    assert said.startswith(f"2 nights from {NIGHTS[1]} to {NIGHTS[2]} are stale: ")
    assert f"`current` stands at {NIGHTS[2]}, which is stale" in said
    assert said.endswith(f"`{command}` rebuilds them")
    table = operator("night", "--date", FIRST)
    assert table.stderr.splitlines()[-1] == said
    status = operator("status", "--json")
    assert status.exit_code == 1
    assert said in json.loads(status.stdout)["needs_attention"]
    rebuilt = operator(*command.split()[1:], "--to", NIGHTS[2], "--json")
    assert [row["stale_after_it"] for row in json.loads(rebuilt.stdout)] == [None, None]
    assert "stale" not in rebuilt.stderr
    assert json.loads(operator("status", "--json").stdout)["stale_nights"] is None


def test_a_second_calibration_is_refused_in_one_line(operator: Operator) -> None:
    with CalibrationLock(operator.programme.engine, "run 7 (the schedule)"):
        result = operator("night", "--date", FIRST)
    assert result.exit_code == 1
    assert "another calibration is running: run 7 (the schedule)" in the_line(result)
    assert operator.programme.scalar(RECORDED) == 0


def test_nights_that_there_are_not_end_with_2(operator: Operator) -> None:
    later = datetime.now(UTC).date() + timedelta(days=2)
    earlier = FIRST - timedelta(days=2)
    nights = f"nights run from {FIRST - timedelta(days=1)} to "
    for arguments, expected in (
        (("backfill", "--from", LAST, "--to", FIRST), f"--from {LAST} is after --to {FIRST}"),
        (("backfill", "--from", later), f"--from {later} is after yesterday, "),
        (("night", "--date", earlier), f"{earlier} is not a night that can be"),
        (("night", "--date", later), f"{later} is not a night that can be"),
        (("backfill", "--from", FIRST, "--to", later), nights),
    ):
        result = operator(*arguments)
        assert result.exit_code == 2
        assert expected in the_line(result)
    tomorrow = operator("night", CALIBRATION_FIRST_DAY=str(later))
    assert tomorrow.exit_code == 2
    assert "set CALIBRATION_FIRST_DAY to a day in the past" in the_line(tomorrow)
    assert operator.programme.scalar(RECORDED) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("night", "--date", "yesterday"),
        ("night", "--triggered-by", ""),
        ("backfill", "--from", "2026-01-01", "--triggered-by", " "),
        ("backfill",),
        ("backfill", "--from", "2026-13-01"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "--help`" in result.stderr


def test_a_database_without_the_schema_names_the_command_that_makes_it(
    operator: Operator, database_url: str
) -> None:
    for command in (("night",), ("backfill", "--from", FIRST)):
        result = operator(*command, CALIBRATION_DATABASE_URL=database_url)
        assert result.exit_code == 1
        assert "run `calibrate migrate`" in the_line(result)


def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    operator: Operator,
) -> None:
    url = "postgresql://ada:secret@127.0.0.1:1/exams"
    result = operator("night", "--date", FIRST, CALIBRATION_DATABASE_URL=url)
    assert result.exit_code == 1
    line = the_line(result)
    assert "127.0.0.1:1/exams can't be reached" in line
    assert "secret" not in line


@pytest.mark.parametrize("lost", ["both databases", "Dagster's"])
def test_a_database_that_is_lost_during_a_night_is_one_line_and_a_failure_for_the_watchdog(
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lost: str,
) -> None:
    ours = operator.environment["CALIBRATION_DATABASE_URL"]
    dagsters = operator.environment["CALIBRATION_DAGSTER_DATABASE_URL"]
    calibrate_night = item_fits.calibrate_night

    def lose_and_go_on(*arguments: Any, **options: Any) -> Any:
        set_open([ours, dagsters] if lost == "both databases" else [dagsters], is_open=False)
        return calibrate_night(*arguments, **options)

    monkeypatch.setattr(item_fits, "calibrate_night", lose_and_go_on)
    without_pauses(monkeypatch)
    result = operator("night", "--date", FIRST)
    set_open([ours, dagsters], is_open=True)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert "not currently accepting connections" in line
    assert ("Dagster's database can't be used" in line) == (lost == "Dagster's")
    assert "Retrying failed database" not in caplog.text
    told = json.loads((operator.programme.settings.home / "heartbeat.json").read_text())
    assert (told["night"], told["outcome"]) == (str(FIRST), "failed")


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Dagster try its database again at once: with its pauses a run takes half a minute."""
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.0)


def set_open(urls: Sequence[str], *, is_open: bool) -> None:
    """Let nobody into databases any more, and end all connections; or let people in again."""
    names = [str(make_url(url).database) for url in urls]
    server = make_url(urls[0]).set(database="postgres")
    engine = open_engine(server.render_as_string(hide_password=False))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in names:
            connection.execute(sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {is_open}'))
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(:names)"
        connection.execute(sa.text(ended), {"names": names})
    engine.dispose()


def test_a_dagster_database_that_is_down_from_the_start_is_a_failure_for_the_watchdog(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pauses(monkeypatch)
    url = "postgresql://ada:secret@127.0.0.1:1/dagster"
    result = operator("night", "--date", FIRST, CALIBRATION_DAGSTER_DATABASE_URL=url)
    assert result.exit_code == 1
    line = the_line(result)
    assert "Dagster's database can't be used" in line
    assert "secret" not in line
    told = json.loads((operator.programme.settings.home / "heartbeat.json").read_text())
    assert told["outcome"] == "failed"


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DAGSTER_DATABASE_URL"])
def test_a_password_that_is_not_encoded_is_named_in_no_part(
    operator: Operator, variable: str
) -> None:
    url = {f"CALIBRATION_{variable}": "postgresql://bob:s3@cret@127.0.0.1:1/x"}
    result = operator("night", "--date", FIRST, **url)
    assert result.exit_code == 2
    line = the_line(result)
    assert "percent-encoded" in line
    assert "cret" not in line


def test_a_folder_without_dagster_yaml_is_named(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = operator("night", "--date", FIRST)
    assert result.exit_code == 1
    assert "There is no dagster.yaml in" in the_line(result)


def test_a_real_process_calibrates_a_night_without_pytorch(operator: Operator) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NIGHT, "night", "--date", str(FIRST), "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=bare_environment() | operator.environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    printed, imported = ended.stdout.split("imported: ")
    assert json.loads(printed)[0]["outcome"] == "completed"
    assert imported.strip() == "[]"
    assert "Warning" not in ended.stderr
