"""The scheduled deletion, as Dagster runs it; and what becomes of Dagster's own old runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from calibration_pipeline import definitions as composition
from calibration_pipeline.definitions import build_definitions, open_store
from calibration_pipeline.orchestration import retention
from calibration_pipeline.orchestration.assets.common import POOL
from calibration_pipeline.orchestration.resources import build_resources
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.urls import to_psycopg2
from calibration_pipeline_tests.programme import LAST, NIGHTS, POLICY, Programme

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
FOLDED = LAST - timedelta(days=POLICY.window_days)


def run_job(programme: Programme, clock: retention.Clock) -> dg.ExecuteInProcessResult:
    """Run the job by a clock of the test's: 400 days after the last day that was folded."""
    settings = programme.settings
    definitions = dg.Definitions(
        jobs=[retention.retention_job(400, 400, frozenset(), clock)],
        resources=build_resources(
            lambda trigger, run_id: open_store(settings, trigger, run_id),
            settings.policy,
            settings.home / "reports",
        ),
    )
    job = definitions.resolve_job_def(retention.JOB)
    return job.execute_in_process(
        instance=programme.instance, run_config=QUIET, raise_on_error=False
    )


def after_the_period() -> datetime:
    return datetime.combine(FOLDED + timedelta(days=401), time(16), UTC)


def test_the_job_deletes_what_is_past_its_period_and_says_how_much(
    calibrated_copy: Programme,
) -> None:
    programme = calibrated_copy
    before = programme.digests()
    result = run_job(programme, after_the_period)
    assert result.success
    (event,) = result.filter_events(lambda event: event.is_successful_output)
    shown = {name: value.value for name, value in event.step_output_data.metadata.items()}
    assert shown["deleted before"] == str(FOLDED + timedelta(days=1))
    assert shown["archived revisions"] == len(NIGHTS) - POLICY.window_days
    assert shown["answers"] > 0
    assert shown["abilities"] > 0
    assert shown["dagster runs"] == 0
    first = "SELECT min(session_started_at) FROM calibration.response_log"
    assert programme.scalar(first).date() >= FOLDED
    assert programme.digests() == before
    assert programme.scalar("SELECT count(*) FROM calibration.retention_runs") == 1


def test_the_job_fails_visibly_where_a_night_needs_what_is_past_its_period(
    calibrated_copy: Programme,
) -> None:
    assert not run_job(calibrated_copy, lambda: after_the_period() + timedelta(days=1)).success
    assert calibrated_copy.scalar("SELECT count(*) FROM calibration.retention_runs") == 0


def test_the_job_waits_for_no_night(calibrated_copy: Programme) -> None:
    with CalibrationLock(calibrated_copy.engine, "a night"):
        assert not run_job(calibrated_copy, after_the_period).success


def test_it_is_scheduled_apart_from_the_nights_and_never_beside_one(programme: Programme) -> None:
    definitions = build_definitions(programme.settings)
    schedule = definitions.resolve_schedule_def(f"{retention.JOB}_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 16 * * *", "Europe/Zurich")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    job = definitions.resolve_job_def(retention.JOB)
    assert job.op_retry_policy is None
    (node,) = job.nodes
    assert node.definition.pool == POOL
    everything = definitions.resolve_implicit_global_asset_job_def()
    assert "delete_expired" not in everything.graph.node_dict


@pytest.fixture
def instance(dagster_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    storage = {"storage": {"postgres": {"postgres_url": to_psycopg2(dagster_url)}}}
    with dg.instance_for_test(overrides=storage, temp_dir=str(tmp_path)) as instance:
        yield instance


DAYS = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-01-03")
KEY = dg.AssetKey("night")
OURS = "__repository__@calibration_pipeline.definitions"


@dg.asset(partitions_def=DAYS)
def night(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"day": context.partition_key})


@dg.asset
def wages() -> None:
    """An asset of another team."""


