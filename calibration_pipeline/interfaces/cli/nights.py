"""`calibrate night` and `calibrate backfill`: calibrate one night, or a range of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.errors import BadInputError, DatabaseUnavailableError
from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
    progress,
    say,
)
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.progress import Reporter
from calibration_pipeline.interfaces.cli.stale_nights import stale_summary
from calibration_pipeline.records import PUBLISHED_NOTHING
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import NightAcceptance
    from calibration_pipeline.store.history import NightOutcome

STEPS = 9
"""Assets of the chain, which is what the progress bar counts per night."""


def _not_blank(_context: click.Context, _option: click.Parameter, text: str) -> str:
    if not text.strip():
        raise click.BadParameter("say who or what triggers the run, or leave the option out.")
    return text


triggered_by_option = click.option(
    "--triggered-by",
    default="command line",
    show_default=True,
    callback=_not_blank,
    help="For the run log.",
)
refresh_option = click.option(
    "--refresh", is_flag=True, help="Extract again, and use the newest revision of every day."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Compute and print everything; write no row, file or event."
)


@click.command()
@click.option("--date", "day", type=DAY, help="Local day to process.  [default: yesterday]")
@triggered_by_option
@refresh_option
@dry_run_option
@click.option("--accept-rejected", is_flag=True, help="Accept the rejected fit of the newest try.")
@click.option("--reason", help="Why it is accepted; kept with the night's state.")
@json_option
def night(
    day: datetime | None,
    triggered_by: str,
    refresh: bool,
    dry_run: bool,
    accept_rejected: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Calibrate one night, as the schedule does at 04:00.

    Extracts the window's answers where they changed, fits, raises flags, links, audits and
    publishes. Exit code 1 when the night was rejected, failed its audit or crashed; a night with
    too few answers for anything is no error. Later nights that rested on what an old one gave
    before are stale then; what rebuilds them is said.

    Example: calibrate night --date 2026-11-20 --triggered-by cohort_end
    """
    _check_acceptance(day, reason, accept_rejected=accept_rejected, dry_run=dry_run)
    settings = load_settings()
    chosen = day.date() if day else _yesterday(settings)
    if dry_run:
        _rehearse(settings, chosen, chosen, refresh=refresh, as_json=as_json)
        return
    acceptance = _accept(chosen, reason or "") if accept_rejected else None
    try:
        _calibrate(settings, chosen, chosen, triggered_by, refresh=refresh, as_json=as_json)
    finally:
        if acceptance:
            _tell_what_came_of(acceptance)


@click.command()
@click.option("--from", "first", type=DAY, required=True, help="First local day.")
@click.option("--to", "last", type=DAY, help="Last local day.  [default: yesterday]")
@triggered_by_option
@refresh_option
@dry_run_option
@json_option
def backfill(
    first: datetime,
    last: datetime | None,
    triggered_by: str,
    refresh: bool,
    dry_run: bool,
    as_json: bool,
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
            if last
            else f"--from {first.date()} is after yesterday, {newest}: no later night can be run"
        )
    if dry_run:
        _rehearse(settings, first.date(), newest, refresh=refresh, as_json=as_json)
    else:
        _calibrate(settings, first.date(), newest, triggered_by, refresh=refresh, as_json=as_json)


def _check_acceptance(
    day: datetime | None, reason: str | None, *, accept_rejected: bool, dry_run: bool
) -> None:
    if accept_rejected and (day is None or not reason):
        raise click.UsageError("--accept-rejected needs --date and --reason.")
    if accept_rejected and dry_run:
        raise click.UsageError("--accept-rejected is a decision, --dry-run writes none.")
    if reason and not accept_rejected:
        raise click.UsageError("--reason goes with --accept-rejected.")


def _accept(night: date, reason: str) -> "NightAcceptance":
    from calibration_pipeline.interfaces.cli.operator import operator_name
    from calibration_pipeline.orchestration.acceptance import accept_rejected

    with configured_database() as database:
        return accept_rejected(database, night, reason=reason, decided_by=operator_name())


def _tell_what_came_of(acceptance: "NightAcceptance") -> None:
    from calibration_pipeline.orchestration.acceptance import what_came_of
    from calibration_pipeline.store.states import read_state

    with configured_database() as database:
        say(what_came_of(acceptance, read_state(database, acceptance.partition)))


def _rehearse(settings: Settings, first: date, last: date, *, refresh: bool, as_json: bool) -> None:
    from calibration_pipeline.interfaces.cli.dry_run import rehearse

    nights = rehearse(settings, first, last, refresh=refresh, as_json=as_json)
    if any(night.outcome.outcome in PUBLISHED_NOTHING for night in nights):
        raise click.exceptions.Exit(1)


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
            "flags": "Flags",
            "seconds": "Seconds",
            "reason": "Reason",
        }
        lines = [flags_line(outcome.counts) for outcome in outcomes]
        print_table([row | {"flags": line} for row, line in zip(rows, lines, strict=True)], columns)
    if stale := staleness.describe(since=first):
        say(stale)
    if any(row["outcome"] in PUBLISHED_NOTHING for row in rows):
        raise click.exceptions.Exit(1)


def flags_line(counts: Mapping[str, int]) -> str:
    """Say how flags stood after a night, as its page does; empty where none were looked for."""
    from calibration_pipeline.records import FlagCounts

    found = FlagCounts.from_named(counts)
    return str(found) if found else ""


def run_with_progress(
    settings: Settings, first: date, last: date, triggered_by: str, *, refresh: bool = False
) -> Sequence["NightOutcome"]:
    """Run a range of nights with a progress bar; give each night's outcome back."""
    with ExitStack() as stack:
        with progress("Starting", total=None) as starting:
            starting.describe("Starting Dagster")
            from calibration_pipeline.definitions import build_definitions, heartbeat_of
            from calibration_pipeline.orchestration.failures import tell_of_crash
            from calibration_pipeline.orchestration.instance import open_instance
            from calibration_pipeline.orchestration.launch import run_nights
            from calibration_pipeline.store.history import outcomes_of_run

            heartbeat = heartbeat_of(settings)
            try:
                with configured_database():
                    pass  # one that can't be used is better known before Dagster is up
                instance = stack.enter_context(open_instance(Path.cwd()))
            except DatabaseUnavailableError as error:
                for warning in tell_of_crash(error, last, heartbeat):
                    say(warning)
                raise
        n_nights = (last - first).days + 1
        bar = stack.enter_context(progress("Calibrating", total=n_nights * STEPS))
        report = step_reporter(bar)
        run_id = run_nights(
            build_definitions(settings, report),
            instance,
            first,
            last,
            triggered_by=triggered_by,
            refresh=refresh,
            heartbeat=heartbeat,
        )
    with configured_database() as database:
        return outcomes_of_run(database, run_id)


def step_reporter(bar: Reporter) -> Callable[[str, date, int, int], None]:
    """Turn what a run reports of its steps into steps of a progress bar."""
    finished: dict[str, int] = {}

    def report(step: str, day: date, done: int, _total: int) -> None:
        bar.describe(f"{step} {day}")
        bar.advance(done - finished.get(step, 0))
        finished[step] = done

    return report
