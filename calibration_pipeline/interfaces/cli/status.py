"""``calibrate status``: how the programme stands, and whether it needs somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.nights import PUBLISHED_NOTHING
from calibration_pipeline.interfaces.cli.stale_nights import stale_summary
from calibration_pipeline.policy.catching_up import (
    Nights,
    count,
    missing_nights,
    newest_due_night,
    next_run,
    nights_of_one_run,
)
from calibration_pipeline.reports.templating import counted
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.status import EndedNight, ProgrammeStatus

PATIENCE = timedelta(hours=1)
"""How long after its moment a scheduled run may still be on its way to the lock."""
LONGEST_RUN = timedelta(hours=12)
"""A run that is under way for longer hangs, as far as anybody can tell."""
_NO_NIGHT = "none yet: `calibrate night` does one"
_SHOWN = 5
"""Items and days that a line names before it counts the rest."""


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Tell how the programme stands: the newest night, `current`, the next run, what is stale.

    Exit code 1 when somebody has to do something: the newest night published nothing, a night is
    overdue and no run is under way, states rest on others that have been superseded, or a run
    hangs. Made for a monitor: quick, and it changes nothing; it starts the embedded database if
    need be.

    Example: calibrate status --json
    """
    settings = load_settings()
    with configured_database() as database:
        from calibration_pipeline.store.status import read_status

        found = read_status(database, ZoneInfo(settings.timezone))
    schedule = Schedule.at(datetime.now(UTC), found.done, settings)
    problems = needs_attention(found, schedule)
    if as_json:
        print_json(document(found, schedule, problems))
    else:
        rows = [{"what": what, "how": how} for what, how in lines(found, schedule, problems)]
        print_table(rows, {"what": "Calibration", "how": ""})
    if problems:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True)
class Schedule:
    """What the schedule has left undone at a moment, and what it will do next.

    Attributes
    ----------
    now
        The moment, in local time.
    next_run
        The schedule's next moment.
    next_nights
        The nights that it will do; None if there is none for it.
    missing
        Nights that were due and have not ended; None if none is missing.
    overdue
        Those among them whose run should have begun an hour ago.
    passed_over
        Nights between the first and the newest that never ended.
    """

    now: datetime
    next_run: datetime
    next_nights: Nights | None
    missing: Nights | None
    overdue: Nights | None
    passed_over: tuple[date, ...]

    @classmethod
    def at(cls, moment: datetime, done: Sequence[date], settings: Settings) -> Schedule:
        """Compare the nights that have ended, oldest first, with those that were due."""
        zone, hour = ZoneInfo(settings.timezone), settings.run_hour
        newest = done[-1] if done else None

        def missing(last: date) -> Nights | None:
            return missing_nights(newest, last, settings.first_day)

        coming = next_run(moment, hour, zone)
        due = missing(newest_due_night(moment, hour, zone)) if done else None
        overdue = missing(newest_due_night(moment - PATIENCE, hour, zone)) if done else None
        asked_for = missing(coming.date() - timedelta(days=1))
        span = range((done[-1] - done[0]).days) if done else range(0)
        ended = set(done)
        return cls(
            now=moment.astimezone(zone),
            next_run=coming,
            next_nights=nights_of_one_run(asked_for) if asked_for else None,
            missing=due,
            overdue=overdue,
            passed_over=tuple(
                day for n in span if (day := done[0] + timedelta(days=n)) not in ended
            ),
        )


def needs_attention(found: ProgrammeStatus, schedule: Schedule) -> list[str]:
    """Say what a person has to do, one line each; empty when all is well."""
    problems = []
    newest, running, current = found.newest_night, found.running, found.staleness.current
    if newest and newest.outcome in PUBLISHED_NOTHING:
        problems.append(f"{newest.night} published nothing ({newest.outcome}): {newest.reason}")
    hangs = running is not None and schedule.now - running.since > LONGEST_RUN
    if running and hangs:
        problems.append(
            f"{running.name} has been under way since {_local(running.since, schedule)}"
        )
    if schedule.overdue and (running is None or hangs):
        problems.append(
            f"{_range(schedule.overdue)} should have been calibrated by now: is Dagster running? "
            f"`calibrate backfill --from {schedule.overdue[0]}` does it"
        )
    if stale := found.staleness.describe():
        problems.append(stale)
    elif current and current.stale_because:
        problems.append(
            f"`current` rests on a superseded state: {current.night} {current.stale_because}; "
            f"`calibrate night --date {current.night}` tries again"
        )
    return problems


