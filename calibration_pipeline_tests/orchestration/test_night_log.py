"""Progress and timings of a run, with a clock of the test's own."""

from datetime import date, timedelta

import pytest

from calibration_pipeline.orchestration.night_log import NightLog, silent

NIGHTS = [date(2026, 3, 1) + timedelta(days=n) for n in range(3)]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_night_of_each_step_is_timed() -> None:
    clock = Clock()
    log = NightLog(silent, clock)
    for step, seconds in (("fit", 2.0), ("flag", 0.5)):
        for number, _ in enumerate(log.nights(step, NIGHTS), start=1):
            clock.now += seconds * number
    assert log.timings[NIGHTS[0]] == {"fit": 2.0, "flag": 0.5}
    assert log.timings[NIGHTS[2]] == {"fit": 6.0, "flag": 1.5}


def test_progress_says_where_a_step_is_and_that_it_has_ended() -> None:
    told: list[tuple[str, date, int, int]] = []
    list(NightLog(lambda *report: told.append(report)).nights("fit", NIGHTS))
    assert told == [
        ("fit", NIGHTS[0], 0, 3),
        ("fit", NIGHTS[1], 1, 3),
        ("fit", NIGHTS[2], 2, 3),
        ("fit", NIGHTS[2], 3, 3),
    ]


def test_no_night_gives_no_report() -> None:
    def fail(*_: object) -> None:
        pytest.fail("there is nothing to report")

    assert list(NightLog(fail).nights("fit", [])) == []
