"""Composition root: settings in, Dagster definitions out. Nothing is opened at import."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import SecretStr

from calibration_pipeline.alerts.choosing import choose_alerts
from calibration_pipeline.execution.choosing import open_engine
from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.orchestration.alert_sensors import (
    failed_runs_sensor,
    overdue_nights_sensor,
)
from calibration_pipeline.orchestration.anchor_selection import anchor_selection_job
from calibration_pipeline.orchestration.assets import (
    anchor_link,
    calibration_snapshot,
    candidate_abilities,
    cold_start,
    item_exposure,
    item_fits,
    item_flags,
    item_priors,
    night_outcome,
    nightly_report,
    posterior_audit,
    responses,
    second_opinion,
)
from calibration_pipeline.orchestration.catalogue.describing import described
from calibration_pipeline.orchestration.cross_checks import cross_check_job, cross_check_sensor
from calibration_pipeline.orchestration.heartbeat import Heartbeat, WatchdogHeartbeat, no_heartbeat
from calibration_pipeline.orchestration.night_log import Report, silent
from calibration_pipeline.orchestration.partitions import daily_partitions
from calibration_pipeline.orchestration.report_reading import ReportOptions
from calibration_pipeline.orchestration.resources import OpenStore, build_resources
from calibration_pipeline.orchestration.retention import retention_job, retention_schedule
from calibration_pipeline.orchestration.schedule import nightly_job, nightly_schedule
from calibration_pipeline.policy.catching_up import next_run
from calibration_pipeline.policy.overdue import Deadlines
from calibration_pipeline.records import Freshness
from calibration_pipeline.settings import Settings, load_settings
from calibration_pipeline.store.archive_opening import open_archive
from calibration_pipeline.store.calibration_store import CalibrationStore, RunContext
from calibration_pipeline.store.connection import Database, open_database
from calibration_pipeline.store.dry_run_store import DryRunStore
from calibration_pipeline.store.freshness import read_freshness
from calibration_pipeline.store.history import newest_finished_night
from calibration_pipeline.store.pseudonym_keys import known_key
from calibration_pipeline.store.shard_files import ShardFiles
from calibration_pipeline.store.sources.choosing import choose_source
from calibration_pipeline.store.suppression import require_reapplied

LOGGED_PACKAGES = ("calibration-pipeline", "numpy", "scipy", "numba", "dagster", "pyarrow")
"""Packages whose version can change a number or a byte."""
_MEGABYTE = 2**20


def build_definitions(settings: Settings, report: Report = silent) -> dg.Definitions:
    """Put the chain together.

    Parameters
    ----------
    settings
        From the environment.
    report
        Told where a run is; the command line's progress bar.
    """
    return _build(
        settings,
        report,
        lambda trigger, run_id: open_store(settings, trigger, run_id),
        heartbeat_of(settings),
    )


def dry_run_definitions(
    settings: Settings, store: CalibrationStore, report: Report = silent
) -> dg.Definitions:
    """Put the same chain together on a dry run's store, with a heartbeat that nobody hears."""
    return _build(settings, report, lambda _trigger, _run_id: store, no_heartbeat)


def _build(
    settings: Settings, report: Report, open_run_store: OpenStore, heartbeat: Heartbeat
) -> dg.Definitions:
    with warnings.catch_warnings():
        # Single-run backfills and the window's mapping: pinned, and tested with this version.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _put_together(settings, report, open_run_store, heartbeat)


def _put_together(
    settings: Settings, report: Report, open_run_store: OpenStore, heartbeat: Heartbeat
) -> dg.Definitions:
    partitions = daily_partitions(settings.first_day, settings.timezone)
    deadlines = _deadlines(settings)
    undescribed = [
        responses.build(partitions),
        item_fits.build(partitions, settings.policy.window_days),
        item_flags.build(partitions),
        anchor_link.build(partitions),
        calibration_snapshot.build(partitions),
        candidate_abilities.build(partitions),
        item_exposure.build(partitions),
        cold_start.build(partitions),
        nightly_report.build(partitions),
        night_outcome.build(partitions),
        posterior_audit.build(partitions),
        second_opinion.build(partitions),
        item_priors.build(),
    ]
    assets = described(undescribed, deadlines)
    job, checks = nightly_job(), cross_check_job()
    learning = item_priors.item_prior_job()
    cleaning = retention_job(
        settings.retention_days,
        settings.run_history_days,
        frozenset(key for asset in assets for key in asset.keys),
    )
    return dg.Definitions(
        assets=assets,
        jobs=[job, cleaning, anchor_selection_job(), checks, learning],
        sensors=[
            cross_check_sensor(job, checks, is_on=settings.cross_checks),
            *_alert_sensors(settings, deadlines),
        ],
        schedules=[
            nightly_schedule(
                job,
                settings.run_hour,
                settings.timezone,
                settings.first_day,
                lambda: _newest_finished_night(settings),
            ),
            retention_schedule(cleaning, settings.run_hour, settings.timezone),
            item_priors.item_prior_schedule(learning, settings.run_hour, settings.timezone),
        ],
        # Runs of single assets too: the lock is a run's, and several processes can't share it.
        executor=dg.in_process_executor,
        resources=build_resources(
            open_run_store,
            settings.policy,
            settings.home / "reports",
            report,
            heartbeat,
            lambda: open_dry_run_store(settings),
            ReportOptions(settings.report_charts, settings.report_items_drawn),
            lambda: engine_of(settings),
        ),
    )


