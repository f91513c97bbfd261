"""Where a night starts from, and what it compares with, whatever order nights were run in."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import CalibrationState, ScaleNight
from calibration_pipeline.store import history, runs, states
from calibration_pipeline.store.tables import archive_revisions
from calibration_pipeline_tests.store.examples import NIGHT, snapshot_items, state
from calibration_pipeline_tests.store.publishing import published


def after(n: int) -> date:
    return NIGHT + timedelta(days=n)


@pytest.fixture
def write(engine: sa.Engine, run_id: str) -> Any:
    """Store the state of a night, counted from the first."""

    def write(night: int, attempt: int = 1, **changes: Any) -> CalibrationState:
        stored = state(after(night), attempt, n_items=2, **changes)
        states.write_state(engine, stored, run_id)
        return stored

    return write


@pytest.fixture
def publish(engine: sa.Engine, run_id: str) -> Any:
    """Publish a version of a night."""

    def publish(night: int, attempt: int = 1, n_items: int = 4) -> int:
        key = {"partition": after(night), "attempt": attempt}
        return published(engine, run_id, snapshot_items(n_items), **key).version

    return publish


def test_before_the_first_night_there_is_nothing(engine: sa.Engine) -> None:
    assert history.newest_accepted_key(engine, NIGHT) is None
    assert history.first_fitted_key(engine, NIGHT, "zeta") is None
    assert history.newest_finished_night(engine) is None
    assert history.newest_version_before(engine, NIGHT) is None
    assert history.version_of_night(engine, NIGHT, 1) is None
    assert history.days_passed_over(engine, NIGHT) == ()
    assert history.outcomes_of_run(engine, "no such run") == ()
    assert history.read_scale_history(engine, NIGHT) == ()


def test_a_night_starts_from_the_newest_accepted_attempt_of_an_earlier_night(
    engine: sa.Engine, write: Any
) -> None:
    write(0)
    write(1)
    write(1, attempt=2)
    write(1, attempt=3, is_accepted=False, reasons=("no",))
    write(2, is_accepted=False, reasons=("no",))
    write(4)
    expected = {0: None, 1: (after(0), 1), 2: (after(1), 2), 4: (after(1), 2), 5: (after(4), 1)}
    for night, key in expected.items():
        assert history.newest_accepted_key(engine, after(night)) == key


def test_a_scale_s_history_is_what_accepted_nights_fitted(engine: sa.Engine, write: Any) -> None:
    write(0)
    write(1)
    newest = write(1, attempt=2)
    write(1, attempt=3, is_accepted=False, reasons=("no",))
    write(2, is_accepted=False, reasons=("no",))
    write(3)
    found = history.read_scale_history(engine, after(3))
    fitted = [scale for scale in newest.scales if scale.fitted]
    keys = [(after(0), 1), (after(1), 2)]
    assert [(n.partition, n.attempt, n.scale) for n in found] == [
        (*key, scale.name) for key in keys for scale in fitted
    ]
    assert found[-1] == ScaleNight.of(newest, fitted[-1])


def test_the_first_fitted_night_sets_the_scale_not_an_empty_or_a_rejected_one(
    engine: sa.Engine, write: Any
) -> None:
    example = state().scales
    unfitted = tuple(scale for scale in example if not scale.fitted)
    write(0, scales=unfitted)
    write(1, is_accepted=False, reasons=("no",))
    assert history.first_fitted_key(engine, after(2), "zeta") is None
    write(2)
    write(3)
    assert history.first_fitted_key(engine, after(2), "zeta") is None
    assert history.first_fitted_key(engine, after(9), "zeta") == (after(2), 1)
    assert history.first_fitted_key(engine, after(9), "alpha") is None


def test_the_newest_finished_night_is_one_whose_run_came_to_its_end(
    engine: sa.Engine, write: Any
) -> None:
    write(5)  # a state alone: its run crashed
    log_run(engine, 3, "completed")
    log_run(engine, 4, "rejected")
    log_run(engine, 6, "failed")
    log_run(engine, 7, None)
    assert history.newest_finished_night(engine) == after(4)
    log_run(engine, 7, "completed_empty")
    assert history.newest_finished_night(engine) == after(7)


def log_run(engine: sa.Engine, night: int, outcome: str | None, of: str = "run 1") -> None:
    run_id = runs.open_run(
        engine,
        partition=after(night),
        triggered_by="a test",
        configuration={},
        package_versions={},
        orchestrator_run_id=of,
    )
    if outcome:
        runs.close_run(
            engine, run_id, outcome, counts={"version": night}, timings={"fit": 1.5}, reason="why"
        )


def test_the_outcomes_of_a_run_are_its_nights_in_order(engine: sa.Engine) -> None:
    log_run(engine, 2, None)
    log_run(engine, 1, "rejected")
    log_run(engine, 1, "completed", of="run 2")
    rejected, crashed = history.outcomes_of_run(engine, "run 1")
    assert (rejected.partition, rejected.outcome, rejected.reason) == (after(1), "rejected", "why")
    assert (rejected.counts, rejected.timings) == ({"version": 1}, {"fit": 1.5})
    assert (crashed.partition, crashed.outcome) == (after(2), "failed")
    assert crashed.reason == "the run ended before the night did"
    assert (crashed.counts, crashed.timings) == ({}, {})


def test_nights_compare_with_the_night_before_whatever_is_current(
    engine: sa.Engine, write: Any, publish: Any
) -> None:
    for night in (0, 2, 1):
        write(night)
    write(1, attempt=2)
    assert publish(0) == 1
    assert publish(2) == 2
    assert publish(1) == 3
    assert publish(1, attempt=2, n_items=3) == 4
    before = {night: history.newest_version_before(engine, after(night)) for night in range(4)}
    assert before == {0: None, 1: 1, 2: 4, 3: 2}
    assert history.version_of_night(engine, after(1), 1) == 3
    assert history.version_of_night(engine, after(1), 2) == 4
    assert history.version_of_night(engine, after(1), 3) is None


def test_days_passed_over_are_those_between_archived_ones(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for night, revision in ((0, 1), (1, 1), (1, 2), (3, 1), (7, 1)):
            connection.execute(
                sa.insert(archive_revisions).values(
                    day=after(night),
                    revision=revision,
                    digest=f"{night}-{revision}",
                    file_name=f"{night}-{revision}.parquet",
                    response_count=0,
                    session_count=0,
                    quarantine_counts={},
                    timezone="Europe/Zurich",
                )
            )
    assert history.days_passed_over(engine, after(0)) == ()
    assert history.days_passed_over(engine, after(2)) == ()
    assert history.days_passed_over(engine, after(3)) == (after(2),)
    assert history.days_passed_over(engine, after(5)) == (after(2), after(4))
    assert history.days_passed_over(engine, after(-5)) == ()  # days before the first aren't
