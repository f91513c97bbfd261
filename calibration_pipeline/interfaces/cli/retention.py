"""``calibrate retention``: delete what is older than the retention period."""

from dataclasses import asdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.interfaces.cli.console import json_option, progress
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.settings import load_settings


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@json_option
def retention(dry_run: bool, as_json: bool) -> None:
    """Delete answers, abilities and links to people past their retention period.

    CALIBRATION_RETENTION_DAYS says how long they are kept. Dagster's schedule does this every day.
    Days that a night still needs are never deleted: exit code 1, and nothing is.

    Example: calibrate retention --dry-run
    """
    settings = load_settings()
    timezone = ZoneInfo(settings.timezone)
    with configured_database() as database:
        from calibration_pipeline.store.archive_opening import open_archive
        from calibration_pipeline.store.lock import CalibrationLock
        from calibration_pipeline.store.retention import (
            delete_expired,
            find_expired,
            retention_start,
        )

        archive = open_archive(settings.archive_place)
        before = retention_start(datetime.now(UTC), settings.retention_days, timezone)
        what = "Looking for what has expired" if dry_run else "Deleting what has expired"
        with progress(what) as reporter:
            if dry_run:
                expired = find_expired(database, archive, before, timezone, reporter.reach)
            else:
                with CalibrationLock(database, "calibrate retention") as lock:
                    expired = delete_expired(lock, archive, before, timezone, reporter.reach)
    facts = {"deleted_before": before, "dry_run": dry_run, **asdict(expired)}
    title = "Would be deleted" if dry_run else "Deleted"
    print_facts(title, facts, as_json=as_json)
