"""The store as a night sees it: locked while entered, one row per night, one view of the pool."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import LockHeldError, LockLostError, NightBlockedError
from calibration_pipeline.store import snapshots, states
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.calibration_store import CalibrationStore, RunContext
from calibration_pipeline.store.tables import run_outcomes, runs
from calibration_pipeline_tests.store.answers import DAY, KEY, NOON, ZURICH, log, session
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    PASSED,
    draft,
    snapshot_items,
    state,
)

NewStore = Callable[..., CalibrationStore]


@pytest.fixture
def new_store(engine: sa.Engine, archive: Archive) -> NewStore:
    """Make stores of runs of their own, on one database."""

    def new_store(run: str = "run 1") -> CalibrationStore:
        context = RunContext(
            triggered_by="a test",
            orchestrator_run_id=run,
            configuration={"window_days": 30},
            package_versions={"numpy": "2"},
        )
        return CalibrationStore(engine, archive, ZURICH, KEY, context)

    return new_store


def test_it_holds_the_lock_while_entered(new_store: NewStore) -> None:
    with new_store(), pytest.raises(LockHeldError, match=r"run 1 \(a test\)"), new_store("run 2"):
        pass
    with new_store("run 2"):
        pass


def test_it_leaves_no_connection_behind(new_store: NewStore, engine: sa.Engine) -> None:
    with new_store() as store:
        store.current_version()
    assert engine.pool.checkedin() == 0


def test_without_the_lock_nothing_is_published(
    new_store: NewStore, engine: sa.Engine, run_id: str
) -> None:
    states.write_state(engine, state(), run_id)
    with pytest.raises(LockLostError):
        new_store().publish(draft(run_id), snapshot_items(), PASSED)
    assert snapshots.current_version(engine) is None


def test_a_night_has_one_row_in_the_run_log_however_many_steps_ask(
    new_store, engine: sa.Engine
) -> None:
    store = new_store()
    first, second = store.run_of(NIGHT), store.run_of(NIGHT)
    other = store.run_of(NIGHT + timedelta(days=1))
    assert first == second != other
    store.close_run(NIGHT, "completed", counts={"version": 1}, timings={"fit": 0.5})
    with engine.connect() as connection:
        rows = list(connection.execute(sa.select(runs).order_by(runs.c.partition)))
        (ended,) = connection.execute(sa.select(run_outcomes))
    assert [row.partition for row in rows] == [NIGHT, NIGHT + timedelta(days=1)]
    assert {row.triggered_by for row in rows} == {"a test"}
    assert rows[0].configuration == {"window_days": 30}
    assert (ended.run_id, ended.outcome) == (first, "completed")


def test_a_day_is_extracted_and_read_by_revision(
    new_store: NewStore, engine: sa.Engine, bank_csv: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log(engine, session("first", NOON))
    store = new_store()
    assert store.extract_day(DAY).revision == 1
    log(engine, session("second", NOON))
    assert store.extract_day(DAY).revision == 2
    assert store.archived_days([DAY, DAY + timedelta(days=1)]).keys() == {DAY}
    assert store.archived_days([DAY])[DAY].revision == 2
    assert store.day(DAY).revision.session_count == 2
    assert store.day(DAY, 1).revision.session_count == 1
    assert store.day(DAY, 1) is store.day(DAY, 1)
    with pytest.raises(NightBlockedError, match="have not been extracted as revision 3"):
        store.day(DAY, 3)


def test_the_pool_stands_as_the_run_found_it(
    new_store: NewStore, engine: sa.Engine, bank_csv: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    store, today = new_store(), date(2100, 1, 1)
    before = store.bank(today)
    bank_csv.write_text(bank_csv.read_text() + "i4,1.0,0.25,0.2,false,\n")
    import_bank(engine, bank_csv, "3PL")
    assert store.bank(today) is before
    assert new_store().bank(today).n_items == before.n_items + 1


def test_states_are_found_by_night_and_attempt(
    new_store: NewStore, engine: sa.Engine, run_id: str
) -> None:
    store = new_store()
    assert (store.state(NIGHT), store.next_attempt(NIGHT)) == (None, 1)
    for attempt in (1, 2):
        store.write_state(state(attempt=attempt))
    newest = store.state(NIGHT)
    assert newest is not None
    assert (newest.attempt, store.next_attempt(NIGHT)) == (2, 3)
    assert store.state(NIGHT, 1) is store.state(NIGHT, 1)
    later = NIGHT + timedelta(days=1)
    for found in (store.newest_accepted_state(later), store.first_fitted_state(later, "zeta")):
        assert found is newest
    assert store.newest_accepted_state(NIGHT) is store.first_fitted_state(NIGHT, "zeta") is None


def test_current_follows_unless_it_stands_at_a_later_night(new_store: NewStore) -> None:
    with new_store() as store:
        for days, version in ((0, 1), (2, 2), (1, 3), (2, 4)):
            night = NIGHT + timedelta(days=days)
            if store.state(night) is None:
                store.write_state(state(night))
            made = draft(
                store.run_of(night), partition=night, parent_version=store.current_version()
            )
            assert store.publish(made, snapshot_items(), PASSED) == version
            assert store.current_version() == {1: 1, 2: 2, 3: 2, 4: 4}[version]
        newest = store.state(NIGHT + timedelta(days=2))
        assert store.version_of(newest) == 4
        assert store.audit_of(4) == PASSED
        assert store.items_of(4) is store.items_of(4)
        before = store.published_before(NIGHT + timedelta(days=2))
        assert before == {item.key: item for item in store.items_of(3)}
        assert store.published_before(NIGHT) == {}
