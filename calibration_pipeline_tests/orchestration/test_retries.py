"""What a failed run is tried again for: the database, the disk and the lock; never a verdict."""

import errno
from collections.abc import Callable
from typing import Any

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from calibration_pipeline import errors
from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.orchestration.assets import item_fits
from calibration_pipeline.orchestration.failures import see_to_failure
from calibration_pipeline.orchestration.heartbeat import Beat, no_heartbeat
from calibration_pipeline.orchestration.retries import JOB_TAGS, NO_RETRY, is_passing, patiently
from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline_tests.programme import FIRST, Programme


def caused_by(cause: BaseException, error: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.DatabaseUnavailableError("x"), True),
        (errors.LockHeldError("x"), True),
        (errors.LockLostError("x"), True),
        (errors.DiskFullError("x"), True),
        (errors.ArchiveWriteError("x"), True),
        (OSError(errno.ENOSPC, "no space left on device"), True),
        (sa.exc.OperationalError("x", {}, psycopg.OperationalError("x")), True),
        (caused_by(errors.LockLostError("x"), RuntimeError("a step failed")), True),
        (errors.NightBlockedError("x"), False),
        (errors.BadInputError("x"), False),
        (errors.SchemaRevisionError("x"), False),
        (errors.PublicationConflictError("x"), False),
        (dg.Failure("a verdict"), False),
        (ZeroDivisionError(), False),
        # What we say of an error counts, not what caused it.
        (caused_by(FileNotFoundError(), errors.NightBlockedError("x")), False),
        (None, False),
    ],
    ids=lambda value: value if isinstance(value, bool) else type(value).__name__,
)
def test_what_may_pass_is_tried_again(error: BaseException | None, expected: bool) -> None:
    assert is_passing(error) is expected


def failing(times: int, error: Exception) -> Callable[[], str]:
    def open_it() -> str:
        nonlocal times
        times -= 1
        if times >= 0:
            raise error
        return "opened"

    return open_it


def test_a_database_that_comes_back_within_a_minute_is_waited_for() -> None:
    pauses: list[float] = []
    opened = patiently(failing(5, errors.DatabaseUnavailableError("x")), sleep=pauses.append)
    assert opened == "opened"
    assert pauses == [1, 2, 4, 8, 15]
    pauses.clear()
    with pytest.raises(errors.LockHeldError):
        patiently(failing(99, errors.LockHeldError("x")), sleep=pauses.append)
    assert sum(pauses) == pytest.approx(60, abs=0.2)
    pauses.clear()
    with pytest.raises(errors.LockHeldError):
        patiently(failing(1, errors.LockHeldError("x")), sleep=pauses.append, patience_seconds=0)
    with pytest.raises(errors.SchemaRevisionError):
        patiently(failing(1, errors.SchemaRevisionError("x")), sleep=pauses.append)
    assert pauses == []


def ended(programme: Programme, instance: dg.DagsterInstance) -> dict[str, str]:
    """Run the first night as a scheduled run is run, to its end; give the tags it has then."""
    job = build_definitions(programme.settings).resolve_job_def(JOB)
    result = job.execute_in_process(
        instance=instance, tags=range_tags(FIRST, FIRST, "a test"), raise_on_error=False
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return dict(run.tags)


RETRYING = {"run_retries": {"enabled": True, "max_retries": 0}}


def test_dagster_is_told_not_to_retry_a_verdict(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.ephemeral(settings=RETRYING) as instance:
        tags = ended(programme.with_policy(population_sd_range=(2.0, 5.0)), instance)
        assert (tags["dagster/max_retries"], tags["dagster/will_retry"]) == ("0", "false")

        def fail(*_: Any) -> None:
            raise errors.DatabaseUnavailableError("it is being restarted")

        monkeypatch.setattr(item_fits, "calibrate_night", fail)
        tags = ended(programme, instance)
        assert (tags["dagster/max_retries"], tags["dagster/will_retry"]) == ("2", "true")
        assert tags["dagster/retry_strategy"] == "ALL_STEPS"


def test_the_watchdog_is_told_when_no_retry_is_left(programme: Programme) -> None:
    beats: list[Beat] = []

    def listen(beat: Beat) -> list[str]:
        beats.append(beat)
        return []

    with dg.DagsterInstance.ephemeral(settings=RETRYING) as instance:
        ended(programme, instance)
        (run,) = instance.get_runs()
        for number, told in ((0, 0), (1, 0), (2, 1)):
            tried = run.with_tags({**run.tags, "dagster/retry_number": str(number)})
            see_to_failure(instance, tried, errors.DatabaseUnavailableError("x"), listen)
            assert len(beats) == told
        see_to_failure(instance, run, errors.NightBlockedError("x"), listen)
        see_to_failure(instance, run, errors.BadInputError("x"), no_heartbeat)
    assert beats == [Beat(FIRST, "failed")] * 2


def test_who_waits_for_a_run_is_told_at_once_and_gets_no_retry(programme: Programme) -> None:
    with (
        CalibrationLock(programme.engine, "run 7"),
        pytest.raises(errors.LockHeldError, match="run 7"),
    ):
        programme.run(FIRST)
    (run,) = programme.instance.get_runs()
    assert NO_RETRY.items() <= run.tags.items()
    assert JOB_TAGS["dagster/max_retries"] == "2"
