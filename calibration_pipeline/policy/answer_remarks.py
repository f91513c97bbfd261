"""What is odd about a night's answers and stops nothing: it is said, so that somebody looks."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from statistics import median

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.quarantine_reasons import bad_rows
from calibration_pipeline.policy.verdicts import too_many_bad_rows
from calibration_pipeline.records import DayRevision

MANY_DUPLICATES = 0.05
"""Share of a day's rows: retries now and then stay far below, a job that logs twice is at half."""
THIN_SHARE = 0.2
"""Of the rows that such a day has: less than holidays leave, and what half an outage does."""
FEWEST_WEEKDAYS = 3
"""Same days of the week from which on they say what is usual; before, the thinnest day does."""
FEWEST_DAYS = 7
"""A week has every kind of day in it."""


def answer_remarks(
    night: date,
    window: Mapping[date, DayRevision],
    rows_ahead: int,
    configuration: CalibrationConfiguration,
) -> tuple[str, ...]:
    """List what somebody should look at, the most serious first; empty when all is as usual.

    Parameters
    ----------
    night
        The night's own day.
    window
        The newest extraction of each day of its window that has one, its own among them.
    rows_ahead
        Rows of the source that belong to days which are yet to come.
    """
    earlier = {day: revision for day, revision in window.items() if day < night}
    own = window.get(night)
    remarks = [bad_day_remark(day, configuration) for day in bad_days(earlier, configuration)]
    if rows_ahead:
        remarks.append(
            f"the source holds {rows_ahead:,} rows of days that are yet to come: nights take them "
            "in when their day has come, as if they were true; set the clock that dates them, or "
            "take them out"
        )
    if own is not None:
        remarks += filter(None, [_duplicates(own), _thin_day(own, earlier)])
    return tuple(remarks)


def bad_days(
    window: Mapping[date, DayRevision], configuration: CalibrationConfiguration
) -> list[DayRevision]:
    """List the days with more bad rows than stop their own night, oldest first."""
    return [window[day] for day in sorted(window) if too_many_bad_rows(window[day], configuration)]


def bad_day_remark(revision: DayRevision, configuration: CalibrationConfiguration) -> str:
    """Say that a bad day counts in later windows, for how long, and what takes it out of them."""
    bad, rows = bad_rows(revision.quarantine_counts), _rows(revision)
    stays = stays_in_windows(revision.day, configuration)
    return (
        f"{bad:,} of {rows:,} rows of {revision.day} are bad ({bad / rows:.1%}; at most "
        f"{configuration.maximum_quarantined_share:.1%}): {stays}; mend the source and run "
        f"`calibrate night --date {revision.day} --refresh`"
    )


def stays_in_windows(day: date, configuration: CalibrationConfiguration) -> str:
    """Say how long the sessions of a bad day that lost no answer count."""
    last = day + timedelta(days=configuration.window_days - 1)
    return f"its other sessions count in every window up to the night of {last}"


def _duplicates(own: DayRevision) -> str:
    duplicates, rows = own.quarantine_counts.get("duplicate", 0), _rows(own)
    if duplicates <= MANY_DUPLICATES * rows:
        return ""
    return (
        f"{duplicates:,} of {rows:,} rows of {own.day} are there more than once "
        f"({duplicates / rows:.0%}): see what writes answers twice"
    )


def _thin_day(own: DayRevision, earlier: Mapping[date, DayRevision]) -> str:
    """Compare a day with the same days of the week before it, or with the thinnest of all days."""
    usual, rows = _usual_rows(own.day, earlier.values()), _rows(own)
    if rows >= THIN_SHARE * usual:
        return ""
    newest = max((day for day, revision in earlier.items() if _rows(revision)), default=None)
    since = f", the newest answers are of {newest}" if newest and not rows else ""
    return (
        f"{own.day} has {rows or 'no'} rows where such a day has {usual:,.0f}{since}: see whether "
        "the source is complete; what comes later is taken in by a later night"
    )


def _usual_rows(day: date, earlier: Iterable[DayRevision]) -> float:
    before = list(earlier)
    same = [_rows(found) for found in before if found.day.weekday() == day.weekday()]
    if len(same) >= FEWEST_WEEKDAYS:
        return median(same)
    return min(map(_rows, before)) if len(before) >= FEWEST_DAYS else 0


def _rows(revision: DayRevision) -> int:
    return revision.response_count + sum(revision.quarantine_counts.values())
