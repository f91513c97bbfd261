"""``calibrate simulate``: a bank and a response log with known truth."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import json_option, progress, say
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.progress import Reporter
from calibration_pipeline.irt.model import FREE_COORDINATES
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.policy.simulated_programme import (
        SimulatedProgramme,
        SimulationPlan,
    )
    from calibration_pipeline.store.simulated_files import SimulatedFiles

_COUNT = click.IntRange(min=1)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--items", type=_COUNT, default=2400, show_default=True, help="Size of the pool.")
@click.option(
    "--anchors", type=click.IntRange(min=0), default=288, show_default=True, help="Items of it."
)
@click.option("--days", type=_COUNT, default=35, show_default=True, help="Days with sessions.")
@click.option(
    "--sessions-per-day", type=_COUNT, default=500, show_default=True, help="Sessions on each."
)
@click.option("--answers", type=_COUNT, default=30, show_default=True, help="Items per session.")
@click.option(
    "--model",
    type=click.Choice(tuple(FREE_COORDINATES)),
    default="3PL",
    show_default=True,
    help="Model that produces the answers.",
)
@click.option(
    "--last-day",
    type=DAY,
    help="Local day of the last sessions; the last one whose night is due if left out.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random draws."
)
@click.option("--force", is_flag=True, help="Write into a folder that holds something.")
@json_option
def simulate(
    out: Path, last_day: datetime | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Simulate adaptive tests; write a bank, a response log and the truth behind them.

    OUT gets bank.csv and responses.parquet, ready to be imported, and truth.csv with every item's
    true parameters. The same options give the same files; a day is the same in every simulation
    of one pool and seed.

    Example: calibrate simulate --out simulated --items 600 --days 10
    """
    # Here, and not above: Numba takes longer to import than `--help` may.
    from calibration_pipeline.policy.simulated_programme import SimulationPlan

    settings = load_settings()
    chosen = _past_day(last_day.date(), settings) if last_day else newest_complete_day(settings)
    try:
        plan = SimulationPlan(chosen, timezone=settings.timezone, **options)
    except ValueError as error:
        raise BadInputError(f"this can't be simulated: {error}; correct the options") from error
    files = write_simulation(plan, out, replace=force)
    facts = {
        "bank": str(files.bank),
        "responses": str(files.responses),
        "truth": str(files.truth),
        "items": files.item_count,
        "anchors": plan.anchors,
        "answers": files.response_count,
        "first_day": plan.last_day - timedelta(days=plan.days - 1),
        "last_day": plan.last_day,
    }
    print_facts("Simulated", facts, as_json=as_json)
    say(f"Next: calibrate import-bank {files.bank} --model {plan.model}")
    say(f"      calibrate import-responses {files.responses}")


def write_simulation(plan: "SimulationPlan", folder: Path, *, replace: bool) -> "SimulatedFiles":
    """Simulate a plan into a folder, with a progress bar."""
    from calibration_pipeline.policy.simulated_programme import simulate_programme
    from calibration_pipeline.store.simulated_files import write_simulated_files

    programme = simulate_programme(plan)
    with progress("Simulating answers", plan.response_count) as reporter:
        return write_simulated_files(
            folder,
            programme.pool.bank_columns(),
            programme.pool.truth_columns(),
            _days(programme, reporter),
            replace=replace,
        )


def _days(programme: "SimulatedProgramme", reporter: Reporter) -> Iterator[dict[str, Any]]:
    for day in programme.days():
        reporter.describe(f"Simulating answers, {day.day}")
        yield day.columns(programme.pool.item_ids)
        reporter.advance(day.sessions.item.size)


def newest_complete_day(settings: Settings, now: datetime | None = None) -> date:
    """Give the last local day whose night is due; answers from the future are quarantined."""
    now = (now or datetime.now(UTC)).astimezone(ZoneInfo(settings.timezone))
    return (now - timedelta(hours=settings.run_hour)).date() - timedelta(days=1)


def _past_day(wanted: date, settings: Settings) -> date:
    today = datetime.now(ZoneInfo(settings.timezone)).date()
    if wanted >= today:
        raise BadInputError(
            f"--last-day {wanted} is not over yet: choose {today - timedelta(days=1)} "
            "or an earlier day"
        )
    return wanted
