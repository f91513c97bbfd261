"""Publication: only what was audited, only by the newest holder, and never over a person's head."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    LockLostError,
    NightBlockedError,
    PublicationConflictError,
)
from calibration_pipeline.records import AuditFinding
from calibration_pipeline.store import drafts, snapshots, states
from calibration_pipeline.store.aliases import list_moves, promote, take_turn
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.publication import publish, why_held_back
from calibration_pipeline.store.publication_switch import freeze, thaw
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    PASSED,
    draft,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.publishing import audited_draft, published
from calibration_pipeline_tests.store.test_lock import END_THE_HOLDER

NEXT = NIGHT + timedelta(days=1)


@pytest.fixture(autouse=True)
def _stored_states(engine: sa.Engine, run_id: str) -> None:
    for night, attempt in ((NIGHT, 1), (NIGHT, 2), (NEXT, 1)):
        states.write_state(engine, state(night, attempt, n_items=2), run_id)


@pytest.fixture
def lock(engine: sa.Engine) -> Iterator[CalibrationLock]:
    with CalibrationLock(engine, "a test") as lock:
        yield lock


@contextmanager
def succeeded(engine: sa.Engine, lock: CalibrationLock) -> Iterator[CalibrationLock]:
    """Cut the connection of a lock's holder, and let another one take it."""
    with engine.begin() as connection:
        connection.execute(sa.text(END_THE_HOLDER))
    with CalibrationLock(engine, "a successor") as successor:
        yield successor


def rows_published(engine: sa.Engine) -> list[int]:
    tables = ("snapshots", "snapshot_items", "snapshot_audits", "aliases", "alias_moves")
    with engine.connect() as connection:
        return [
            connection.scalar(sa.text(f"SELECT count(*) FROM calibration.{table}"))  # noqa: S608
            for table in tables
        ]