def document(found: ProgrammeStatus, schedule: Schedule, problems: Sequence[str]) -> dict[str, Any]:
    """Give the status as JSON holds it."""
    newest, current, running = found.newest_night, found.staleness.current, found.running
    return {
        "needs_attention": list(problems),
        "newest_night": newest
        and {
            "night": newest.night,
            "outcome": newest.outcome,
            "reason": newest.reason,
            "triggered_by": newest.triggered_by,
            "finished_at": newest.finished_at,
        },
        "current": current
        and {
            "version": current.version,
            "night": current.night,
            "stale_because": current.stale_because or None,
        },
        "next_run": {"at": schedule.next_run, **_range_fields(schedule.next_nights)},
        "missing_nights": schedule.missing and _range_fields(schedule.missing),
        "passed_over_nights": list(schedule.passed_over),
        "running": running and {"holder": running.name, "since": running.since},
        "stale_nights": stale_summary(found.staleness, date.min),
        "late_answers": {
            "answers": sum(late.answers for late in found.late),
            "days": [{"day": late.day, "answers": late.answers} for late in found.late],
        },
        "contradicted_items": [
            {"item_id": item, "content_version": version} for item, version in found.contradicted
        ],
    }


def lines(
    found: ProgrammeStatus, schedule: Schedule, problems: Sequence[str]
) -> list[tuple[str, str]]:
    """Give the status as it stands on a screen."""
    newest, current, running = found.newest_night, found.staleness.current, found.running
    shown = [
        ("newest night", _ended(newest, schedule) if newest else _NO_NIGHT),
        ("current", f"version {current.version} of {current.night}" if current else "none yet"),
        ("next run", _next_run(schedule)),
        ("missing nights", _missing(schedule)),
    ]
    if schedule.passed_over:
        days = _some([str(day) for day in schedule.passed_over])
        shown.append(("passed over", f"{days}; later nights count their answers all the same"))
    if running:
        shown.append(("under way", f"{running.name}, since {_local(running.since, schedule)}"))
    stale = found.staleness.nights
    shown.append(("stale nights", _range((stale[0].night, stale[-1].night)) if stale else "none"))
    if found.late:
        late = sum(day.answers for day in found.late)
        days = _some([f"{day.day} ({day.answers or 'corrected'})" for day in found.late])
        told = f"{late:,} to days that are folded in already: {days}"
        cure = f"`calibrate backfill --from {found.late[0].day} --refresh` takes them in"
        shown.append(("late answers", f"{told}; {cure}"))
    if found.contradicted:
        items = _some([item for item, _ in found.contradicted])
        number = counted(len(found.contradicted), "item")
        shown.append(("carried information dropped", f"{number}: {items}"))
    return [*shown, *(("needs attention", problem) for problem in problems)]


def _ended(newest: EndedNight, schedule: Schedule) -> str:
    finished = newest.finished_at
    at = f" at {_local(finished, schedule)}" if finished else ""
    return f"{newest.night} {newest.outcome}{at}{': ' if newest.reason else ''}{newest.reason}"


def _next_run(schedule: Schedule) -> str:
    nights = schedule.next_nights
    return _moment(schedule.next_run) + (f", for {_range(nights)}" if nights else "")


def _missing(schedule: Schedule) -> str:
    if schedule.missing is None:
        return "none"
    found, coming = schedule.missing, schedule.next_nights
    if coming and coming[1] >= found[1]:
        return f"{_range(found)}; the next run does what is missing"
    return (
        f"{_range(found)}; the next run does {_range(coming) if coming else 'none'}, "
        f"`calibrate backfill --from {found[0]}` all of them"
    )


def _range(nights: Nights) -> str:
    first, last = nights
    return str(first) if first == last else f"{first} to {last} ({count(nights):,} nights)"


def _range_fields(nights: Nights | None) -> dict[str, Any]:
    first, last = nights or (None, None)
    return {"first": first, "last": last, "nights": count(nights) if nights else 0}


def _local(moment: datetime, schedule: Schedule) -> str:
    return _moment(moment.astimezone(schedule.now.tzinfo))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
