"""The job and schedule that delete what is older than the retention period.

An op and no asset: `Materialize all` in the UI is for nights, and must not delete anything.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import dagster as dg

from calibration_pipeline.orchestration.assets.common import POOL
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline.store.retention import retention_start

JOB = "retention"
HOURS_AFTER_THE_NIGHT = 12
_FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_RUNS_AT_ONCE = 100

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def retention_job(
    retention_days: int, run_history_days: int, clock: Clock = _now
) -> dg.JobDefinition:
    """Build the job: one of its own, so that whatever happens to it, the nights go on.

    Parameters
    ----------
    retention_days
        For which answers and abilities are kept.
    run_history_days
        For which Dagster's finished runs are kept.
    clock
        Gives the time, with its zone.
    """

    @dg.op(pool=POOL, out=dg.Out(dg.Nothing))
    def delete_expired(
        context: dg.OpExecutionContext, store: dg.ResourceParam[CalibrationStore]
    ) -> None:
        """Deletes answers, abilities and links to people past their retention period.

        What the calibration carries and what it published is about items, and stays. Dagster's old
        runs go as well: their partitions then look missing in the UI, and nothing reads that.
        """
        now = clock()
        before = retention_start(now, retention_days, store.timezone)
        expired = store.delete_expired(before)
        runs = delete_old_runs(context.instance, now - timedelta(days=run_history_days))
        counts = {name.replace("_", " "): count for name, count in asdict(expired).items()}
        context.add_output_metadata({"deleted before": str(before), **counts, "dagster runs": runs})

    @dg.job(
        name=JOB,
        executor_def=dg.in_process_executor,
        description="Deletes what is older than the retention period.",
    )
    def retention() -> None:
        delete_expired()

    return retention


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete Dagster's finished runs that were created before a moment, with all their events.

    Dagster has no setting for this: the one named `retention` in dagster.yaml is for the ticks of
    schedules and sensors. A run takes its materializations along; those of later runs stay as they
    are, and so does the newest one of each asset in the catalogue.

    Returns
    -------
    int
        How many runs were deleted.
    """
    old = dg.RunsFilter(statuses=list(_FINISHED), created_before=before)
    count = 0
    while records := instance.get_run_records(old, limit=_RUNS_AT_ONCE):
        for record in records:
            instance.delete_run(record.dagster_run.run_id)
        count += len(records)
    return count


def retention_schedule(
    job: dg.JobDefinition, run_hour: int, timezone: str
) -> dg.ScheduleDefinition:
    """Every day, half a day away from the nightly run: both want the same lock."""
    hour = (run_hour + HOURS_AFTER_THE_NIGHT) % 24
    return dg.ScheduleDefinition(
        job=job,
        name=f"{JOB}_schedule",
        cron_schedule=f"0 {hour} * * *",
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every day at {hour:02d}:00 {timezone}.",
    )
