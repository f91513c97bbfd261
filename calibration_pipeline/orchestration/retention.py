"""The job and schedule that delete what is older than the retention period.

An op and no asset: `Materialize all` in the UI is for nights, and must not delete anything.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import dagster as dg

from calibration_pipeline.orchestration.anchor_selection import JOB as ANCHOR_JOB
from calibration_pipeline.orchestration.assets.common import POOL
from calibration_pipeline.orchestration.assets.item_priors import JOB as ITEM_PRIOR_JOB
from calibration_pipeline.orchestration.resources import JOB as NIGHTLY_JOB
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline.store.retention import retention_start

JOB = "retention"
HOURS_AFTER_THE_NIGHT = 12
_FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_RUNS_AT_ONCE = 100
_IMPLICIT_JOB = "__ASSET_JOB"
"""Dagster's job for assets that are materialised by hand or by a backfill; every project has it."""

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def retention_job(
    retention_days: int,
    run_history_days: int,
    own_assets: Collection[dg.AssetKey],
    clock: Clock = _now,
) -> dg.JobDefinition:
    """Build the job: one of its own, so that whatever happens to it, the nights go on.

    Parameters
    ----------
    retention_days
        For which answers and abilities are kept.
    run_history_days
        For which Dagster's finished runs are kept.
    own_assets
        By which runs of assets are told from other projects' on the same instance.
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
        too_old = now - timedelta(days=run_history_days)
        runs = delete_old_runs(context.instance, too_old, own_assets, location_of(context.run))
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


def location_of(run: dg.DagsterRun) -> str | None:
    """Name the repository and code location of a run; None for one that a process ran itself."""
    origin = run.remote_job_origin
    return None if origin is None else origin.repository_origin.get_label()


def delete_old_runs(
    instance: dg.DagsterInstance,
    before: datetime,
    own_assets: Collection[dg.AssetKey],
    location: str | None,
) -> int:
    """Delete our finished runs that were created before a moment, with all their events.

    The instance may be shared: runs of other projects are theirs. Ours have one of our jobs, or
    Dagster's job for assets and none but our assets; and the code location, where a run has one,
    is this one.

    Dagster has no setting for this: the one named `retention` in dagster.yaml is for the ticks of
    schedules and sensors. A run takes its materializations along; those of later runs stay as they
    are, and so does the newest one of each asset in the catalogue.

    Parameters
    ----------
    own_assets
        All assets of this project.
    location
        Where the caller's own run comes from; see `location_of`.

    Returns
    -------
    int
        How many runs were deleted.
    """

    def is_ours(run: dg.DagsterRun) -> bool:
        chosen = run.asset_selection or frozenset()
        has_our_job = run.job_name in (NIGHTLY_JOB, ANCHOR_JOB, ITEM_PRIOR_JOB, JOB) or (
            run.job_name.startswith(_IMPLICIT_JOB) and bool(chosen) and chosen <= set(own_assets)
        )
        return has_our_job and location_of(run) in (None, location)

    # All are listed before the first is deleted: Dagster finds a page by the last run before it.
    ours = [run.run_id for run in _finished_runs(instance, before) if is_ours(run)]
    for run_id in ours:
        instance.delete_run(run_id)
    return len(ours)


def _finished_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.DagsterRun]:
    """List the finished runs that were created before a moment, page by page, newest first."""
    old = dg.RunsFilter(statuses=list(_FINISHED), created_before=before)
    cursor = None
    while runs := instance.get_runs(old, cursor=cursor, limit=_RUNS_AT_ONCE):
        yield from runs
        cursor = runs[-1].run_id


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
