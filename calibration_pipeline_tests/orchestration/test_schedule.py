"""The 04:00 schedule: yesterday's night on every day of the year, and catching up in one run."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from calibration_pipeline.definitions import build_definitions
from calibration_pipeline.orchestration.schedule import (
    JOB,
    RANGE_END,
    RANGE_START,
    REMAINING,
    nightly_job,
    nightly_schedule,
)
from calibration_pipeline.policy.catching_up import MAXIMUM_CATCH_UP_DAYS
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme

YESTERDAY = date(2026, 6, 10)
FIRST_DAY = date(2026, 1, 1)


def days(n: int) -> timedelta:
    return timedelta(days=n)


def tick(moment: datetime, newest: date | None = None) -> dg.RunRequest | dg.SkipReason:
    """What the schedule says at a moment."""
    schedule = nightly_schedule(nightly_job(), 4, "Europe/Zurich", FIRST_DAY, lambda: newest)
    context = dg.build_schedule_context(scheduled_execution_time=moment)
    return schedule(context)


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        (datetime(2026, 1, 15, 3, tzinfo=UTC), date(2026, 1, 14)),
        (datetime(2026, 7, 15, 2, tzinfo=UTC), date(2026, 7, 14)),
        # Clocks go forward on 29 March and back on 25 October, at night.
        (datetime(2026, 3, 29, 2, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 3, 30, 2, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 10, 25, 3, tzinfo=UTC), date(2026, 10, 24)),
        (datetime(2026, 10, 26, 3, tzinfo=UTC), date(2026, 10, 25)),
    ],
)
def test_a_tick_is_for_the_local_day_before(moment: datetime, night: date) -> None:
    request = tick(moment)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == str(night)
    assert request.tags[RANGE_START] == request.tags[RANGE_END] == str(night)
    assert request.tags["calibration/triggered_by"] == "schedule"


def test_the_ticks_come_at_four_local_time_on_both_days_when_clocks_change() -> None:
    schedule = nightly_schedule(nightly_job(), 4, "Europe/Zurich", FIRST_DAY, lambda: None)
    for day in (date(2026, 3, 28), date(2026, 10, 24)):
        start = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        assert isinstance(schedule.cron_schedule, str)
        iterator = schedule_execution_time_iterator(
            start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
        )
        ticks = [next(iterator) for _ in range(3)]
        assert [t.hour for t in ticks] == [4, 4, 4]
        assert [t.date() for t in ticks] == [day + days(n) for n in (1, 2, 3)]


def test_the_same_tick_twice_is_one_run_and_a_night_that_is_done_is_none() -> None:
    moment = datetime(2026, 6, 11, 2, tzinfo=UTC)
    first, second = tick(moment), tick(moment)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.run_key == second.run_key  # Dagster's daemon starts one run per key
    done = tick(moment, newest=YESTERDAY)
    assert isinstance(done, dg.SkipReason)
    assert f"{YESTERDAY} has been calibrated already" in str(done.skip_message)


def test_after_a_long_outage_the_oldest_nights_come_first_and_the_rest_is_named() -> None:
    newest = YESTERDAY - days(MAXIMUM_CATCH_UP_DAYS + 5)
    moment = datetime(2026, 6, 11, 2, tzinfo=UTC)
    first = tick(moment, newest)
    assert isinstance(first, dg.RunRequest)
    last = newest + days(MAXIMUM_CATCH_UP_DAYS)
    assert first.tags[RANGE_START] == str(newest + days(1))
    assert first.tags[RANGE_END] == str(last)
    assert first.tags[REMAINING] == "5"
    second = tick(moment + days(1), last)
    assert isinstance(second, dg.RunRequest)
    assert (second.tags[RANGE_START], second.tags[RANGE_END]) == (
        str(last + days(1)),
        str(YESTERDAY + days(1)),
    )
    assert REMAINING not in second.tags


def test_nights_of_a_run_that_failed_are_asked_for_again() -> None:
    """Dagster starts one run per key: a key of the nights would never be asked for again."""
    newest = YESTERDAY - days(90)
    moment = datetime(2026, 6, 11, 2, tzinfo=UTC)
    first, second = tick(moment, newest), tick(moment + days(1), newest)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.tags[RANGE_END] == second.tags[RANGE_END]
    assert first.run_key != second.run_key


def scheduled(programme: Programme, night: date) -> dg.RunRequest | dg.SkipReason:
    """What the project's own schedule asks for on the morning after a night."""
    definitions = build_definitions(programme.settings)
    schedule = definitions.resolve_schedule_def(f"{JOB}_schedule")
    morning = datetime(night.year, night.month, night.day, 2, 5, tzinfo=UTC) + days(1)
    context = dg.build_schedule_context(
        instance=programme.instance, scheduled_execution_time=morning
    )
    return schedule(context)


def run_request(programme: Programme, request: dg.RunRequest) -> None:
    job = build_definitions(programme.settings).resolve_job_def(JOB)
    job.execute_in_process(instance=programme.instance, tags=dict(request.tags))


def test_after_an_outage_one_run_does_the_missing_nights(
    calibrated: Programme, programme: Programme
) -> None:
    for night in (FIRST, NIGHTS[4]):
        request = scheduled(programme, night)
        assert isinstance(request, dg.RunRequest)
        run_request(programme, request)
    assert request.tags[RANGE_START] == str(NIGHTS[1])
    states, versions = programme.digests()
    complete_states, complete_versions = calibrated.digests()
    assert (states, versions) == (complete_states[:5], complete_versions[:5])
    assert isinstance(scheduled(programme, NIGHTS[4]), dg.SkipReason)


def test_a_rejected_night_is_not_tried_again(programme: Programme) -> None:
    programme.with_policy(population_sd_range=(2.0, 5.0)).run(FIRST)
    assert isinstance(scheduled(programme, FIRST), dg.SkipReason)


def test_a_night_whose_run_crashed_after_its_fit_is_tried_again(programme: Programme) -> None:
    """A state without an end in the run log: nothing was published from it."""
    programme.run(FIRST)
    job = build_definitions(programme.settings).resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        instance=programme.instance,
        partition_key=NIGHTS[1].isoformat(),
        asset_selection=[dg.AssetKey("responses"), dg.AssetKey("item_fits")],
    )
    assert programme.store().state(NIGHTS[1]) is not None
    request = scheduled(programme, NIGHTS[1])
    assert isinstance(request, dg.RunRequest)
    assert request.tags[RANGE_START] == str(NIGHTS[1])
    run_request(programme, request)
    assert [version[1] for version in programme.digests()[1]] == [FIRST, NIGHTS[1]]
