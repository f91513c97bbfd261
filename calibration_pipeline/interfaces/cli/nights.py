"""`calibrate night` and `calibrate backfill`: calibrate one night, or a range of them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
    progress,
    say,
)
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.stale_nights import stale_summary
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.history import NightOutcome

DAY = click.DateTime(["%Y-%m-%d"])
PUBLISHED_NOTHING = ("rejected", "audit_failed", "failed")
STEPS = 9
"""Assets of the chain, which is what the progress bar counts per night."""

triggered_by_option = click.option(
    "--triggered-by", default="command line", show_default=True, help="For the run log."
)
refresh_option = click.option(
    "--refresh", is_flag=True, help="Extract again, and use the newest revision of every day."
)


@click.command()
@click.option("--date", "day", type=DAY, help="Local day to process.  [default: yesterday]")
@triggered_by_option
@refresh_option
@json_option
def night(day: datetime | None, triggered_by: str, refresh: bool, as_json: bool) -> None:
    """Calibrate one night, as the schedule does at 04:00.

    Extracts the window's answers where they changed, fits, raises flags, links, audits and
    publishes. Exit code 1 when the night was rejected, failed its audit or crashed; a night with
    too few answers for anything is no error. Later nights that rested on what an old one gave
    before are stale then; what rebuilds them is said.

    Example: calibrate night --date 2026-11-20 --triggered-by cohort_end
    """
    settings = load_settings()
    chosen = day.date() if day else _yesterday(settings)
    _calibrate(settings, chosen, chosen, triggered_by, refresh=refresh, as_json=as_json)


@click.command()
@click.option("--from", "first", type=DAY, required=True, help="First local day.")
@click.option("--to", "last", type=DAY, help="Last local day.  [default: yesterday]")
@triggered_by_option
@refresh_option
@json_option
def backfill(
    first: datetime, last: datetime | None, triggered_by: str, refresh: bool, as_json: bool
) -> None:
    """Calibrate a range of nights in order, in one run.

    Each night starts from the one before it. Run again after a crash, it does all of its nights
    once more; those that published already give the same again. Exit codes are those of `night`.

    Example: calibrate backfill --from 2026-10-17 --to 2026-11-20
    """
    settings = load_settings()
    newest = last.date() if last else _yesterday(settings)
    if newest < first.date():
        raise BadInputError(
            f"--from {first.date()} is after --to {newest}: give the earlier day first"
        )
    _calibrate(settings, first.date(), newest, triggered_by, refresh=refresh, as_json=as_json)


def _yesterday(settings: Settings) -> date:
    return datetime.now(ZoneInfo(settings.timezone)).date() - timedelta(days=1)


def _calibrate(
    settings: Settings,
    first: date,
    last: date,
    triggered_by: str,
    *,
    refresh: bool,
    as_json: bool,
) -> None:
    outcomes = run_with_progress(settings, first, last, triggered_by, refresh=refresh)
    with configured_database() as database:
        from calibration_pipeline.store.staleness import read_staleness

        staleness = read_staleness(database)
    rows = [
        {
            "night": outcome.partition,
            "outcome": outcome.outcome,
            **outcome.counts,
            "seconds": sum(outcome.timings.values()),
            "reason": outcome.reason,
            "stale_after_it": stale_summary(staleness, since=outcome.partition + timedelta(days=1)),
        }
        for outcome in outcomes
    ]
    if as_json:
        print_json(rows)
    else:
        columns = {
            "night": "Night",
            "outcome": "Outcome",
            "version": "Version",
            "responses": "Responses in window",
            "items_refitted": "Items refitted",
            "seconds": "Seconds",
            "reason": "Reason",
        }
        print_table(rows, columns)
    if stale := staleness.describe(since=first):
        say(stale)
    if any(row["outcome"] in PUBLISHED_NOTHING for row in rows):
        raise click.exceptions.Exit(1)


def run_with_progress(
    settings: Settings, first: date, last: date, triggered_by: str, *, refresh: bool = False
) -> Sequence["NightOutcome"]:
    """Run a range of nights with a progress bar; give each night's outcome back."""
    with progress("Starting", total=None) as starting:
        starting.describe("Starting Dagster")
        from calibration_pipeline.definitions import build_definitions
        from calibration_pipeline.orchestration.instance import open_instance
        from calibration_pipeline.orchestration.launch import run_nights
        from calibration_pipeline.store.history import outcomes_of_run

        with configured_database():
            pass  # one that can't be used is better known before Dagster is up
    n_nights = (last - first).days + 1
    with progress("Calibrating", total=n_nights * STEPS) as bar:
        finished: dict[str, int] = {}

        def report(step: str, day: date, done: int, _total: int) -> None:
            bar.describe(f"{step} {day}")
            bar.advance(done - finished.get(step, 0))
            finished[step] = done

        with open_instance(Path.cwd()) as instance:
            run_id = run_nights(
                build_definitions(settings, report),
                instance,
                first,
                last,
                triggered_by=triggered_by,
                refresh=refresh,
            )
    with configured_database() as database:
        return outcomes_of_run(database, run_id)
