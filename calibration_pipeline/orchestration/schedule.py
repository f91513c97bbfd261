"""The nightly job and its schedule."""

from collections.abc import Callable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what `define_asset_job` gives; dagster doesn't export it
)

from calibration_pipeline.orchestration.assets.common import GROUP
from calibration_pipeline.orchestration.failures import after_a_failed_step
from calibration_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from calibration_pipeline.orchestration.resources import JOB, TRIGGERED_BY
from calibration_pipeline.orchestration.retries import JOB_TAGS
from calibration_pipeline.policy.catching_up import count, missing_nights, nights_of_one_run

REMAINING = "calibration/nights_remaining"
"""Tag of a run that catches up: missing nights that are left to the runs after it."""

__all__ = [
    "JOB",
    "RANGE_END",
    "RANGE_START",
    "nightly_job",
    "nightly_schedule",
    "range_tags",
]

NewestNight = Callable[[], date | None]
"""Gives the newest night that a run ended, None before the first."""


def nightly_job() -> UnresolvedAssetJobDefinition:
    """The whole chain in one process: a run's overhead is then about two seconds."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.groups(GROUP),
        executor_def=dg.in_process_executor,
        description="Re-calibrates the pool on the last thirty days of answers and publishes it.",
        tags=JOB_TAGS,
        hooks={after_a_failed_step},
    )


def range_tags(first: date, last: date, triggered_by: str) -> dict[str, str]:
    """Run tags that make one run process a range of nights in order."""
    return {
        RANGE_START: first.isoformat(),
        RANGE_END: last.isoformat(),
        TRIGGERED_BY: triggered_by,
    }


def nightly_schedule(
    job: UnresolvedAssetJobDefinition,
    hour: int,
    timezone: str,
    first_day: date,
    newest_night: NewestNight,
) -> dg.ScheduleDefinition:
    """Every night at `hour` local time: one run over the nights that are missing.

    After a long outage a run does the oldest of them, and those of the days after it do the rest:
    no night is left out, and each starts from the one before it. The schedule does its own
    catching up, so it is a plain one: a partitioned schedule would replay missed ticks as well, and
    do the same nights twice.
    """

    @dg.schedule(
        job=job,
        name=f"{JOB}_schedule",
        cron_schedule=f"0 {hour} * * *",
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every night at {hour:02d}:00 {timezone}, for the day before.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(ZoneInfo(timezone))
        yesterday = local.date() - timedelta(days=1)
        missing = missing_nights(newest_night(), yesterday, first_day)
        if missing is None:
            return dg.SkipReason(
                f"Nothing is missing: {yesterday} has been calibrated already, or lies before the "
                f"first day, {first_day}."
            )
        nights = nights_of_one_run(missing)
        tags = range_tags(*nights, triggered_by="schedule")
        if remaining := count(missing) - count(nights):
            tags[REMAINING] = str(remaining)
            context.log.warning(
                f"{count(missing)} nights are missing. This run does {nights[0]} to {nights[1]}; "
                f"{remaining} remain: `calibrate backfill --from {nights[0]}` does all of them."
            )
        # A key names the tick, not its nights: those of a run that failed are asked for again.
        return dg.RunRequest(run_key=f"{yesterday}", tags=tags)

    return schedule
