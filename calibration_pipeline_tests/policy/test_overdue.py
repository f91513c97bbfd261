"""What is overdue, and when it is said."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from calibration_pipeline.policy.overdue import Deadlines, due_night, find_overdue
from calibration_pipeline.records import Freshness

ZURICH = ZoneInfo("Europe/Zurich")
DEADLINES = Deadlines(4, 6, ZURICH, timedelta(days=7))


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=ZURICH)


def fresh(accepted: int | None, published: datetime | None = None) -> Freshness:
    night = None if accepted is None else date(2026, 3, accepted)
    return Freshness(night, None if published is None else 12, published)


@pytest.mark.parametrize(
    ("moment", "due"),
    [(at(10, 5, 59), 8), (at(10, 6), 9), (at(10, 23), 9), (at(11, 4, 30), 9), (at(11, 6), 10)],
)
def test_a_night_is_due_at_its_deadline_and_not_before(moment: datetime, due: int) -> None:
    assert due_night(moment, DEADLINES) == date(2026, 3, due)


@pytest.mark.parametrize(("hour", "due"), [(5, 8), (6, 8), (23, 9)])
def test_a_deadline_before_the_run_is_that_of_the_next_day(hour: int, due: int) -> None:
    """A run at 22:00 of the 10th does the 9th, which is due at 06:00 of the 11th or at 23:00."""
    late = Deadlines(22, hour, ZURICH, timedelta(days=7))
    assert due_night(at(10, 23, 30), late) == date(2026, 3, due)


def test_the_deadline_is_local_on_the_days_of_23_and_25_hours() -> None:
    spring = Deadlines(2, 3, ZURICH, timedelta(days=7))
    assert due_night(datetime(2026, 3, 29, 2, 30, tzinfo=ZoneInfo("UTC")), spring) == date(
        2026, 3, 28
    )
    autumn = datetime(2026, 10, 25, 5, 1, tzinfo=ZoneInfo("UTC"))
    assert due_night(autumn, DEADLINES) == date(2026, 10, 24)
    assert due_night(autumn - timedelta(minutes=2), DEADLINES) == date(2026, 10, 23)


def test_a_night_that_is_not_accepted_in_time_is_one_case_for_the_day() -> None:
    first, again = (find_overdue(fresh(8), at(10, hour), DEADLINES) for hour in (6, 23))
    (case,) = first
    assert first == again
    assert (case.key, case.kind) == ("night 2026-03-09", "night overdue")
    assert case.text.startswith("2026-03-09 has not been calibrated and accepted by 06:00")
    (next_day,) = find_overdue(fresh(8), at(11, 6), DEADLINES)
    assert next_day.key == "night 2026-03-10"
    assert next_day.text.startswith("2 nights up to 2026-03-10 have not been")


def test_nothing_is_overdue_before_the_deadline_or_the_first_night() -> None:
    assert find_overdue(fresh(8), at(10, 5, 59), DEADLINES) == ()
    assert find_overdue(fresh(9), at(10, 6), DEADLINES) == ()
    assert find_overdue(fresh(None), at(10, 6), DEADLINES) == ()


def test_an_old_version_is_told_of_though_nights_are_accepted() -> None:
    published = at(3, 4, 10)
    assert find_overdue(fresh(9, published), at(10, 4, 9), DEADLINES) == ()
    (case,) = find_overdue(fresh(9, published), at(10, 6, 10), DEADLINES)
    assert (case.key, case.kind) == ("version 12 on 2026-03-09", "version too old")
    assert case.text.startswith("engines read version 12, which is 7 days old.")
