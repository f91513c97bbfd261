"""Runs of the nightly job in this process: what is refused, and what comes through."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from calibration_pipeline.errors import BadInputError, NightBlockedError
from calibration_pipeline.orchestration.assets import item_fits, responses
from calibration_pipeline.orchestration.heartbeat import Beat
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme, programme_on

TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (FIRST - timedelta(days=2), FIRST),
        (FIRST, TODAY + timedelta(days=2)),
        (TODAY + timedelta(days=2), TODAY + timedelta(days=2)),
    ],
)
def test_nights_outside_the_partitions_are_refused_in_one_line(
    calibrated: Programme, first: date, last: date
) -> None:
    with pytest.raises(BadInputError, match="is not a night that can be calibrated") as refusal:
        calibrated.run(first, last)
    assert "CALIBRATION_FIRST_DAY sets the first" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_before_the_first_day_there_is_no_night(calibrated: Programme) -> None:
    url = calibrated.settings.database_url
    assert url is not None
    tomorrow = TODAY + timedelta(days=2)
    early = programme_on(url.get_secret_value(), calibrated.settings.home, first_day=tomorrow)
    with pytest.raises(BadInputError, match="no night to calibrate yet"):
        early.run(tomorrow)


def test_an_error_that_a_person_can_mend_comes_through_as_it_is(programme: Programme) -> None:
    """A damaged archive: the run fails where it is, and says which file."""
    programme.run(FIRST)
    (archived,) = (programme.settings.home / "archive").rglob("*.parquet")
    archived.write_bytes(b"not Parquet")
    with pytest.raises(NightBlockedError, match=f"{archived.name} can't be read") as error:
        programme.run(NIGHTS[1])
    assert "\n" not in str(error.value)
    assert programme.scalar("SELECT max(version) FROM calibration.aliases") == 1


def test_an_error_of_the_programs_own_is_not_hidden(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(item_fits, "calibrate_night", fail)
    with pytest.raises(ZeroDivisionError):
        programme.run(FIRST)


def test_a_verdict_is_no_error_and_stands_in_the_run_log(programme: Programme) -> None:
    outcome = programme.with_policy(population_sd_range=(2.0, 5.0)).night(FIRST)
    assert outcome.outcome == "rejected"
    assert programme.instance.get_runs()[0].status.value == "FAILURE"


def test_refresh_reaches_both_extraction_and_fit(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    read = item_fits.read_night_inputs

    def remember(*arguments: Any, refresh: bool) -> Any:
        seen.append(refresh)
        return read(*arguments, refresh=refresh)

    monkeypatch.setattr(item_fits, "read_night_inputs", remember)
    programme.run(FIRST)
    programme.run(FIRST, refresh=True)
    assert seen == [False, True]
    assert responses.ExtractionConfig().refresh is item_fits.FitConfig().refresh is False


def interrupt_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    monkeypatch.setattr(item_fits, "calibrate_night", interrupted)


def interrupt_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    record = dg.DagsterInstance.handle_new_event

    def interrupted(instance: dg.DagsterInstance, event: dg.EventLogEntry, **options: Any) -> None:
        record(instance, event, **options)
        told = event.dagster_event
        if told and told.is_step_success and told.step_key == "item_fits":
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(dg.DagsterInstance, "handle_new_event", interrupted)


@pytest.mark.parametrize("interrupt", [interrupt_in_a_step, interrupt_between_steps])
def test_an_interrupt_is_an_interrupt(
    programme: Programme,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """A real SIGINT: Ctrl-C for the caller, in log and heartbeat, and the lock is free again."""
    interrupt(monkeypatch)
    beats: list[Beat] = []

    def heartbeat(beat: Beat) -> list[str]:
        beats.append(beat)
        return []

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            programme.run(FIRST, NIGHTS[1], heartbeat=heartbeat)
    finally:
        signal.signal(signal.SIGINT, before)
    assert beats == [Beat(NIGHTS[1], "failed")]
    reason = "SELECT DISTINCT outcome || ': ' || reason FROM calibration.run_outcomes"
    assert programme.scalar(reason) == "failed: interrupted"
    with programme.store():
        pass
