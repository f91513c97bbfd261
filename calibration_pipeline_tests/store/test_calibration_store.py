"""The store as a night sees it: locked while entered, one row per night, one view of the pool."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    LockHeldError,
    LockLostError,
    NightBlockedError,
    PublicationConflictError,
)
from calibration_pipeline.records import AuditFinding, CandidateAbilities
from calibration_pipeline.store import snapshots
from calibration_pipeline.store.aliases import promote
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.calibration_store import CalibrationStore, RunContext
from calibration_pipeline.store.publication import Publication
from calibration_pipeline.store.runs import close_run, open_run
from calibration_pipeline.store.tables import run_outcomes, runs
from calibration_pipeline_tests.store.answers import DAY, KEY, NOON, ZURICH, log, session
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    PASSED,
    draft,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.test_lock import END_THE_HOLDER

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


def test_a_store_that_could_not_take_over_frees_the_lock(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no connection")

    monkeypatch.setattr(snapshots, "current_version", fail)
    with pytest.raises(RuntimeError, match="no connection"), new_store():
        pass
    monkeypatch.undo()
    with new_store("run 2"):
        pass


def test_it_leaves_no_connection_behind(new_store: NewStore, engine: sa.Engine) -> None:
    with new_store() as store:
        store.current_version()
    assert engine.pool.checkedin() == 0


def test_without_the_lock_nothing_is_written(new_store: NewStore, engine: sa.Engine) -> None:
    with pytest.raises(LockLostError, match="isn't held"):
        new_store().write_state(state())
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(runs)) == 0


def test_a_night_has_one_row_in_the_run_log_however_many_steps_ask(
    new_store: NewStore, engine: sa.Engine
) -> None:
    with new_store() as store:
        first, second = store.run_of(NIGHT), store.run_of(NIGHT)
        other = store.run_of(NIGHT + timedelta(days=1))
        assert first == second != other
        store.close_run(NIGHT, "completed", counts={"version": 1}, timings={"fit": 0.5})
        with engine.connect() as connection:
            rows = list(connection.execute(sa.select(runs).order_by(runs.c.partition)))
    assert [row.partition for row in rows] == [NIGHT, NIGHT + timedelta(days=1)]
    assert {row.triggered_by for row in rows} == {"a test"}
    assert rows[0].configuration == {"window_days": 30}
    assert ends_of(engine) == {
        first: ("completed", ""),
        other: ("failed", "the run ended before the night did"),
    }


def ends_of(engine: sa.Engine) -> dict[str, tuple[str, str]]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(run_outcomes))
        return {row.run_id: (row.outcome, row.reason) for row in found}


def test_runs_that_nobody_ended_are_ended_by_the_next_one(
    new_store: NewStore, engine: sa.Engine, run_id: str
) -> None:
    """Whoever holds the lock knows that their processes are gone."""
    close_run(engine, open_run_of_another(engine), "rejected", counts={}, timings={}, reason="why")
    with new_store():
        ended = ends_of(engine)
    assert ended.pop(run_id) == (
        "failed",
        "the run ended before the night did: its process stopped, or it lost the lock",
    )
    assert list(ended.values()) == [("rejected", "why")]


def open_run_of_another(engine: sa.Engine) -> str:
    return open_run(
        engine, partition=NIGHT, triggered_by="x", configuration={}, package_versions={}
    )


ABILITIES = CandidateAbilities((), *[np.zeros(0, "V16")] * 2, *[np.zeros(0)] * 2, np.zeros(0, int))
WRITES: dict[str, Callable[[CalibrationStore, int], object]] = {
    "run": lambda store, _: store.run_of(NIGHT + timedelta(days=1)),
    "outcome": lambda store, _: store.close_run(NIGHT, "completed", counts={}, timings={}),
    "state": lambda store, _: store.write_state(state(attempt=2)),
    "flags": lambda store, _: store.write_flags(state(), ()),
    "links": lambda store, _: store.write_links(state(), ()),
    "draft": lambda store, _: store.write_draft(draft(store.run_of(NIGHT)), snapshot_items()),
    "audit": lambda store, draft_id: store.record_audit(draft_id, PASSED),
    "publication": lambda store, draft_id: store.publish(draft_id),
    "abilities": lambda store, _: store.write_abilities(NIGHT, 1, ABILITIES),
}
TABLES = (
    "runs", "run_outcomes", "calibration_states", "state_evaluations", "snapshot_drafts",
    "snapshot_draft_audits", "snapshots", "candidate_abilities",
)  # fmt: skip


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_run_that_was_succeeded_can_write_nothing(
    new_store: NewStore, engine: sa.Engine, write: Callable[[CalibrationStore, int], object]
) -> None:
    """Its process lives on, its connection was cut, and another run has taken the lock."""
    with new_store("run 1") as store:
        store.write_state(state())
        draft_id = store.write_draft(draft(store.run_of(NIGHT)), snapshot_items())
        with engine.begin() as connection:
            connection.execute(sa.text(END_THE_HOLDER))
        with new_store("run 2"):
            before = counts_of(engine)
            with pytest.raises(LockLostError, match=r"run 2 \(a test\) has taken it") as error:
                write(store, draft_id)
            assert "\n" not in str(error.value)
            assert counts_of(engine) == before
    assert counts_of(engine) == before  # leaving the first store writes nothing either


def test_a_draft_that_a_successor_has_replaced_says_that_the_lock_was_lost(
    new_store: NewStore, engine: sa.Engine
) -> None:
    with new_store("run 1") as store:
        store.write_state(state())
        draft_id = store.write_draft(draft(store.run_of(NIGHT)), snapshot_items())
        with engine.begin() as connection:
            connection.execute(sa.text(END_THE_HOLDER))
        with new_store("run 2") as successor:
            successor.write_draft(draft(successor.run_of(NIGHT)), snapshot_items())
            with pytest.raises(LockLostError, match=r"run 2 \(a test\) has taken it"):
                store.draft(draft_id)


def counts_of(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table: connection.scalar(sa.text(f"SELECT count(*) FROM calibration.{table}"))  # noqa: S608
            for table in TABLES
        }


def test_a_day_is_extracted_and_read_by_revision(
    new_store: NewStore, engine: sa.Engine, bank_csv: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log(engine, session("first", NOON))
    with new_store() as store:
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
    with store:
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


def publish_night(store: CalibrationStore, night: date, n_items: int = 4) -> Publication:
    """What the asset does with a night's newest state."""
    stored = store.state(night)
    if stored is None:
        store.write_state(state(night))
    made = draft(
        store.run_of(night),
        partition=night,
        attempt=stored.attempt if stored else 1,
        parent_version=store.followed_version,
    )
    draft_id = store.write_draft(made, snapshot_items(n_items))
    store.record_audit(draft_id, PASSED)
    return store.publish(draft_id)