NIGHTLY, PAYROLL = (
    dg.define_asset_job("nightly_calibration", [night]),
    dg.define_asset_job("payroll", [wages]),
)
SHARED = dg.Definitions([night, wages], jobs=[NIGHTLY, PAYROLL, dg.define_asset_job("retention")])


def delete_old_runs(instance: dg.DagsterInstance, before: datetime | None = None) -> int:
    later = datetime.now(UTC) + timedelta(days=1)
    return retention.delete_old_runs(instance, before or later, {KEY}, OURS)


def test_old_runs_go_with_their_events_and_later_ones_stay(instance: dg.DagsterInstance) -> None:
    """Seen in PostgreSQL: the records of the run go, those of other runs and the asset stay."""
    job = SHARED.resolve_job_def(NIGHTLY.name)

    def materialise(day: str) -> str:
        return job.execute_in_process(instance=instance, partition_key=day, run_config=QUIET).run_id

    def materialised() -> list[str | None]:
        records = instance.fetch_materializations(KEY, limit=10).records
        return [record.partition_key for record in records]

    old = materialise("2025-01-01")
    between = datetime.now(UTC)
    new = materialise("2025-01-02")
    assert delete_old_runs(instance, between) == 1
    assert [run.run_id for run in instance.get_runs()] == [new]
    assert instance.all_logs(old) == []
    assert materialised() == ["2025-01-02"]
    assert delete_old_runs(instance) == 1
    assert materialised() == []
    newest = instance.get_latest_materialization_event(KEY)
    assert newest is not None
    assert newest.dagster_event.partition == "2025-01-02"  # kept in the catalogue itself


def test_a_run_under_way_is_never_deleted(instance: dg.DagsterInstance) -> None:
    run = finished(instance, NIGHTLY.name, None, status=dg.DagsterRunStatus.STARTED)
    assert delete_old_runs(instance) == 0
    assert instance.get_run_by_id(run) is not None


def finished(
    instance: dg.DagsterInstance,
    job: str,
    location: str | None,
    *assets: dg.AssetKey,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS,
) -> str:
    """A run as Dagster records it, from a code location or by a process of its own."""
    origin = None
    if location is not None:
        repository = RemoteRepositoryOrigin(
            RegisteredCodeLocationOrigin(location), "__repository__"
        )
        origin = RemoteJobOrigin(repository, job)
    return instance.create_run_for_job(
        SHARED.resolve_job_def(job),
        status=status,
        asset_selection=frozenset(assets) or None,
        remote_job_origin=origin,
    ).run_id


def test_runs_of_other_teams_on_a_shared_instance_stay(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_RUNS_AT_ONCE", 2)  # pages that hold none of ours
    here, there, implicit = "calibration_pipeline.definitions", "payroll", "__ASSET_JOB"
    wage = dg.AssetKey("wages")
    theirs = {
        finished(instance, job, location, *assets)
        for job, location, assets in (
            (PAYROLL.name, there, ()),
            (PAYROLL.name, None, ()),
            (NIGHTLY.name, there, ()),
            ("retention", there, ()),
            (implicit, there, (wage,)),
            (implicit, there, (KEY,)),
            (implicit, None, (wage,)),
            (implicit, None, (wage, KEY)),
            (implicit, None, ()),
        )
    }
    ours = [
        (NIGHTLY.name, here, ()),
        (NIGHTLY.name, None, ()),
        ("retention", here, ()),
        (implicit, here, (KEY,)),
        (implicit, None, (KEY,)),
    ]
    for job, location, assets in ours:
        finished(instance, job, location, *assets)
    assert delete_old_runs(instance) == len(ours)
    assert {run.run_id for run in instance.get_runs()} == theirs
    assert delete_old_runs(instance) == 0


def test_the_job_knows_the_assets_that_the_project_has(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[frozenset[dg.AssetKey]] = []
    real = retention.retention_job

    def seen(*arguments: Any) -> dg.JobDefinition:
        built.append(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(composition, "retention_job", seen)
    definitions = build_definitions(programme.settings)
    assert built == [definitions.resolve_asset_graph().materializable_asset_keys]