def _deadlines(settings: Settings) -> Deadlines:
    return Deadlines(
        run_hour=settings.run_hour,
        deadline_hour=settings.alert.deadline_hour,
        timezone=ZoneInfo(settings.timezone),
        maximum_version_age=timedelta(days=settings.alert.maximum_version_age_days),
    )


def _alert_sensors(settings: Settings, deadlines: Deadlines) -> list[dg.SensorDefinition]:
    alerts, ui_url = choose_alerts(settings.alert), settings.alert.ui_url
    return [
        failed_runs_sensor(alerts, ui_url),
        overdue_nights_sensor(alerts, lambda: _freshness(settings), deadlines, ui_url),
    ]


def open_store(settings: Settings, triggered_by: str, run_id: str) -> CalibrationStore:
    """Open the store for a run; entering it takes the calibration lock.

    Raises
    ------
    NightBlockedError
        A restored backup has brought back people who were forgotten after it.
    BadInputError
        The pseudonym key can't be used, is missing where it is needed, or is another one.
    SourceError
        The settings name a source that can't be.
    """
    source = choose_source(settings.source, settings.home)
    database = _open_database(settings)
    with _closed_on_failure(database):
        _require_reapplied(database, settings)
        key = _pseudonym_key(settings, database)
    return CalibrationStore(
        engine=database,
        archive=open_archive(settings.archive_place, settings.minimum_free_disk_mb * _MEGABYTE),
        timezone=ZoneInfo(settings.timezone),
        pseudonym_key=key,
        context=_run_context(settings, triggered_by, run_id),
        source=source,
    )


def open_dry_run_store(settings: Settings) -> DryRunStore:
    """Open the store of a dry run; creates nothing, neither a database nor a key.

    Raises
    ------
    DatabaseUnavailableError
        There is no database yet.
    NightBlockedError, BadInputError
        As `open_store`.
    """
    url = _revealed(settings.database_url)
    database = open_database(url, settings.home, read_only=True, create=False)
    with _closed_on_failure(database):
        _require_reapplied(database, settings)
        # Before the first night there is no key, and which one it is changes no result.
        key = _pseudonym_key(settings, database, keep=False)
    return DryRunStore(
        engine=database,
        archive=open_archive(settings.archive_place),
        timezone=ZoneInfo(settings.timezone),
        pseudonym_key=key,
        context=_run_context(settings, "dry run", "none"),
        source=choose_source(settings.source, settings.home, keep=False),
    )


def engine_of(settings: Settings) -> AbstractContextManager[Engine]:
    """Open where passes over the answers run: this process, or the cluster that is set.

    Raises
    ------
    EngineError
        Dask isn't installed.
    """
    return open_engine(
        settings.dask_scheduler,
        ShardFiles(settings.archive_place),
        settings.dask_timeout_seconds,
    )


def _require_reapplied(database: Database, settings: Settings) -> None:
    with database.connect() as connection:
        require_reapplied(connection, settings.home / "forgotten")


@contextmanager
def _closed_on_failure(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.dispose()
        raise


def _run_context(settings: Settings, triggered_by: str, run_id: str) -> RunContext:
    return RunContext(
        triggered_by=triggered_by,
        orchestrator_run_id=run_id,
        configuration=asdict(settings.policy)
        | {"timezone": settings.timezone, "source": settings.source.stated},
        package_versions={name: version(name) for name in LOGGED_PACKAGES},
    )


def heartbeat_of(settings: Settings) -> Heartbeat:
    """Put the heartbeat together: an hour after the next run it is overdue."""
    timezone = ZoneInfo(settings.timezone)
    return WatchdogHeartbeat(
        folder=settings.home,
        url=_revealed(settings.heartbeat_url),
        next_expected=lambda now: next_run(now, settings.run_hour, timezone) + timedelta(hours=1),
    )


def _newest_finished_night(settings: Settings) -> date | None:
    database = _open_database(settings)
    try:
        return newest_finished_night(database)
    finally:
        database.dispose()


def _freshness(settings: Settings) -> Freshness:
    url = _revealed(settings.database_url)
    database = open_database(url, settings.home, read_only=True, create=False)
    try:
        return read_freshness(database)
    finally:
        database.dispose()


def _pseudonym_key(settings: Settings, database: Database, *, keep: bool = True) -> bytes:
    return known_key(_revealed(settings.pseudonym_key), settings.home, database, keep=keep)


def _open_database(settings: Settings) -> Database:
    return open_database(_revealed(settings.database_url), settings.home)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


defs = build_definitions(load_settings())