def test_current_follows_unless_it_stands_at_a_later_night(new_store: NewStore) -> None:
    with new_store() as store:
        for days, version in ((0, 1), (2, 2), (1, 3), (2, 4)):
            night = NIGHT + timedelta(days=days)
            assert publish_night(store, night, n_items=version).version == version
            assert store.current_version() == {1: 1, 2: 2, 3: 2, 4: 4}[version]
        newest = store.state(NIGHT + timedelta(days=2))
        assert newest is not None
        assert store.version_of(newest) == 4
        assert store.audit_of(4) == PASSED
        assert store.items_of(4) is store.items_of(4)
        before = store.published_before(NIGHT + timedelta(days=2))
        assert before == {item.key: item for item in store.items_of(3)}
        earlier = store.manifest_before(NIGHT + timedelta(days=2))
        assert earlier is not None
        assert earlier.version == 3
        assert store.published_before(NIGHT) == {}
        assert store.manifest_before(NIGHT) is None


def test_a_version_stands_for_a_night_that_gave_the_same_again(new_store: NewStore) -> None:
    with new_store() as store:
        publish_night(store, NIGHT)
        store.write_state(state(attempt=2))
        again = store.state(NIGHT, 2)
        assert again is not None
        found = publish_night(store, NIGHT)
        assert (found.version, found.is_new) == (1, False)
        assert store.version_of(again) == 1


def test_no_version_stands_for_a_try_whose_audit_failed(new_store: NewStore) -> None:
    """Though its state is that of a try which passed: it was compared with another night's."""
    failed = (AuditFinding("moved", False, "half of the items moved"),)
    with new_store() as store:
        publish_night(store, NIGHT)
        store.write_state(state(attempt=2))
        again = store.state(NIGHT, 2)
        assert again is not None
        draft_id = store.write_draft(draft(store.run_of(NIGHT), attempt=2), snapshot_items())
        store.record_audit(draft_id, failed)
        assert store.version_of(again) is None
        assert store.failed_audit(again) == failed


def test_a_run_follows_its_own_moves_and_nobody_elses(
    new_store: NewStore, engine: sa.Engine
) -> None:
    """Whoever moves `current` while the run goes on is a person, and isn't overruled."""
    with new_store() as store:
        assert [publish_night(store, NIGHT + timedelta(days=n)).current for n in (0, 1)] == [1, 2]
        promote(engine, 1, moved_by="ada", reason="a look")
        with pytest.raises(PublicationConflictError, match="moved by ada: a look"):
            publish_night(store, NIGHT + timedelta(days=2))
    with new_store("run 2") as store:
        assert store.followed_version == 1
        assert publish_night(store, NIGHT + timedelta(days=2)).current == 3
