"""Composition root: settings in, Dagster definitions out. Nothing is opened at import."""

import warnings
from dataclasses import asdict
from datetime import date
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
from calibration_pipeline.orchestration.night_log import Report, silent
from calibration_pipeline.orchestration.partitions import daily_partitions
from calibration_pipeline.orchestration.resources import build_resources
from calibration_pipeline.orchestration.schedule import nightly_job, nightly_schedule
from calibration_pipeline.settings import Settings, load_settings
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.calibration_store import CalibrationStore, RunContext
from calibration_pipeline.store.connection import Database, open_database
from calibration_pipeline.store.history import newest_finished_night
from calibration_pipeline.store.pseudonyms import load_or_create_key

LOGGED_PACKAGES = ("calibration-pipeline", "numpy", "scipy", "numba", "dagster", "pyarrow")
"""Packages whose version can change a number or a byte."""


def build_definitions(settings: Settings, report: Report = silent) -> dg.Definitions:
    """Put the chain together.

    Parameters
    ----------
    settings
        From the environment.
    report
        Told where a run is; the command line's progress bar.
    """
    with warnings.catch_warnings():
        # Single-run backfills and the window's mapping: pinned, and tested with this version.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(settings, report)


def _build(settings: Settings, report: Report) -> dg.Definitions:
    partitions = daily_partitions(settings.first_day, settings.timezone)
    job = nightly_job()
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
        jobs=[job],
        schedules=[
            nightly_schedule(
                job,
                settings.run_hour,
                settings.timezone,
                settings.first_day,
                lambda: _newest_finished_night(settings),
            )
        ],
        # Runs of single assets too: the lock is a run's, and several processes can't share it.
        executor=dg.in_process_executor,
        resources=build_resources(
            lambda trigger, run_id: open_store(settings, trigger, run_id),
            settings.policy,
            settings.home / "reports",
            report,
        ),
    )


def open_store(settings: Settings, triggered_by: str, run_id: str) -> CalibrationStore:
    """Open the store for a run; entering it takes the calibration lock."""
    return CalibrationStore(
        engine=_open_database(settings),
        archive=Archive(settings.home / "archive"),
        timezone=ZoneInfo(settings.timezone),
        pseudonym_key=_pseudonym_key(settings),
        context=RunContext(
            triggered_by=triggered_by,
            orchestrator_run_id=run_id,
            configuration=asdict(settings.policy) | {"timezone": settings.timezone},
            package_versions={name: version(name) for name in LOGGED_PACKAGES},
        ),
    )


def _newest_finished_night(settings: Settings) -> date | None:
    database = _open_database(settings)
    try:
        return newest_finished_night(database)
    finally:
        database.dispose()


def _pseudonym_key(settings: Settings) -> bytes:
    chosen = _revealed(settings.pseudonym_key)
    return chosen.encode() if chosen else load_or_create_key(settings.home / "pseudonym.key")


def _open_database(settings: Settings) -> Database:
    return open_database(_revealed(settings.database_url), settings.home)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


defs = build_definitions(load_settings())
