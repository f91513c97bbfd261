"""Progress on a terminal and in a pipe."""

import io
import time

import pytest

from calibration_pipeline.interfaces.cli import progress as module
from calibration_pipeline.interfaces.cli.progress import BarReporter, LineReporter, progress
from calibration_pipeline_tests.processes import PATIENCE_SECONDS


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Importing", total=3) as reporter:
        reporter.advance(3)
    assert capsys.readouterr() == ("", "")


def test_long_work_prints_a_line_now_and_then() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = LineReporter("Importing", 2000, stream, clock)
    for _ in range(10):
        clock.now += 1
        reporter.advance(200)
    reporter.close(succeeded=True)
    assert stream.getvalue().splitlines() == [
        "Importing: 400 of 2,000",
        "Importing: 1,400 of 2,000",
        "Importing: 2,000 of 2,000, done after 10 s",
    ]


def test_work_without_a_known_end_counts_and_says_where_it_stopped() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = LineReporter("Reading", None, stream, clock)
    reporter.advance(7)
    clock.now += 3
    reporter.describe("Writing")
    reporter.close(succeeded=False)
    assert stream.getvalue() == "Writing: 7\nWriting: 7, stopped after 3 s\n"


def test_each_part_of_the_work_has_steps_of_its_own() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = LineReporter("Restoring", None, stream, clock)
    clock.now += 3
    reporter.reach("Checking files", 4, 12)
    clock.now += 6
    reporter.reach("Restoring the tables", 0, 1)
    reporter.close(succeeded=True)
    assert stream.getvalue().splitlines() == [
        "Checking files: 4 of 12",
        "Restoring the tables: 0 of 1",
        "Restoring: done after 9 s",
    ]
    bar = BarReporter("Restoring", None, terminal := Terminal())
    bar._bar.start()
    bar.reach("Checking files", 4, 12)
    bar.close(succeeded=True)
    assert "Checking files, 4 of 12" in terminal.getvalue()


def test_a_line_appears_by_itself_once_one_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.05)
    stream = io.StringIO()
    reporter = LineReporter("Learning", 1, stream)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)  # as a long first step does: it tells nothing
    assert stream.getvalue() == "Learning: 0 of 1\n"
    reporter.advance()  # a line has just been printed, so that none is due
    assert stream.getvalue() == "Learning: 0 of 1\n"
    reporter.close(succeeded=True)
    assert stream.getvalue().splitlines()[-1].startswith("Learning: 1 of 1, done after")


def test_work_that_stops_says_in_which_part() -> None:
    clock, stream = Clock(), io.StringIO()
    reporter = LineReporter("Restoring", None, stream, clock)
    clock.now += 3
    reporter.reach("Checking files", 4, 12)
    reporter.close(succeeded=False)
    last = stream.getvalue().splitlines()[-1]
    assert last == "Checking files: 4 of 12, stopped after 3 s"


def test_a_bar_appears_by_itself_once_the_work_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.05)
    stream = Terminal()
    reporter = BarReporter("Fitting", 4, stream)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "Fitting" not in stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.02)  # as a long first step does: it tells nothing
    reporter.advance()
    reporter.close(succeeded=True)
    assert "0/4" in stream.getvalue()


def test_a_bar_stays_away_from_short_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 3600.0)
    stream = Terminal()
    reporter = BarReporter("Fitting", 4, stream)
    reporter.advance(4)
    reporter.close(succeeded=True)
    assert "Fitting" not in stream.getvalue()


def test_an_error_in_the_work_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), progress("Dividing"):
        _ = 1 / 0
