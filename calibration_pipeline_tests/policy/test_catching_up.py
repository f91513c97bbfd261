"""When nights are due, on every day of the year, and which ones a run catches up on."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from calibration_pipeline.policy.catching_up import (
    MAXIMUM_CATCH_UP_DAYS,
    count,
    missing_nights,
    newest_due_night,
    next_run,
    nights_of_one_run,
)

YESTERDAY = date(2026, 6, 10)
FIRST_DAY = date(2026, 1, 1)
ZURICH = ZoneInfo("Europe/Zurich")


def days(n: int) -> timedelta:
    return timedelta(days=n)


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (None, (YESTERDAY, YESTERDAY)),
        (YESTERDAY - days(1), (YESTERDAY, YESTERDAY)),
        (YESTERDAY - days(4), (YESTERDAY - days(3), YESTERDAY)),
        (YESTERDAY - days(90), (YESTERDAY - days(89), YESTERDAY)),
        (YESTERDAY, None),
        (YESTERDAY + days(1), None),
    ],
)
def test_every_night_since_the_newest_one_is_missing(
    newest: date | None, expected: tuple[date, date] | None
) -> None:
    assert missing_nights(newest, YESTERDAY, FIRST_DAY) == expected


def test_no_night_before_the_first_day_is_missing() -> None:
    assert missing_nights(None, YESTERDAY, YESTERDAY + days(1)) is None
    newest = YESTERDAY - days(9)
    first_day = YESTERDAY - days(2)
    assert missing_nights(newest, YESTERDAY, first_day) == (first_day, YESTERDAY)


@pytest.mark.parametrize("outage", [1, 4, 30, 31, 61, 200])
def test_one_run_after_another_does_every_missing_night_once_and_in_order(outage: int) -> None:
    """A day goes by between two runs, and with it a night more."""
    newest, yesterday, done = YESTERDAY - days(outage), YESTERDAY, []
    while missing := missing_nights(newest, yesterday, FIRST_DAY - days(365)):
        first, last = nights_of_one_run(missing)
        assert count((first, last)) <= MAXIMUM_CATCH_UP_DAYS
        done += [first + days(n) for n in range(count((first, last)))]
        newest = last
        if newest < yesterday:
            yesterday += days(1)
    assert done == [YESTERDAY - days(outage - 1) + days(n) for n in range(len(done))]
    assert done[-1] == yesterday


@pytest.mark.parametrize(
    ("now", "coming", "due"),
    [
        # Local time is UTC+2 in summer and UTC+1 in winter.
        ((2026, 6, 11, 1, 59), (2026, 6, 11, 2), date(2026, 6, 9)),
        ((2026, 6, 11, 2, 0), (2026, 6, 12, 2), date(2026, 6, 10)),
        ((2026, 6, 10, 23, 0), (2026, 6, 11, 2), date(2026, 6, 9)),
        ((2026, 12, 31, 23, 30), (2027, 1, 1, 3), date(2026, 12, 30)),
        # Clocks go forward on 29 March and back on 25 October.
        ((2026, 3, 28, 12, 0), (2026, 3, 29, 2), date(2026, 3, 27)),
        ((2026, 10, 24, 12, 0), (2026, 10, 25, 3), date(2026, 10, 23)),
    ],
)
def test_the_next_run_is_at_four_local_time(
    now: tuple[int, ...], coming: tuple[int, ...], due: date
) -> None:
    moment = datetime(*now, tzinfo=UTC)  # type: ignore[misc, arg-type]
    found = next_run(moment, 4, ZURICH)
    assert found.astimezone(UTC) == datetime(*coming, tzinfo=UTC)  # type: ignore[misc, arg-type]
    assert (found.hour, found.tzinfo) == (4, ZURICH)
    assert newest_due_night(moment, 4, ZURICH) == due


def test_an_hour_that_the_clocks_jump_over_becomes_the_next_one() -> None:
    found = next_run(datetime(2026, 3, 28, 12, tzinfo=UTC), 2, ZURICH)
    assert found.isoformat() == "2026-03-29T03:00:00+02:00"
