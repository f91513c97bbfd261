"""What is odd about a night's answers: what is said, and what is no news."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from calibration_pipeline.policy.answer_remarks import answer_remarks, bad_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import DayRevision

NIGHT = date(2026, 3, 31)  # a Tuesday
POLICY = CalibrationConfiguration()


def revision(age: int, rows: int, **left_out: int) -> DayRevision:
    day = NIGHT - timedelta(days=age)
    return DayRevision(day, 1, "", rows - sum(left_out.values()), rows // 10, left_out)


def school(days: int = 30, **changed: DayRevision) -> dict[date, DayRevision]:
    """A window with 1000 rows on each weekday and none on weekends."""
    found = [
        revision(age, 0 if (NIGHT - timedelta(days=age)).weekday() >= 5 else 1000)
        for age in range(days)
    ]
    return {each.day: each for each in [*found, *changed.values()]}


def remarks(window: Mapping[date, DayRevision], night: date = NIGHT, ahead: int = 0) -> list[str]:
    return list(answer_remarks(night, window, ahead, POLICY))


def test_a_usual_window_is_not_worth_a_word() -> None:
    assert remarks(school()) == []
    assert remarks({}) == []


@pytest.mark.parametrize("age", range(29))
def test_neither_are_weekends_once_they_are_known(age: int) -> None:
    window = {day: found for day, found in school().items() if day <= NIGHT - timedelta(days=age)}
    assert remarks(window, NIGHT - timedelta(days=age)) == []


def test_a_bad_day_of_the_window_is_named_until_it_leaves() -> None:
    window = school(bad=revision(29, 1000, non_binary_score=50, session_incomplete=300))
    (said,) = remarks(window)
    assert "50 of 1,000 rows of 2026-03-02 are bad (5.0%; at most 1.0%)" in said
    assert "every window up to the night of 2026-03-31" in said
    assert "`calibrate night --date 2026-03-02 --refresh`" in said
    assert [found.day for found in bad_days(window, POLICY)] == [date(2026, 3, 2)]


def test_of_the_nights_own_day_the_verdict_tells() -> None:
    assert remarks(school(own=revision(0, 1000, non_binary_score=50))) == []


def test_rows_of_days_that_are_yet_to_come() -> None:
    (said,) = remarks(school(), ahead=1200)
    assert said.startswith("the source holds 1,200 rows of days that are yet to come")


def test_masses_of_duplicates() -> None:
    assert remarks(school(own=revision(0, 1000, duplicate=50))) == []
    (said,) = remarks(school(own=revision(0, 2000, duplicate=1000)))
    assert "1,000 of 2,000 rows of 2026-03-31 are there more than once (50%)" in said


def test_a_day_is_thin_beside_the_same_days_of_the_week() -> None:
    assert remarks(school(own=revision(0, 200))) == []
    (said,) = remarks(school(own=revision(0, 199)))
    assert said.startswith("2026-03-31 has 199 rows where such a day has 1,000: see whether")


def test_a_source_that_has_stopped_says_since_when() -> None:
    stopped = {f"of_{age}": revision(age, 0) for age in range(3)}
    (said,) = remarks(school(**stopped))
    assert "has no rows where such a day has 1,000, the newest answers are of 2026-03-27" in said


def test_a_young_programme_is_compared_with_its_thinnest_day() -> None:
    week = [revision(age, 1200 - 100 * age) for age in range(1, 8)]
    window = {found.day: found for found in week}
    assert remarks(window | {NIGHT: revision(0, 100)}) == []
    assert len(remarks(window | {NIGHT: revision(0, 99)})) == 1
    few = {day: found for day, found in window.items() if day > NIGHT - timedelta(days=5)}
    assert remarks(few | {NIGHT: revision(0, 1)}) == []
