"""`calibrate status`: what it says of a programme, and when a monitor should wake somebody."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import sqlalchemy as sa
from click.testing import Result

from calibration_pipeline.interfaces.cli.attention import (
    LONGEST_RUN,
    Schedule,
    low_disk,
    needs_attention,
    next_command,
)
from calibration_pipeline.interfaces.cli.status import document, lines
from calibration_pipeline.policy.catching_up import MAXIMUM_CATCH_UP_DAYS
from calibration_pipeline.settings import Settings
from calibration_pipeline.store import runs
from calibration_pipeline.store.late_answers import LateDay
from calibration_pipeline.store.lock import CalibrationLock, LockHolder
from calibration_pipeline.store.publication_switch import PublicationSwitch
from calibration_pipeline.store.stale_nights import StaleNight
from calibration_pipeline.store.staleness import CurrentVersion, Staleness
from calibration_pipeline.store.states import write_state
from calibration_pipeline.store.status import EndedNight, FailedDraft, ProgrammeStatus
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.store.examples import state
from calibration_pipeline_tests.store.publishing import published

ZURICH = ZoneInfo("Europe/Zurich")
TODAY = date(2026, 6, 11)
LAST_NIGHT = date(2026, 6, 10)
MORNING = datetime(2026, 6, 11, 8, tzinfo=ZURICH)
FREE = 40 * 2**30
SETTINGS = Settings(first_day=date(2026, 1, 1))


def days(n: int) -> timedelta:
    return timedelta(days=n)


def nights_until(last: date, number: int = 40) -> tuple[date, ...]:
    return tuple(last - days(age) for age in range(number - 1, -1, -1))


def well(last: date = LAST_NIGHT, **changes: Any) -> ProgrammeStatus:
    """A programme whose nights up to the last one went well."""
    ended = datetime(2026, 6, 11, 2, 3, tzinfo=UTC)  # as the database gives it
    example = ProgrammeStatus(
        newest_night=EndedNight(last, "completed", "", "schedule", ended, ended),
        done=nights_until(last),
        running=None,
        staleness=Staleness((), CurrentVersion(34, last, "")),
        late=(),
        contradicted=(),
        published_at=ended,
    )
    return replace(example, **changes)


def problems(found: ProgrammeStatus, now: datetime = MORNING) -> list[str]:
    return [p.text for p in needs_attention(found, Schedule.at(now, found.done, SETTINGS))]


def command(found: ProgrammeStatus, now: datetime = MORNING) -> str:
    return next_command(needs_attention(found, Schedule.at(now, found.done, SETTINGS)))


def shown(found: ProgrammeStatus, now: datetime = MORNING) -> dict[str, str]:
    schedule = Schedule.at(now, found.done, SETTINGS)
    return dict(lines(found, schedule, needs_attention(found, schedule), FREE))


def as_json(found: ProgrammeStatus, now: datetime = MORNING) -> dict[str, Any]:
    schedule = Schedule.at(now, found.done, SETTINGS)
    return document(found, schedule, needs_attention(found, schedule), FREE)


def stale(first: date, last: date) -> Staleness:
    superseded = "starts from 2026-06-07 as it was before it was run again"
    nights = tuple(
        StaleNight(day, superseded) for day in nights_until(last, (last - first).days + 1)
    )
    return Staleness(nights, CurrentVersion(34, last, superseded))


def test_a_programme_that_is_well_needs_nobody() -> None:
    assert problems(well()) == []
    assert shown(well()) == {
        "newest night": "2026-06-10 completed at 2026-06-11 04:03 CEST",
        "current": "version 34 of 2026-06-10, published 4 hours ago",
        "next run": "2026-06-12 04:00 CEST, for 2026-06-11",
        "missing nights": "none",
        "stale nights": "none",
        "disk free": "40.0 GiB",
    }
    assert command(well()) == ""


def test_before_the_first_night_nothing_is_wrong() -> None:
    fresh = well(newest_night=None, done=(), staleness=Staleness((), None), published_at=None)
    assert problems(fresh) == []
    assert shown(fresh)["newest night"] == "none yet: `calibrate night` does one"
    assert as_json(fresh)["missing_nights"] is None


@pytest.mark.parametrize("outcome", ["rejected", "audit_failed", "failed"])
def test_a_newest_night_that_published_nothing_needs_somebody(outcome: str) -> None:
    newest = replace(well().newest_night, outcome=outcome, reason="not converged")  # type: ignore[type-var]
    (problem,) = problems(well(newest_night=newest))
    assert problem == f"2026-06-10 published nothing ({outcome}): not converged"


@pytest.mark.parametrize(
    ("outcome", "has_fit", "expected"),
    [
        ("rejected", True, "calibrate night --date 2026-06-10 --dry-run"),
        ("rejected", False, "calibrate night --date 2026-06-10 --refresh"),
        ("audit_failed", True, "calibrate snapshots drafts"),
        ("failed", False, "calibrate night --date 2026-06-10"),
    ],
)
def test_the_next_command_is_named(outcome: str, has_fit: bool, expected: str) -> None:
    newest = replace(well().newest_night, outcome=outcome, has_fit=has_fit)  # type: ignore[type-var]
    found = well(newest_night=newest)
    assert command(found) == expected
    assert shown(found)["next command"] == f"`{expected}`"
    assert as_json(found)["next_command"] == expected
    assert command(well(TODAY - days(5))) == "calibrate backfill --from 2026-06-07"


def test_nights_whose_run_stopped_are_done_again_from_the_first_one_on() -> None:
    """Each takes values from the one before it: the newest alone would publish something else."""
    newest = replace(well().newest_night, outcome="failed", reason="killed")  # type: ignore[type-var]
    stopped = (LAST_NIGHT - days(2), LAST_NIGHT - days(1), LAST_NIGHT)
    found = well(newest_night=newest, unfinished=stopped)
    assert command(found) == "calibrate backfill --from 2026-06-08"
    assert problems(found)[1].startswith("2026-06-08 to 2026-06-09 (2 nights) did not end")
    rebuilt = well(unfinished=stopped[:1])
    assert command(rebuilt) == "calibrate backfill --from 2026-06-08"


def test_of_nights_to_be_done_again_the_earliest_comes_first() -> None:
    cause = StaleNight(date(2026, 5, 1), "follows 2026-04-30, which is stale")
    stale = Staleness((cause,), CurrentVersion(34, LAST_NIGHT, ""))
    found = well(TODAY - days(5), staleness=stale)
    assert len(problems(found)) == 2
    assert command(found) == "calibrate backfill --from 2026-05-01"


def test_a_frozen_publication_is_told_and_no_alarm() -> None:
    since = datetime(2026, 6, 9, 12, tzinfo=UTC)
    found = well(switch=PublicationSwitch(True, "an exam is on", "ada", since))
    assert problems(found) == []
    assert "frozen since 2026-06-09 12:00 UTC by ada: an exam is on" in shown(found)["publication"]
    assert as_json(found)["publication"]["is_frozen"] is True
    thawed = well(switch=PublicationSwitch(False, "over", "ada", since))
    assert "publication" not in shown(thawed)


def test_an_old_version_tells_its_age() -> None:
    old = well(published_at=MORNING - days(9))
    assert shown(old)["current"] == "version 34 of 2026-06-10, published 9 days ago"
    assert as_json(old)["current"]["age_hours"] == 216.0


def test_failed_drafts_are_named() -> None:
    found = well(failed_drafts=(FailedDraft(7, date(2026, 6, 1), ("anchors_are_untouched",)),))
    assert problems(found) == []
    assert shown(found)["failed drafts"] == (
        "7 of 2026-06-01 (anchors_are_untouched); `calibrate snapshots drafts` lists them"
    )


def test_a_disk_without_room_needs_somebody() -> None:
    assert low_disk(512 * 2**20, 512) == []
    (problem,) = low_disk(512 * 2**20 - 1, 512)
    assert problem.text == "the disk has 511 MB free, an extraction leaves 512 MB"


def test_an_empty_night_needs_nobody() -> None:
    newest = replace(well().newest_night, outcome="completed_empty", reason="none")  # type: ignore[type-var]
    assert problems(well(newest_night=newest)) == []


@pytest.mark.parametrize(
    ("now", "missing", "is_overdue"),
    [
        (datetime(2026, 6, 12, 3, 59, tzinfo=ZURICH), False, False),  # not due yet
        (datetime(2026, 6, 12, 4, 30, tzinfo=ZURICH), True, False),  # about to begin
        (datetime(2026, 6, 12, 5, 1, tzinfo=ZURICH), True, True),
    ],
)
def test_a_night_is_overdue_an_hour_after_its_run_should_have_begun(
    now: datetime, missing: bool, is_overdue: bool
) -> None:
    found = well()
    assert (as_json(found, now)["missing_nights"] is not None) == missing
    assert bool(problems(found, now)) == is_overdue


def test_nights_that_are_missing_are_named_with_what_does_them() -> None:
    found = well(TODAY - days(5))
    (problem,) = problems(found)
    assert problem == (
        "2026-06-07 to 2026-06-10 (4 nights) should have been calibrated by now: is Dagster "
        "running? `calibrate backfill --from 2026-06-07` does it"
    )
    assert shown(found)["missing nights"] == (
        "2026-06-07 to 2026-06-10 (4 nights); the next run does what is missing"
    )
    assert shown(found)["next run"].endswith("for 2026-06-07 to 2026-06-11 (5 nights)")


def test_more_missing_nights_than_a_run_does_are_said_to_be() -> None:
    found = well(TODAY - days(MAXIMUM_CATCH_UP_DAYS + 10))
    text = shown(found)["missing nights"]
    assert f"the next run does 2026-05-03 to 2026-06-01 ({MAXIMUM_CATCH_UP_DAYS} nights)" in text
    assert "`calibrate backfill --from 2026-05-03` all of them" in text
    assert as_json(found)["next_run"]["nights"] == MAXIMUM_CATCH_UP_DAYS
    assert as_json(found)["missing_nights"]["nights"] == MAXIMUM_CATCH_UP_DAYS + 9


def test_nights_in_between_that_never_ended_are_named_and_no_alarm() -> None:
    done = tuple(day for day in nights_until(LAST_NIGHT) if day.day not in (3, 5))
    found = well(done=done)
    assert problems(found) == []
    assert shown(found)["passed over"].startswith("2026-05-03, 2026-05-05, 2026-06-03, 2026-06-05")
    assert len(as_json(found)["passed_over_nights"]) == 4


def test_a_run_under_way_excuses_what_is_missing_unless_it_hangs() -> None:
    running = LockHolder("run 7 (schedule)", MORNING.astimezone(UTC) - timedelta(hours=1))
    found = well(TODAY - days(3), running=running)
    assert problems(found) == []
    assert shown(found)["under way"] == "run 7 (schedule), since 2026-06-11 07:00 CEST"
    hanging = replace(running, since=MORNING.astimezone(UTC) - LONGEST_RUN - timedelta(minutes=1))
    first, second = problems(replace(found, running=hanging))
    assert first == "run 7 (schedule) has been under way since 2026-06-10 19:59 CEST"
    assert "should have been calibrated by now" in second


def test_stale_nights_need_somebody_and_name_what_rebuilds_them() -> None:
    found = well(staleness=stale(date(2026, 6, 8), LAST_NIGHT))
    (problem,) = problems(found)
    assert "`calibrate backfill --from 2026-06-08` rebuilds them" in problem
    assert shown(found)["stale nights"] == "2026-06-08 to 2026-06-10 (3 nights)"
    assert as_json(found)["stale_nights"] == {
        "nights": 3,
        "first": date(2026, 6, 8),
        "last": date(2026, 6, 10),
        "reason": "2026-06-08 starts from 2026-06-07 as it was before it was run again",
        "rejected_because": None,
        "command": "calibrate backfill --from 2026-06-08",
    }


def test_a_rejected_rebuild_of_stale_nights_is_told_with_its_reason() -> None:
    refused = replace(stale(date(2026, 6, 8), LAST_NIGHT), rejected_because="not converged")
    (problem,) = problems(well(staleness=refused))
    assert "running 2026-06-08 again was rejected (not converged)" in problem
    assert "mend the settings, then `calibrate backfill --from 2026-06-08`" in problem
    assert as_json(well(staleness=refused))["stale_nights"]["rejected_because"] == "not converged"


def test_a_current_version_of_a_superseded_state_needs_somebody() -> None:
    current = CurrentVersion(34, LAST_NIGHT, "was run again since")
    (problem,) = problems(well(staleness=Staleness((), current)))
    assert problem.startswith("`current` rests on a superseded state: 2026-06-10 was run again")


def test_late_answers_and_dropped_information_are_told_and_no_alarm() -> None:
    found = well(
        late=(LateDay(date(2026, 5, 1), 15), LateDay(date(2026, 5, 3), 0)),
        contradicted=tuple((f"i{n}", 1) for n in range(8)),
    )
    assert problems(found) == []
    assert shown(found)["late answers"] == (
        "15 to days that are folded in already: 2026-05-01 (15), 2026-05-03 (corrected); "
        "`calibrate backfill --from 2026-05-01 --refresh` takes them in"
    )
    assert shown(found)["carried information dropped"] == ("8 items: i0, i1, i2, i3, i4 and 3 more")
    assert as_json(found)["late_answers"]["answers"] == 15
    one = well(contradicted=(("i0", 1),))
    assert shown(one)["carried information dropped"] == "1 item: i0"


# The command on a real database


YESTERDAY = datetime.now(ZURICH).date() - days(1)


@pytest.fixture
def calibrated_nights(engine: sa.Engine) -> Callable[..., list[str]]:
    """Log nights that ended, with their states and versions, up to a day."""

    def log(last: date = YESTERDAY, number: int = 3, outcome: str = "completed") -> list[str]:
        found = []
        for n, night in enumerate(nights_until(last, number)):
            run_id = runs.open_run(
                engine, partition=night, triggered_by="x", configuration={}, package_versions={}
            )
            parent = (night - days(1), 1) if n else None
            items = np.array([False, True])
            write_state(
                engine,
                state(night, n_items=2, parent=parent, digest=f"d{n}", is_contradicted=items),
                run_id,
            )
            reason = "" if outcome == "completed" else "not converged"
            runs.close_run(engine, run_id, outcome, counts={}, timings={}, reason=reason)
            found.append(run_id)
        published(engine, run_id, partition=night)
        return found

    return log


def read(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout))


def test_the_command_reads_a_programme_that_is_well(
    on_database: Calibrate, calibrated_nights: Callable[..., list[str]]
) -> None:
    calibrated_nights()
    result = on_database("status", "--json")
    assert result.exit_code == 0, result.output
    found = read(result)
    assert found["needs_attention"] == []
    assert found["newest_night"]["night"] == str(YESTERDAY)
    current = found["current"]
    assert (current["version"], current["night"]) == (1, str(YESTERDAY))
    assert current["stale_because"] is None
    assert 0 <= current["age_hours"] < 1
    assert found["disk_free_bytes"] > 0
    assert (found["missing_nights"], found["running"], found["stale_nights"]) == (None, None, None)
    assert found["contradicted_items"] == [{"item_id": "i00001", "content_version": 2}]
    assert found["late_answers"] == {"answers": 0, "days": []}
    coming = datetime.fromisoformat(found["next_run"]["at"]).astimezone(ZURICH)
    assert (coming.hour, coming > datetime.now(UTC)) == (4, True)
    table = on_database("status")
    assert table.exit_code == 0
    assert f"version 1 of {YESTERDAY}" in table.stdout
    assert "needs attention" not in table.stdout


def test_a_rejected_night_ends_the_command_with_1(
    on_database: Calibrate, calibrated_nights: Callable[..., list[str]]
) -> None:
    calibrated_nights(outcome="rejected")
    result = on_database("status")
    assert result.exit_code == 1
    assert f"{YESTERDAY} published nothing (rejected): not converged" in result.stdout


def test_a_run_that_crashed_is_no_run_that_is_under_way(
    on_database: Calibrate, calibrated_nights: Callable[..., list[str]], engine: sa.Engine
) -> None:
    calibrated_nights(YESTERDAY - days(1))
    crashed = {"configuration": {}, "package_versions": {}, "triggered_by": "x"}
    runs.open_run(engine, partition=YESTERDAY, **crashed)  # type: ignore[arg-type]
    found = read(on_database("status", "--json"))
    assert (found["newest_night"]["night"], found["newest_night"]["outcome"]) == (
        str(YESTERDAY),
        "failed",
    )
    assert "the run ended before the night did" in found["needs_attention"][0]
    with CalibrationLock(engine, "run 9 (a test)"):
        runs.open_run(engine, partition=YESTERDAY, **crashed)  # type: ignore[arg-type]
        under_way = read(on_database("status", "--json"))
    assert under_way["running"]["holder"] == "run 9 (a test)"
    assert under_way["newest_night"]["outcome"] == "failed"  # the one before the run under way


def test_what_is_missing_and_stale_ends_the_command_with_1(
    on_database: Calibrate, calibrated_nights: Callable[..., list[str]], engine: sa.Engine
) -> None:
    last = YESTERDAY - days(40)
    run_id = calibrated_nights(last)[0]
    first = last - days(2)
    write_state(engine, state(first, 2, n_items=2, digest="other"), run_id)
    result = on_database("status", "--json")
    assert result.exit_code == 1
    found = read(result)
    assert found["missing_nights"]["first"] == str(last + days(1))
    assert found["stale_nights"]["first"] == str(first + days(1))
    assert found["current"]["stale_because"] == f"follows {first + days(1)}, which is stale"
    assert len(found["needs_attention"]) == 2


def test_an_empty_programme_is_no_failure(on_database: Calibrate) -> None:
    result = on_database("status")
    assert result.exit_code == 0
    assert "none yet: `calibrate night` does one" in result.stdout


def test_nothing_is_made_where_there_is_nothing_yet(calibrate: Calibrate) -> None:
    result = calibrate("status")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "nothing here yet" in line
    assert "run `calibrate migrate`" in line
    assert not Path(os.environ["CALIBRATION_HOME"]).exists()


def test_a_database_that_is_not_migrated_or_not_there_is_one_line(
    calibrate: Calibrate, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, expected in (
        (database_url, "run `calibrate migrate`"),
        ("postgresql://ada:secret@127.0.0.1:1/exams", "127.0.0.1:1/exams can't be reached"),
    ):
        monkeypatch.setenv("CALIBRATION_DATABASE_URL", url)
        result = calibrate("status")
        assert (result.exit_code, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert expected in line
        assert "secret" not in line


def test_a_monitor_need_not_wait_for_dagster(on_database: Calibrate, migrated_url: str) -> None:
    program = (
        "import sys; from calibration_pipeline.interfaces.cli import main;"
        "main(['status'], standalone_mode=False);"
        "print({'dagster', 'pandas', 'numba', 'scipy'} & set(sys.modules))"
    )
    home = os.environ["CALIBRATION_HOME"]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "CALIBRATION_DATABASE_URL": migrated_url,
            "CALIBRATION_HOME": home,
        },
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "set()"
