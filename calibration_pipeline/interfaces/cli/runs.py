"""``calibrate runs``: the run log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
)
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.run_log import LoggedRun

_COLUMNS = {
    "run": "Run",
    "night": "Night",
    "outcome": "Outcome",
    "started": "Started",
    "seconds": "Secs",
    "triggered_by": "By",
}
_ID_DIGITS = 8
"""Of a run's id in a table: enough to tell it from all others."""


@click.group()
def runs() -> None:
    """Look at the run log: who ran which night, with what, and how it ended.

    Example: calibrate runs list --night 2026-11-20
    """


@runs.command("list")
@click.option("--night", type=DAY, help="Only the tries at this night.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Newest.")
@json_option
def list_command(night: datetime | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first; below the table, what there is to say of each.

    Example: calibrate runs list --limit 50 --json
    """
    settings = load_settings()
    chosen: date | None = night.date() if night else None
    with configured_database(create=False) as database:
        from calibration_pipeline.store.run_log import list_runs

        found = list_runs(database, night=chosen, limit=limit)
    if as_json:
        print_json([document(run) for run in found])
        return
    print_table(
        [_row(run, ZoneInfo(settings.timezone)) for run in found],
        _COLUMNS,
        empty="No night has been run yet.",
        whole=[key for key in _COLUMNS if key != "triggered_by"],
    )
    for run in found:
        if run.reason:
            click.echo(f"\n{run.run_id[:_ID_DIGITS]}, {run.night} {run.outcome}: {run.reason}")


def _row(run: LoggedRun, timezone: ZoneInfo) -> dict[str, Any]:
    """What fits into 80 columns; why a night ended as it did is told below the table."""
    version = run.counts.get("version")
    return {
        "run": run.run_id[:_ID_DIGITS],
        "night": run.night,
        "outcome": run.outcome if version is None else f"{run.outcome}, v{version}",
        "started": f"{run.started_at.astimezone(timezone):%d %b %H:%M}",
        "seconds": round(sum(run.timings.values())) if run.timings else None,
        "triggered_by": run.triggered_by,
    }


@runs.command("show")
@click.argument("run")
@json_option
def show(run: str, as_json: bool) -> None:
    """Show one run, by the first digits of its id: counts, timings, versions of packages.

    The JSON holds the whole configuration too.

    Example: calibrate runs show 3f2a90b1 --json
    """
    with configured_database(create=False) as database:
        from calibration_pipeline.store.run_log import read_run

        found = read_run(database, run)
    if as_json:
        print_json(document(found))
        return
    facts: dict[str, Any] = {
        "night": found.night,
        "outcome": found.outcome,
        "reason": found.reason or "none",
        "triggered by": found.triggered_by,
        "source": _source_of(found.configuration),
        "started": found.started_at,
        "finished": found.finished_at or "not yet",
        "Dagster's run": found.orchestrator_run_id or "none",
        **found.counts,
        **{f"seconds of {step}": seconds for step, seconds in found.timings.items()},
        **{f"version of {name}": text for name, text in found.package_versions.items()},
    }
    print_facts(f"Run {found.run_id}", facts)


def _source_of(configuration: Mapping[str, Any]) -> str:
    """Name the source as the run had it: its kind, and what stands otherwise than by default."""
    source = configuration.get("source")
    if source is None:
        return "not logged by the version that ran it"
    more = [f"{name} {_in_words(value)}" for name, value in source.items() if name != "kind"]
    return "; ".join([source["kind"], *(entry for entry in more if not entry.endswith(" "))])


def _in_words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={own}" for name, own in value.items())
    return "" if value is None else str(value)


def document(run: LoggedRun) -> dict[str, Any]:
    """Give a run as JSON holds it."""
    return asdict(run)