def test_a_draft_becomes_a_version_and_is_gone(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    draft_id = audited_draft(lock, draft(run_id))
    assert rows_published(engine) == [0] * 5
    found = publish(lock, draft_id, moved_by="ada")
    assert (found.version, found.is_new, found.current, found.held_back) == (1, True, 1, "")
    assert rows_published(engine) == [1, 4, 1, 1, 1]
    assert drafts.list_drafts(engine) == ()
    (move,) = list_moves(engine)
    assert (move.from_version, move.to_version, move.moved_by) == (None, 1, "ada")
    assert (move.run_id, move.reason) == (run_id, f"published for {NIGHT}")


def test_current_follows_each_publication(engine: sa.Engine, run_id: str) -> None:
    assert snapshots.current_version(engine) is None
    versions = [published(engine, run_id, snapshot_items(n)).version for n in (1, 2, 3)]
    assert versions == [1, 2, 3]
    assert snapshots.current_version(engine) == 3
    moves = [(move.from_version, move.to_version) for move in list_moves(engine)]
    assert moves == [(2, 3), (1, 2), (None, 1)]


def test_a_draft_without_an_audit_is_refused(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    draft_id = drafts.write_draft(lock, draft(run_id), snapshot_items())
    with pytest.raises(NightBlockedError, match=f"draft {draft_id} of {NIGHT} was not audited"):
        publish(lock, draft_id, moved_by="a test")
    assert rows_published(engine) == [0] * 5


def test_a_draft_with_one_failed_finding_is_refused_and_kept(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    findings = (*PASSED, AuditFinding("moved", False, "half of the items moved"))
    draft_id = audited_draft(lock, draft(run_id), findings=findings)
    with pytest.raises(NightBlockedError, match=rf"failed its audit.*drafts show {draft_id}"):
        publish(lock, draft_id, moved_by="a test")
    assert rows_published(engine) == [0] * 5
    assert drafts.read_draft(engine, draft_id).state == "failed"
    assert drafts.read_draft_items(engine, draft_id) == snapshot_items()


def test_a_draft_is_published_once(engine: sa.Engine, run_id: str, lock: CalibrationLock) -> None:
    draft_id = audited_draft(lock, draft(run_id))
    publish(lock, draft_id, moved_by="a test")
    with pytest.raises(NightBlockedError, match=f"there is no draft {draft_id}"):
        publish(lock, draft_id, moved_by="a test")
    assert rows_published(engine) == [1, 4, 1, 1, 1]


def test_an_item_that_stands_twice_is_refused_by_the_database(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    """Should ever an audit let it pass."""
    draft_id = audited_draft(lock, draft(run_id), snapshot_items(1) * 2)
    with pytest.raises(sa.exc.IntegrityError, match="duplicate key"):
        publish(lock, draft_id, moved_by="a test")
    assert rows_published(engine) == [0] * 5
    assert drafts.read_draft(engine, draft_id).state == "passed"


def test_a_holder_that_is_succeeded_between_draft_and_publication_publishes_nothing(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    draft_id = audited_draft(lock, draft(run_id))
    with succeeded(engine, lock) as successor:
        with pytest.raises(LockLostError, match=r"a successor has taken it since") as error:
            publish(lock, draft_id, moved_by="a test")
        assert "\n" not in str(error.value)
        assert rows_published(engine) == [0] * 5
        assert publish(successor, draft_id, moved_by="a successor").version == 1


def test_of_two_publishers_at_once_the_newest_holder_alone_publishes(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    """Both stand before the same draft; it becomes one version, whoever comes first."""
    draft_id = audited_draft(lock, draft(run_id))
    with succeeded(engine, lock) as successor:
        start, outcomes = threading.Barrier(2), []

        def try_it(holder: CalibrationLock) -> None:
            start.wait(10)
            try:
                outcomes.append(publish(holder, draft_id, moved_by="a test").version)
            except LockLostError:
                outcomes.append("refused")

        threads = [threading.Thread(target=try_it, args=(each,)) for each in (lock, successor)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sorted(outcomes, key=str) == [1, "refused"]
    assert rows_published(engine) == [1, 4, 1, 1, 1]


def test_whoever_moved_current_in_between_is_not_overruled(engine: sa.Engine, run_id: str) -> None:
    for n in (1, 2):
        published(engine, run_id, snapshot_items(n))
    with CalibrationLock(engine, "a night") as lock:
        draft_id = audited_draft(lock, draft(run_id, partition=NEXT, parent_version=2))
        promote(engine, 1, moved_by="ada", reason="wrong key of item 7")
        with pytest.raises(PublicationConflictError) as error:
            publish(lock, draft_id, moved_by="a night")
    assert str(error.value) == (
        "`current` points at version 1 (moved by ada: wrong key of item 7), not at 2: nothing was "
        f"published for {NEXT}; freeze publication to keep it there, or run the night again to "
        "move on"
    )
    assert [m.version for m in snapshots.list_snapshots(engine)] == [2, 1]
    assert snapshots.current_version(engine) == 1
    assert drafts.read_draft(engine, draft_id).state == "passed"
    assert published(engine, run_id, partition=NEXT).current == 3


def test_an_old_night_run_again_does_not_move_current(engine: sa.Engine, run_id: str) -> None:
    published(engine, run_id, partition=NEXT)
    found = published(engine, run_id)
    assert (found.version, found.is_new, found.current, found.held_back) == (2, True, 1, "")
    assert why_held_back(engine, 2) == ""


# The same again


def test_a_night_that_says_the_same_again_publishes_no_second_version(
    engine: sa.Engine, run_id: str
) -> None:
    published(engine, run_id)
    found = published(engine, run_id, attempt=2)
    assert (found.version, found.is_new, found.current) == (1, False, 1)
    assert rows_published(engine) == [1, 4, 1, 1, 1]
    assert drafts.list_drafts(engine) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"items": snapshot_items(3)},
        {"configuration": {"window_days": 31}},
        {"scaling_constant": 1.0},
        {"partition": NEXT},
    ],
    ids=["items", "configuration", "scaling constant", "night"],
)
def test_a_night_that_says_anything_else_publishes(
    engine: sa.Engine, run_id: str, change: dict[str, object]
) -> None:
    published(engine, run_id)
    found = published(engine, run_id, **change)  # type: ignore[arg-type]
    assert (found.version, found.is_new, found.current) == (2, True, 2)


def test_the_same_values_from_another_state_are_another_version(
    engine: sa.Engine, run_id: str
) -> None:
    states.write_state(engine, state(attempt=3, digest="other"), run_id)
    published(engine, run_id)
    assert published(engine, run_id, attempt=3).version == 2


def test_only_the_newest_version_of_a_night_stands(engine: sa.Engine, run_id: str) -> None:
    published(engine, run_id)
    published(engine, run_id, snapshot_items(3))
    found = published(engine, run_id)
    assert (found.version, found.is_new, found.current) == (3, True, 3)


def test_current_comes_back_to_the_version_that_stands(engine: sa.Engine, run_id: str) -> None:
    """It ends where it would have, had a new version been published."""
    published(engine, run_id)
    published(engine, run_id, partition=NEXT, items=snapshot_items(3))
    promote(engine, 1, moved_by="ada", reason="a look")
    found = published(engine, run_id, partition=NEXT, items=snapshot_items(3))
    assert (found.version, found.is_new, found.current) == (2, False, 2)
    assert [(m.from_version, m.to_version) for m in list_moves(engine)][:1] == [(1, 2)]


# Freezing


def test_while_frozen_versions_are_minted_and_current_stays(engine: sa.Engine, run_id: str) -> None:
    published(engine, run_id)
    freeze(engine, decided_by="ada", reason="exam week")
    found = published(engine, run_id, partition=NEXT)
    assert (found.version, found.is_new, found.current) == (2, True, 1)
    assert found.held_back.startswith("publication is frozen since 20")
    assert found.held_back.endswith(" UTC by ada: exam week; `current` stays at version 1")
    assert why_held_back(engine, 2) == found.held_back
    assert why_held_back(engine, 1) == why_held_back(engine, 7) == ""
    assert len(list_moves(engine)) == 1
    thaw(engine, decided_by="ada", reason="exams are over")
    assert why_held_back(engine, 2) == ""
    assert published(engine, run_id, partition=NEXT).current == 2


def test_frozen_before_the_first_publication_there_is_no_current(
    engine: sa.Engine, run_id: str
) -> None:
    freeze(engine, decided_by="ada", reason="not yet")
    found = published(engine, run_id)
    assert (found.version, found.current) == (1, None)
    assert found.held_back.endswith("`current` points at no version")
    promote(engine, 1, moved_by="ada", reason="go")
    assert snapshots.current_version(engine) == 1


def test_a_freeze_waits_for_a_publication_under_way_and_holds_back_the_next(
    engine: sa.Engine, run_id: str, lock: CalibrationLock
) -> None:
    """Once the command has returned, `current` stays: nothing that began before can move it."""
    draft_id = audited_draft(lock, draft(run_id))
    frozen = threading.Event()

    def freeze_it() -> None:
        freeze(engine, decided_by="ada", reason="exam week")
        frozen.set()

    with engine.begin() as under_way:
        take_turn(under_way)
        waiting = threading.Thread(target=freeze_it)
        waiting.start()
        assert not frozen.wait(0.3)
    waiting.join(10)
    assert frozen.is_set()
    assert publish(lock, draft_id, moved_by="a test").current is None


def test_after_a_rollback_an_old_night_that_is_run_again_moves_nothing(
    engine: sa.Engine, run_id: str
) -> None:
    """Nights 0 to 2 are published, and a person has gone back to the first."""
    nights = [NIGHT + timedelta(days=n) for n in range(4)]
    for night in nights[2:]:
        states.write_state(engine, state(night, n_items=2), run_id)
    for night in nights[:3]:
        published(engine, run_id, partition=night)
    promote(engine, 1, moved_by="ada", reason="a wrong key")
    assert published(engine, run_id, snapshot_items(3), partition=nights[1]).current == 1
    assert why_held_back(engine, 4) == ""
    of_the_night_it_stands_at = published(engine, run_id, snapshot_items(2))
    assert of_the_night_it_stands_at.current == of_the_night_it_stands_at.version == 5
    tonight = published(engine, run_id, partition=nights[3])
    assert tonight.current == tonight.version == 6
