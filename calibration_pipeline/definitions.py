"""Composition root: settings in, Dagster definitions out. Nothing is opened at import."""

import secrets
import warnings
from dataclasses import asdict
from datetime import date, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import SecretStr

from calibration_pipeline.orchestration.assets import (
    anchor_link,
    calibration_snapshot,
    candidate_abilities,
    item_exposure,
    item_fits,
    item_flags,
    night_outcome,
    nightly_report,
    responses,
)
from calibration_pipeline.orchestration.heartbeat import Heartbeat, WatchdogHeartbeat, no_heartbeat
from calibration_pipeline.orchestration.night_log import Report, silent
from calibration_pipeline.orchestration.partitions import daily_partitions
from calibration_pipeline.orchestration.resources import OpenStore, build_resources
from calibration_pipeline.orchestration.retention import retention_job, retention_schedule
from calibration_pipeline.orchestration.schedule import nightly_job, nightly_schedule
from calibration_pipeline.policy.catching_up import next_run
from calibration_pipeline.settings import Settings, load_settings
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.calibration_store import CalibrationStore, RunContext
from calibration_pipeline.store.connection import Database, open_database
from calibration_pipeline.store.dry_run_store import DryRunStore
from calibration_pipeline.store.history import newest_finished_night
from calibration_pipeline.store.pseudonyms import KEY_FILE, pseudonym_key

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
    job = nightly_job()
    cleaning = retention_job(settings.retention_days, settings.run_history_days)
    return dg.Definitions(
        assets=[
            responses.build(partitions),
            item_fits.build(partitions, settings.policy.window_days),
            item_flags.build(partitions),
            anchor_link.build(partitions),
            calibration_snapshot.build(partitions),
            candidate_abilities.build(partitions),
            item_exposure.build(partitions),
            nightly_report.build(partitions),
            night_outcome.build(partitions),
        ],
        jobs=[job, cleaning],
        schedules=[
            nightly_schedule(
                job,
                settings.run_hour,
                settings.timezone,
                settings.first_day,
                lambda: _newest_finished_night(settings),
            ),
            retention_schedule(cleaning, settings.run_hour, settings.timezone),
        ],
        # Runs of single assets too: the lock is a run's, and several processes can't share it.
        executor=dg.in_process_executor,
        resources=build_resources(
            open_run_store,
            settings.policy,
            settings.home / "reports",
            report,
            heartbeat,
        ),
    )


def open_store(settings: Settings, triggered_by: str, run_id: str) -> CalibrationStore:
    """Open the store for a run; entering it takes the calibration lock."""
    return CalibrationStore(
        engine=_open_database(settings),
        archive=Archive(settings.home / "archive", settings.minimum_free_disk_mb * _MEGABYTE),
        timezone=ZoneInfo(settings.timezone),
        pseudonym_key=_pseudonym_key(settings),
        context=_run_context(settings, triggered_by, run_id),
    )


def open_dry_run_store(settings: Settings) -> DryRunStore:
    """Open the store of a dry run; creates nothing, neither a database nor a key.

    Raises
    ------
    DatabaseUnavailableError
        There is no database yet.
    """
    url = _revealed(settings.database_url)
    key = settings.pseudonym_key or (settings.home / KEY_FILE).exists()
    return DryRunStore(
        engine=open_database(url, settings.home, read_only=True, create=False),
        archive=Archive(settings.home / "archive"),
        timezone=ZoneInfo(settings.timezone),
        # Which key it is changes no result.
        pseudonym_key=_pseudonym_key(settings) if key else secrets.token_bytes(32),
        context=_run_context(settings, "dry run", "none"),
    )


def _run_context(settings: Settings, triggered_by: str, run_id: str) -> RunContext:
    return RunContext(
        triggered_by=triggered_by,
        orchestrator_run_id=run_id,
        configuration=asdict(settings.policy) | {"timezone": settings.timezone},
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


def _pseudonym_key(settings: Settings) -> bytes:
    return pseudonym_key(_revealed(settings.pseudonym_key), settings.home)


def _open_database(settings: Settings) -> Database:
    return open_database(_revealed(settings.database_url), settings.home)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


defs = build_definitions(load_settings())
