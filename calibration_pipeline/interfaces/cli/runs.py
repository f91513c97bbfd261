"""``calibrate runs``: the run log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
)
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts

if TYPE_CHECKING:
    from calibration_pipeline.store.run_log import LoggedRun

_ID_DIGITS = 8
"""Of a run's id in a table: enough to tell it from all others."""


@click.group()
def runs() -> None:
    """Look at the run log: who ran which night, with what, and how it ended.

    Example: calibrate runs list --night 2026-11-20
    """


@runs.command("list")
@click.option("--night", type=click.DateTime(["%Y-%m-%d"]), help="Only the tries at this night.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Newest.")
@json_option
def list_command(night: datetime | None, limit: int, as_json: bool) -> None:
    """List runs, the newest first.

    Example: calibrate runs list --limit 50 --json
    """
    chosen: date | None = night.date() if night else None
    with configured_database(create=False) as database:
        from calibration_pipeline.store.run_log import list_runs

        found = list_runs(database, night=chosen, limit=limit)
    if as_json:
        print_json([document(run) for run in found])
        return
    rows = [
        {
            "run": run.run_id[:_ID_DIGITS],
            "night": run.night,
            "outcome": run.outcome,
            "version": run.counts.get("version"),
            "triggered_by": run.triggered_by,
            "started": f"{run.started_at:%Y-%m-%d %H:%M %Z}",
            "seconds": sum(run.timings.values()) if run.timings else None,
            "reason": run.reason,
        }
        for run in found
    ]
    columns = {
        "run": "Run",
        "night": "Night",
        "outcome": "Outcome",
        "version": "Version",
        "triggered_by": "Triggered by",
        "started": "Started",
        "seconds": "Seconds",
        "reason": "Reason",
    }
    print_table(rows, columns, empty="No night has been run yet.")


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
        "started": found.started_at,
        "finished": found.finished_at or "not yet",
        "Dagster's run": found.orchestrator_run_id or "none",
        **found.counts,
        **{f"seconds of {step}": seconds for step, seconds in found.timings.items()},
        **{f"version of {name}": text for name, text in found.package_versions.items()},
    }
    print_facts(f"Run {found.run_id}", facts)


def document(run: LoggedRun) -> dict[str, Any]:
    """Give a run as JSON holds it."""
    return asdict(run)
