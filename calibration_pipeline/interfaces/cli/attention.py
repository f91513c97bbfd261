"""What a programme needs of a person this morning: what is wrong, and the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from calibration_pipeline.policy.catching_up import (
    Nights,
    count,
    missing_nights,
    newest_due_night,
    next_run,
    nights_of_one_run,
)
from calibration_pipeline.records import PUBLISHED_NOTHING
from calibration_pipeline.settings import Settings

if TYPE_CHECKING:
    from calibration_pipeline.store.staleness import Staleness
    from calibration_pipeline.store.status import EndedNight, ProgrammeStatus

PATIENCE = timedelta(hours=1)
"""How long after its moment a scheduled run may still be on its way to the lock."""
_MEGABYTE = 2**20
LONGEST_RUN = timedelta(hours=12)
"""A run that is under way for longer hangs, as far as anybody can tell."""


@dataclass(frozen=True)
class Problem:
    """Something that a person has to do: what is wrong, and the command to begin with.

    `since` is the first night to do again, where a backfill from there mends it.
    """

    text: str
    command: str = ""
    since: date | None = None


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


def needs_attention(found: ProgrammeStatus, schedule: Schedule) -> list[Problem]:
    """List what a person has to do, the most urgent first; empty when all is well."""
    problems = _nights_that_failed(found)
    if found.source_problem:  # first: until it is mended, no night and no rehearsal gets far
        problems.insert(0, Problem(found.source_problem, "calibrate doctor"))
    running = found.running
    hangs = running is not None and schedule.now - running.since > LONGEST_RUN
    if running and hangs:
        since = local_moment(running.since, schedule)
        problems.append(Problem(f"{running.name} has been under way since {since}"))
    if schedule.overdue and (running is None or hangs):
        command = f"calibrate backfill --from {schedule.overdue[0]}"
        text = (
            f"{range_text(schedule.overdue)} should have been calibrated by now: is Dagster "
            f"running? `{command}` does it"
        )
        problems.append(Problem(text, command, schedule.overdue[0]))
    return problems + _stale_nights(found.staleness)


def _nights_that_failed(found: ProgrammeStatus) -> list[Problem]:
    """The newest night, if it published nothing, and earlier ones whose run has stopped."""
    newest = found.newest_night
    if newest is None:
        return []
    problems = []
    if newest.outcome in PUBLISHED_NOTHING:
        text = f"{newest.night} published nothing ({newest.outcome}): {newest.reason}"
        since = newest.night if newest.outcome == "failed" else None
        problems.append(Problem(text, _command_after(newest), since))
    if earlier := [night for night in found.unfinished if night < newest.night]:
        which = range_text((earlier[0], earlier[-1])) if len(earlier) > 1 else str(earlier[0])
        command = f"calibrate backfill --from {earlier[0]}"  # a night takes values from the last
        text = f"{which} did not end, the run had stopped: `{command}` does it again, in order"
        problems.append(Problem(text, command, earlier[0]))
    return problems


def _stale_nights(staleness: Staleness) -> list[Problem]:
    if stale := staleness.describe():
        return [Problem(stale, staleness.command, staleness.nights[0].night)]
    current = staleness.current
    if current is None or not current.stale_because:
        return []
    command = f"calibrate night --date {current.night}"
    text = (
        f"`current` rests on a superseded state: {current.night} {current.stale_because}; "
        f"`{command}` tries again"
    )
    return [Problem(text, command)]


def low_disk(free_bytes: int, minimum_mb: int) -> list[Problem]:
    """Tell where the next extraction would be refused for want of room."""
    free_mb = free_bytes // _MEGABYTE
    if free_mb >= minimum_mb:
        return []
    return [Problem(f"the disk has {free_mb:,} MB free, an extraction leaves {minimum_mb:,} MB")]


def _command_after(night: EndedNight) -> str:
    """The command to begin with after a night that published nothing.

    After a rejection that is to look: a dry run tells the verdict again, and changes nothing.
    """
    again = f"calibrate night --date {night.night}"
    if night.outcome == "rejected":
        return f"{again} --dry-run" if night.has_fit else f"{again} --refresh"
    return "calibrate snapshots drafts" if night.outcome == "audit_failed" else again


def next_command(problems: Sequence[Problem]) -> str:
    """Give the command to begin with; an empty string where none would help.

    Where nights have to be done again for several reasons, the earliest of them comes first.
    """
    first = next((problem for problem in problems if problem.command), None)
    if first is None:
        return ""
    since = min((p.since for p in problems if p.since), default=None)
    if first.since is None or since is None or since == first.since:
        return first.command
    return f"calibrate backfill --from {since}"


def range_text(nights: Nights) -> str:
    """Name a night, or a range of them with their number."""
    first, last = nights
    return str(first) if first == last else f"{first} to {last} ({count(nights):,} nights)"


def local_moment(moment: datetime, schedule: Schedule) -> str:
    """Write a moment in the programme's own time."""
    return f"{moment.astimezone(schedule.now.tzinfo):%Y-%m-%d %H:%M %Z}"
