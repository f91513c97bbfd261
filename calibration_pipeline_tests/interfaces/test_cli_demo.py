"""`calibrate demo`: everything from nothing, again where it stopped, and never over other data."""

import json
import os
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline_tests.processes import PROJECT
from calibration_pipeline_tests.programme import (
    Programme,
    dagster_template,
    dagster_url,
    environment_of,
    loaded_template,
    programme,
)

__all__ = ["dagster_template", "dagster_url", "loaded_template", "programme"]

OPTIONS = ("--nights", "4", "--items", "200", "--sessions-per-day", "100")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, and nothing set in the environment."""
    for name in os.environ:
        if name.startswith(("CALIBRATION_", "DAGSTER_")):
            monkeypatch.delenv(name)
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def demo(*options: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, ["demo", *(options or OPTIONS)])


def the_line(result: Result) -> str:
    """What a refused command says last: one line."""
    assert "Traceback" not in result.output
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    return line


def count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.text(f"SELECT count(*) FROM calibration.{table}")) or 0  # noqa: S608


def test_from_nothing_to_published_parameters_and_again(project: Path) -> None:
    server = EmbeddedServer(project / ".calibration")
    try:
        first = demo()
        assert first.exit_code == 0, first.output
        _shows_what_happened(first)
        pages = project / ".calibration" / "reports"
        assert len(list(pages.glob("20*.html"))) == 4
        assert str(pages / "index.html") in first.stderr
        assert {path.name for path in project.iterdir()} == {".calibration", "dagster.yaml"}

        engine = open_engine(server.start())
        again = demo()
        assert again.exit_code == 0, again.output
        assert "All of its nights have been calibrated already." in again.stderr
        assert again.stdout == first.stdout
        assert (count(engine, "runs"), count(engine, "response_log")) == (4, 4 * 100 * 30)

        other = demo("--nights", "5", *OPTIONS[2:])
        assert other.exit_code == 2
        assert "holds a demo with other options (200 items, 4 nights" in the_line(other)

        _crash_after_the_fits(engine)
        engine.dispose()
        mended = demo()
        assert mended.exit_code == 0, mended.output
        assert "have been calibrated already" not in mended.stderr
    finally:
        server.remove()


def _shows_what_happened(result: Result) -> None:
    assert "A pool of 200 items (24 anchors) and 4 days" in result.stderr
    for text in (
        "Responses in all",
        "12,000",
        "Items refitted",
        "Items skipped",
        "Flags open",
        "Anchors held",
        "Linking constants",
        "What the simulator hid in the pool",
        "scored with a wrong key",
        "known to 60% of candidates from ",
        "Version published",
        "Published against true",
        "95% intervals that hold the truth",
    ):
        assert text in result.stdout
    assert "Open Dagster: " in result.stderr
    assert "Shut everything down: " in result.stderr
    assert "db stop" in result.stderr


def _crash_after_the_fits(engine: sa.Engine) -> None:
    """As if the last run had been killed between its fits and its end."""
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "DROP FUNCTION calibration.refuse_change CASCADE;"  # the tables are append-only
                "DELETE FROM calibration.run_outcomes USING calibration.runs "
                "WHERE runs.run_id = run_outcomes.run_id "
                "AND runs.partition = (SELECT max(partition) FROM calibration.runs)"
            )
        )


def test_a_database_that_holds_another_pool_is_left_alone(
    project: Path, programme: Programme
) -> None:
    engine, url = programme.engine, environment_of(programme.settings, "")
    before = [count(engine, table) for table in ("items", "response_log", "runs")]
    result = demo(CALIBRATION_DATABASE_URL=url["CALIBRATION_DATABASE_URL"])
    assert result.exit_code == 2
    assert "the database holds a pool already" in the_line(result)
    assert [count(engine, table) for table in ("items", "response_log", "runs")] == before
    assert not (project / ".calibration" / "demo").exists()


def test_a_demo_begun_here_does_not_go_on_in_a_database_of_somebody_elses(
    project: Path, programme: Programme
) -> None:
    folder = project / ".calibration" / "demo"
    folder.mkdir(parents=True)
    plan = {"last_day": "2026-03-01", "items": 200, "days": 4, "sessions_per_day": 100, "seed": 0}
    (folder / "plan.json").write_text(json.dumps(plan | {"anchors": 24}))
    url = environment_of(programme.settings, "")["CALIBRATION_DATABASE_URL"]
    result = demo(CALIBRATION_DATABASE_URL=url)
    assert result.exit_code == 2
    assert "the database holds a pool already" in the_line(result)


def test_more_nights_than_there_are_days_are_refused_before_anything_is_done(
    project: Path,
) -> None:
    result = demo("--nights", "30000")
    assert result.exit_code == 2
    assert "ask for fewer, or set CALIBRATION_FIRST_DAY" in the_line(result)
    assert [path.name for path in project.iterdir()] == ["dagster.yaml"]


@pytest.mark.parametrize("options", [("--nights", "0"), ("--items", "5"), ("--seed", "-1")])
def test_wrong_usage_ends_with_2(project: Path, options: tuple[str, str]) -> None:
    result = demo(*options)
    assert result.exit_code == 2
    assert "--help`" in result.stderr


@pytest.mark.usefixtures("project")
def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    result = demo(CALIBRATION_DATABASE_URL="postgresql://ada:secret@127.0.0.1:1/exams")
    assert result.exit_code == 1
    assert "127.0.0.1:1/exams can't be reached" in the_line(result)
    assert "secret" not in result.output


@pytest.mark.slow
def test_too_few_answers_to_publish_anything_is_said(
    project: Path, database_url: str, dagster_url: str
) -> None:
    result = demo(
        "--nights", "1", "--items", "2000", "--sessions-per-day", "10",
        CALIBRATION_DATABASE_URL=database_url,
        CALIBRATION_DAGSTER_DATABASE_URL=dagster_url,
        CALIBRATION_POLICY__MINIMUM_RESPONSES="400",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "ask for more nights or sessions" in the_line(result)
