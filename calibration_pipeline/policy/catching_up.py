"""When nights are due, and which of those that are missing a run does."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

MAXIMUM_CATCH_UP_DAYS = 30
"""Nights that one scheduled run does at most: a run that fails on its way does them all again."""

Nights = tuple[date, date]
"""The first and the last night of a range."""


def next_run(now: datetime, hour: int, timezone: ZoneInfo) -> datetime:
    """Give the next moment of the schedule, in local time.

    Parameters
    ----------
    now
        Any moment; one of the schedule's own counts as past.
    hour
        Local hour of the nightly run.
    """
    today = now.astimezone(timezone).date()
    moment = _run_on(today, hour, timezone)
    return moment if moment > now else _run_on(today + timedelta(days=1), hour, timezone)


def newest_due_night(now: datetime, hour: int, timezone: ZoneInfo) -> date:
    """Give the newest night that the schedule has had a moment for: the day before the last one."""
    return next_run(now, hour, timezone).date() - timedelta(days=2)


def _run_on(day: date, hour: int, timezone: ZoneInfo) -> datetime:
    local = datetime(day.year, day.month, day.day, hour, tzinfo=timezone)
    # There and back: an hour that the clocks jump over in spring becomes the one after it.
    return local.astimezone(ZoneInfo("UTC")).astimezone(timezone)


def missing_nights(newest: date | None, last: date, first_day: date) -> Nights | None:
    """Give the range of nights that are missing; None if none is.

    Parameters
    ----------
    newest
        The newest night that has ended. Before the first night none but `last` is missing: how far
        back a programme shall begin is for a person to say.
    last
        The last night that should be there.
    first_day
        No night is before it.
    """
    if newest is None:
        newest = last - timedelta(days=1)
    first = max(newest + timedelta(days=1), first_day)
    return (first, last) if first <= last else None


def nights_of_one_run(missing: Nights) -> Nights:
    """Give the nights that the next scheduled run does, `MAXIMUM_CATCH_UP_DAYS` at most.

    The oldest come first, so that every night starts from the one before it and none is left out;
    the run after it does the next ones.
    """
    first, last = missing
    return first, min(last, first + timedelta(days=MAXIMUM_CATCH_UP_DAYS - 1))


def count(nights: Nights) -> int:
    """Count the nights of a range."""
    return (nights[1] - nights[0]).days + 1
