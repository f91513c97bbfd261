"""``calibrate demo``: all of it, embedded, on a simulated pool with known truth."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError, NightBlockedError
from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.data import import_with_progress
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.demo_summary import print_summary
from calibration_pipeline.interfaces.cli.nights import run_with_progress
from calibration_pipeline.interfaces.cli.simulate import newest_complete_day, write_simulation
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.policy.simulated_programme import SimulationPlan

ANCHOR_SHARE = 0.12
_FAULTY_PER_ITEM = 1 / 1000
"""Of each kind of fault, so that there is something to find; one item at least."""
_LEAKED_DAYS = 10


@click.command()
@click.option("--nights", type=click.IntRange(min=1), default=35, show_default=True)
@click.option("--items", type=click.IntRange(min=100), default=2400, show_default=True)
@click.option("--sessions-per-day", type=click.IntRange(min=10), default=500, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def demo(nights: int, items: int, sessions_per_day: int, seed: int) -> None:
    """Simulate a pool, calibrate it night by night, and compare with the truth.

    Everything stays below CALIBRATION_HOME: an embedded PostgreSQL, the simulated answers, the
    archive and the nightly pages. Run again, it goes on where it stopped.

    Example: calibrate demo --nights 7 --items 600 --sessions-per-day 200
    """
    settings = load_settings()
    options = {"days": nights, "items": items, "sessions_per_day": sessions_per_day, "seed": seed}
    folder = settings.home / "demo"
    plan = _plan(settings, folder, options)
    say(
        f"A pool of {plan.items:,} items ({plan.anchors} anchors) and {plan.days} days with "
        f"{plan.sessions_per_day} adaptive sessions of {plan.answers} answers."
    )
    _prepare(folder, plan)
    _calibrate(settings, plan)
    print_summary(settings, plan)
    _say_what_next(settings)


def _plan(settings: Settings, folder: Path, options: dict[str, Any]) -> "SimulationPlan":
    """A new plan that ends yesterday, or the one that an earlier demo in this home began."""
    from calibration_pipeline.policy.simulated_programme import SimulationPlan

    remembered = folder / "plan.json"
    if not remembered.exists():
        last_day = newest_complete_day(settings)
        leaked_days = min(_LEAKED_DAYS, max(1, options["days"] // 3))
        faulty = max(1, round(_FAULTY_PER_ITEM * options["items"]))
        plan = SimulationPlan(
            last_day=last_day,
            anchors=round(ANCHOR_SHARE * options["items"]),
            miskeyed=faulty,
            leaked=faulty,
            leaked_from=last_day - timedelta(days=leaked_days - 1),
            timezone=settings.timezone,
            **options,
        )
        if plan.last_day - timedelta(days=plan.days - 1) < settings.first_day:
            raise BadInputError(
                f"{plan.days} nights would begin before {settings.first_day}: "
                "ask for fewer, or set CALIBRATION_FIRST_DAY"
            )
        return plan
    stored = json.loads(remembered.read_text())
    days = {
        name: date.fromisoformat(stored[name])
        for name in ("last_day", "leaked_from")
        if stored.get(name)
    }
    plan = SimulationPlan(**(stored | days))
    if {name: getattr(plan, name) for name in options} != options:
        raise BadInputError(
            f"{folder} holds a demo with other options ({plan.items} items, {plan.days} nights, "
            f"{plan.sessions_per_day} sessions a day, seed {plan.seed}): ask for the same, or "
            "choose another CALIBRATION_HOME"
        )
    return plan


def _prepare(folder: Path, plan: "SimulationPlan") -> None:
    """Database, schema, simulated files and their import; each step is skipped where done."""
    with configured_database(check_revision=False) as database:
        from calibration_pipeline.policy.simulated_programme import simulate_programme
        from calibration_pipeline.store.bank import import_bank, read_bank
        from calibration_pipeline.store.schema import migrate

        migrate(database)
        remembered = folder / "plan.json"
        held = read_bank(database, plan.last_day).keys
        own = {(item_id, 1) for item_id in simulate_programme(plan).pool.item_ids}
        if held and (set(held) != own or not remembered.exists()):
            raise BadInputError(
                "the database holds a pool already, which a demo must not mix with: choose "
                "another CALIBRATION_HOME for the demo, and leave CALIBRATION_DATABASE_URL unset"
            )
        if not remembered.exists():
            write_simulation(plan, folder, replace=True)
            remembered.write_text(json.dumps(asdict(plan), default=str))
            remembered.chmod(0o600)
        import_bank(database, folder / "bank.csv", plan.model)
        import_with_progress(database, folder / "responses.parquet")


def _calibrate(settings: Settings, plan: "SimulationPlan") -> None:
    """The nights that this home hasn't calibrated yet."""
    with configured_database() as database:
        from calibration_pipeline.store.history import newest_finished_night

        newest = newest_finished_night(database)
    first = plan.last_day - timedelta(days=plan.days - 1)
    first = first if newest is None else max(first, newest + timedelta(days=1))
    if first > plan.last_day:
        say("All of its nights have been calibrated already.")
        return
    outcomes: Sequence[Any] = run_with_progress(settings, first, plan.last_day, "demo")
    blocked = [o for o in outcomes if o.outcome in ("rejected", "audit_failed", "failed")]
    if blocked:
        raise NightBlockedError(
            f"{len(blocked)} nights published nothing, first {blocked[0].partition}: "
            f"{blocked[0].reason}"
        )


def _say_what_next(settings: Settings) -> None:
    """The commands a newcomer needs now, with the home they belong to if it isn't usual."""
    usual = Path.cwd() / ".calibration"
    prefix = (
        "" if settings.home == usual else f"CALIBRATION_HOME={shlex.quote(str(settings.home))} "
    )
    calibrate = shlex.quote(_own_command())
    say("")
    say(f"Nightly pages:          {settings.home / 'reports' / 'index.html'}")
    if flagged := _strongest_flag():
        say(f"Why an item is flagged: {prefix}{calibrate} item {flagged}")
    say(f"Open Dagster:           {prefix}{calibrate} ui")
    say(f"Shut everything down:   {prefix}{calibrate} db stop   (end the interface before)")
    say("Your own data:          give them a home of their own, see README.md")


def _strongest_flag() -> str | None:
    """Name the item with the strongest open flag; None where nothing is flagged."""
    with configured_database() as database:
        from calibration_pipeline.interfaces.cli.flags.reading import flags_now
        from calibration_pipeline.interfaces.flag_reviews import chosen_reviews, review_document

        waiting = chosen_reviews(flags_now(database), "open")
    if not waiting:
        return None
    strongest = max(waiting, key=lambda review: abs(review.episode.newest.z))
    return str(review_document(strongest)["item"])


def _own_command() -> str:
    command = Path(sys.argv[0])
    try:
        return str(command.relative_to(Path.cwd()))
    except ValueError:
        return str(command)
