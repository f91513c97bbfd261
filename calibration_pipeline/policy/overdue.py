"""Which nights are overdue, and whether the version in force is too old."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from calibration_pipeline.policy.catching_up import newest_due_night
from calibration_pipeline.records import Freshness


@dataclass(frozen=True)
class Overdue:
    """Something that should have happened by now.

    `key` names the case: as long as it lasts it is one and the same case on every look of a day.
    """

    key: str
    kind: str
    text: str


@dataclass(frozen=True)
class Deadlines:
    """When nights have to be done.

    Attributes
    ----------
    run_hour
        Local hour of the nightly run.
    deadline_hour
        Local hour by which the night must have been accepted; one before `run_hour` is on the next
        day.
    timezone
        Of both.
    maximum_version_age
        Since publication.
    """

    run_hour: int
    deadline_hour: int
    timezone: ZoneInfo
    maximum_version_age: timedelta


def find_overdue(freshness: Freshness, now: datetime, deadlines: Deadlines) -> tuple[Overdue, ...]:
    """Say what is overdue at a moment; nothing before the first accepted night.

    A night that was done and rejected is overdue too: engines go on without it.
    """
    if freshness.accepted_night is None:
        return ()
    found = [
        _overdue_night(freshness.accepted_night, now, deadlines),
        _old_version(freshness, now, deadlines),
    ]
    return tuple(case for case in found if case)


def due_night(now: datetime, deadlines: Deadlines) -> date:
    """Give the newest night whose deadline has passed."""
    deadline = _last_deadline(now, deadlines)
    return newest_due_night(deadline, deadlines.run_hour, deadlines.timezone)


def _last_deadline(now: datetime, deadlines: Deadlines) -> datetime:
    local = now.astimezone(deadlines.timezone)
    at = time(deadlines.deadline_hour, tzinfo=deadlines.timezone)
    today = datetime.combine(local.date(), at)
    return today if today <= local else datetime.combine(local.date() - timedelta(days=1), at)


def _overdue_night(accepted: date, now: datetime, deadlines: Deadlines) -> Overdue | None:
    due = due_night(now, deadlines)
    if accepted >= due:
        return None
    days = (due - accepted).days
    missing = f"{due} has" if days == 1 else f"{days} nights up to {due} have"
    return Overdue(
        f"night {due}",
        "night overdue",
        f"{missing} not been calibrated and accepted by {deadlines.deadline_hour:02d}:00; the "
        f"newest that was is {accepted}. `calibrate status` says why, and what to do",
    )


def _old_version(freshness: Freshness, now: datetime, deadlines: Deadlines) -> Overdue | None:
    if freshness.published_at is None:
        return None
    age = now - freshness.published_at
    if age < deadlines.maximum_version_age:
        return None
    # One case for each day, as an overdue night is.
    return Overdue(
        f"version {freshness.version} on {due_night(now, deadlines)}",
        "version too old",
        f"engines read version {freshness.version}, which is {age.days} days old. `calibrate "
        "status` says whether nights fail or publication is frozen",
    )
