"""One calibration at a time: who holds the lock, what the others hear, and when it is free."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from calibration_pipeline.definitions import build_definitions, open_store
from calibration_pipeline.errors import ArchiveWriteError, LockHeldError, LockLostError
from calibration_pipeline.orchestration.assets import calibration_snapshot
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline.store.status import read_status
from calibration_pipeline.store.tables import publication_fence, runs
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, python
from calibration_pipeline_tests.programme import FIRST, LAST, Programme
from calibration_pipeline_tests.store.answers import ZURICH

HOLDER = """
import sys, time
from pathlib import Path
from calibration_pipeline.definitions import open_store
from calibration_pipeline.settings import Settings
url, home = sys.argv[1:]
with open_store(Settings(database_url=url, home=Path(home)), "another process", "run 7"):
    print("holds", flush=True)
    time.sleep(600)
"""

END_THE_HOLDER = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_locks
WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextmanager
def held_by_another_process(programme: Programme) -> Iterator[subprocess.Popen[str]]:
    url = programme.settings.database_url
    assert url is not None
    process = python(HOLDER, url.get_secret_value(), programme.settings.home)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


def test_a_second_run_is_refused_in_one_line_until_the_holder_is_killed(
    programme: Programme,
) -> None:
    with held_by_another_process(programme) as holder:
        with pytest.raises(LockHeldError, match=r"run 7 \(another process\), since ") as refusal:
            programme.run(FIRST)
        assert "\n" not in str(refusal.value)
        assert programme.scalar("SELECT count(*) FROM calibration.runs") == 0
        assert programme.instance.get_runs_count() == 1
        assert programme.instance.get_runs()[0].status.value == "FAILURE"
        holder.send_signal(signal.SIGKILL)
        holder.wait(PATIENCE_SECONDS)
        _wait_until_free(programme)
        assert programme.night(FIRST).outcome == "completed"


def _wait_until_free(programme: Programme) -> None:
    """PostgreSQL notices a dead client when it next reads from it: at once, on a socket."""
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(1000):
        if not programme.scalar(query):
            return
        programme.scalar("SELECT pg_sleep(0.05)")
    pytest.fail("the lock of a dead holder was not freed")


def test_a_run_whose_lock_was_lost_to_another_cannot_publish(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is cut after the fit, and a successor takes the lock."""
    compose = calibration_snapshot.compose_snapshot

    def lose_the_lock_first(*arguments: Any) -> Any:
        programme.execute(END_THE_HOLDER)
        with open_store(programme.settings, "a successor", "run 8"):
            return compose(*arguments)

    monkeypatch.setattr(calibration_snapshot, "compose_snapshot", lose_the_lock_first)
    with pytest.raises(LockLostError, match=r"run 8 \(a successor\) has taken it since") as error:
        programme.run(FIRST)
    assert "\n" not in str(error.value)
    assert current_version(programme.engine) is None
    assert programme.scalar("SELECT count(*) FROM calibration.snapshot_items") == 0

    monkeypatch.undo()
    assert programme.night(FIRST).counts["version"] == 1
    first, second = programme.state(FIRST, 1), programme.state(FIRST, 2)
    assert first.digest == second.digest


def test_a_run_whose_connection_was_cut_may_publish_if_nobody_came_in_between(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = calibration_snapshot.compose_snapshot

    def cut_first(*arguments: Any) -> Any:
        programme.execute(END_THE_HOLDER)
        return compose(*arguments)

    monkeypatch.setattr(calibration_snapshot, "compose_snapshot", cut_first)
    assert programme.night(FIRST).outcome == "completed"


def test_the_lock_names_the_run_and_who_started_it(calibrated: Programme) -> None:
    (run,) = calibrated.instance.get_runs()
    with calibrated.engine.connect() as connection:
        fence = connection.execute(sa.select(publication_fence)).one()
    assert fence.holder == f"run {run.run_id} (a test)"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [({}, "dagster"), ({"user": "ada"}, "ada"), ({"calibration/triggered_by": "x"}, "x")],
)
def test_a_run_started_in_the_ui_is_logged_under_its_user(
    programme: Programme, tags: dict[str, str], expected: str
) -> None:
    job = build_definitions(programme.settings).resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=programme.instance, partition_key=FIRST.isoformat(), tags=tags)
    with programme.engine.connect() as connection:
        assert connection.scalar(sa.select(runs.c.triggered_by)) == expected


def test_single_steps_run_by_themselves_say_nothing_of_how_the_night_ended(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    before = read_status(programme.engine, ZURICH).newest_night
    job = build_definitions(programme.settings).resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        instance=programme.instance,
        partition_key=LAST.isoformat(),
        asset_selection=[dg.AssetKey("item_flags")],
    )
    outcomes = "SELECT outcome FROM calibration.run_outcomes ORDER BY finished_at DESC LIMIT 1"
    assert programme.scalar(outcomes) == "partial"
    assert read_status(programme.engine, ZURICH).newest_night == before


def test_a_night_that_fails_before_its_fit_is_in_the_run_log_with_the_reason(
    programme: Programme,
) -> None:
    programme.settings.home.mkdir(exist_ok=True)
    (programme.settings.home / "archive").touch()  # no folder can be made there
    with pytest.raises(ArchiveWriteError):
        programme.run(FIRST)
    newest = read_status(programme.engine, ZURICH).newest_night
    assert newest is not None
    assert (newest.night, newest.outcome) == (FIRST, "failed")
    assert "archive" in newest.reason
    assert "can't be written" in newest.reason


def test_nothing_of_a_run_stays_open(calibrated: Programme) -> None:
    assert not calibrated.scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
