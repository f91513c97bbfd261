"""``calibrate status``: how the programme stands, and whether it needs somebody."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.cli.attention import (
    Problem,
    Schedule,
    local_moment,
    low_disk,
    needs_attention,
    next_command,
    range_text,
)
from calibration_pipeline.interfaces.cli.bad_days import bad_days_of
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database, configured_source
from calibration_pipeline.interfaces.cli.source_check import describe, examine_configured_source
from calibration_pipeline.interfaces.cli.stale_nights import stale_summary
from calibration_pipeline.policy.catching_up import Nights, count
from calibration_pipeline.reports.templating import counted
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.status import EndedNight, ProgrammeStatus

_NO_NIGHT = "none yet: `calibrate night` does one"
_SHOWN = 5
"""Items and days that a line names before it counts the rest."""
_GIBIBYTE = 2**30
_TWO_DAYS = 48
"""Hours up to which an age is told in hours."""


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Tell how the programme stands: the newest night, `current`, the next run, what is stale.

    Exit code 1 when somebody has to do something: the newest night published nothing, a night is
    overdue and no run is under way, states rest on others that have been superseded, a run hangs,
    or the source of answers can't be read. Made for a monitor: quick, and it changes nothing; it
    starts the embedded database if need be, and makes none.

    Example: calibrate status --json
    """
    settings = load_settings()
    with configured_database(create=False) as database:
        from calibration_pipeline.store.status import read_status

        found = read_status(database, ZoneInfo(settings.timezone), configured_source(keep=False))
        if found.newest_night:
            bad = bad_days_of(database, found.newest_night.night, settings.policy)
            found = replace(found, bad_days=tuple(bad))
    if not found.source_problem:
        found = with_source(found, settings)
    schedule = Schedule.at(datetime.now(UTC), found.done, settings)
    free = free_bytes(settings.written_folder)
    problems = needs_attention(found, schedule) + low_disk(free, settings.minimum_free_disk_mb)
    if as_json:
        print_json(document(found, schedule, problems, free))
    else:
        rows = [{"what": what, "how": how} for what, how in lines(found, schedule, problems, free)]
        print_table(rows, {"what": "Calibration", "how": ""})
    if problems:
        raise click.exceptions.Exit(1)


def with_source(found: ProgrammeStatus, settings: Settings) -> ProgrammeStatus:
    """Add what nights would read, or why they can't: before the first night nothing else tells."""
    from calibration_pipeline.store.sources.choosing import is_own_log

    try:
        examined = examine_configured_source(settings)
    except CalibrationError as error:
        return replace(found, source_problem=str(error))
    is_usual = is_own_log(settings.source)
    return replace(found, source="" if is_usual else describe(settings, examined))


def free_bytes(written: Path) -> int:
    """Bytes that are free where a folder is, or will be."""
    existing = next(folder for folder in (written, *written.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def document(
    found: ProgrammeStatus, schedule: Schedule, problems: Sequence[Problem], free: int
) -> dict[str, Any]:
    """Give the status as JSON holds it."""
    newest, current, running = found.newest_night, found.staleness.current, found.running
    switch = found.switch
    return {
        "needs_attention": [problem.text for problem in problems],
        "next_command": next_command(problems) or None,
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
            "published_at": found.published_at,
            "age_hours": _age_hours(found, schedule),
        },
        "publication": switch
        and {
            "is_frozen": switch.is_frozen,
            "since": switch.decided_at,
            "decided_by": switch.decided_by,
            "reason": switch.reason,
        },
        "failed_drafts": [
            {"draft": draft.draft_id, "night": draft.night, "rules": list(draft.rules)}
            for draft in found.failed_drafts
        ],
        "erased_nights": list(found.erased_nights),
        "source": found.source or None,
        "bad_days_in_window": list(found.bad_days),
        "disk_free_bytes": free,
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
    found: ProgrammeStatus, schedule: Schedule, problems: Sequence[Problem], free: int
) -> list[tuple[str, str]]:
    """Give the status as it stands on a screen."""
    newest, running = found.newest_night, found.running
    shown = [
        ("newest night", _ended(newest, schedule) if newest else _NO_NIGHT),
        ("current", _current(found, schedule)),
    ]
    if found.switch and found.switch.is_frozen:
        shown.append(("publication", found.switch.describe()))
    shown += [("next run", _next_run(schedule)), ("missing nights", _missing(schedule))]
    if schedule.passed_over:
        days = _some([str(day) for day in schedule.passed_over])
        shown.append(("passed over", f"{days}; later nights count their answers all the same"))
    if running:
        shown.append(
            ("under way", f"{running.name}, since {local_moment(running.since, schedule)}")
        )
    stale = found.staleness.nights
    shown.append(
        ("stale nights", range_text((stale[0].night, stale[-1].night)) if stale else "none")
    )
    shown += _about_data(found)
    shown.append(("disk free", f"{free / _GIBIBYTE:,.1f} GiB"))
    shown += [("needs attention", problem.text) for problem in problems]
    if command := next_command(problems):
        shown.append(("next command", f"`{command}`"))
    return shown


def _about_data(found: ProgrammeStatus) -> list[tuple[str, str]]:
    """What is worth knowing of answers and drafts, and is no alarm."""
    shown = [("source", found.source)] if found.source else []
    shown += [("bad day in the window", remark) for remark in found.bad_days]
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
    if found.failed_drafts:
        drafts = _some(
            [f"{d.draft_id} of {d.night} ({', '.join(d.rules)})" for d in found.failed_drafts]
        )
        shown.append(("failed drafts", f"{drafts}; `calibrate snapshots drafts` lists them"))
    if found.erased_nights:
        nights = _some([str(night) for night in found.erased_nights])
        shown.append(("touched by erasure", f"{nights}: they can't be repeated to the byte"))
    return shown


def _current(found: ProgrammeStatus, schedule: Schedule) -> str:
    """The version that engines read, and how long ago it was published."""
    current, hours = found.staleness.current, _age_hours(found, schedule)
    if current is None:
        return "none yet"
    shown = f"version {current.version} of {current.night}"
    if hours is None:
        return shown
    age = counted(int(hours), "hour") if hours < _TWO_DAYS else counted(int(hours / 24), "day")
    return f"{shown}, published {age} ago"


def _age_hours(found: ProgrammeStatus, schedule: Schedule) -> float | None:
    if found.published_at is None:
        return None
    return round((schedule.now - found.published_at).total_seconds() / 3600, 1)


def _ended(newest: EndedNight, schedule: Schedule) -> str:
    finished = newest.finished_at
    at = f" at {local_moment(finished, schedule)}" if finished else ""
    return f"{newest.night} {newest.outcome}{at}{': ' if newest.reason else ''}{newest.reason}"


def _next_run(schedule: Schedule) -> str:
    nights = schedule.next_nights
    return local_moment(schedule.next_run, schedule) + (
        f", for {range_text(nights)}" if nights else ""
    )


def _missing(schedule: Schedule) -> str:
    if schedule.missing is None:
        return "none"
    found, coming = schedule.missing, schedule.next_nights
    if coming and coming[1] >= found[1]:
        return f"{range_text(found)}; the next run does what is missing"
    return (
        f"{range_text(found)}; the next run does {range_text(coming) if coming else 'none'}, "
        f"`calibrate backfill --from {found[0]}` all of them"
    )


def _range_fields(nights: Nights | None) -> dict[str, Any]:
    first, last = nights or (None, None)
    return {"first": first, "last": last, "nights": count(nights) if nights else 0}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
