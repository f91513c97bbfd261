"""One holder at a time, named to the others; a dead holder frees the lock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import LockHeldError, LockLostError
from calibration_pipeline.store import engine as engine_module
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.lock import CalibrationLock, check_fence, current_holder


def test_a_second_holder_is_told_who_holds_it_since_when(engine: sa.Engine) -> None:
    with (
        CalibrationLock(engine, "run 12 of the schedule"),
        pytest.raises(LockHeldError, match=r"run 12 of the schedule, since 20\d\d-.* UTC"),
        CalibrationLock(engine, "another"),
    ):
        pass


def test_each_holder_has_a_higher_token(engine: sa.Engine) -> None:
    tokens = []
    for holder in ("first", "second", "third"):
        with CalibrationLock(engine, holder) as lock:
            tokens.append(lock.token)
    assert tokens == sorted(set(tokens))


def test_the_lock_is_free_after_an_error(engine: sa.Engine) -> None:
    with pytest.raises(RuntimeError), CalibrationLock(engine, "failing"):
        raise RuntimeError
    with CalibrationLock(engine, "next"):
        pass


END_THE_HOLDER = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_locks
WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_a_holder_whose_connection_dies_frees_the_lock(engine: sa.Engine) -> None:
    with CalibrationLock(engine, "cut off") as lock:
        with engine.begin() as connection:
            connection.execute(sa.text(END_THE_HOLDER))
        with engine.begin() as connection:
            check_fence(connection, lock.token)  # nobody has taken it: publishing is still safe
        with (
            CalibrationLock(engine, "successor"),
            engine.begin() as connection,
            pytest.raises(LockLostError, match="successor has taken it"),
        ):
            check_fence(connection, lock.token)


def test_a_lock_that_is_not_held_has_no_token(engine: sa.Engine) -> None:
    with pytest.raises(LockLostError, match="isn't held"):
        _ = CalibrationLock(engine, "nobody").token


def test_the_holder_can_be_asked_for_without_touching_the_lock(engine: sa.Engine) -> None:
    assert current_holder(engine) is None
    with CalibrationLock(engine, "run 12") as lock:
        found = current_holder(engine)
        assert found is not None
        assert found.name == "run 12"
        assert abs(datetime.now(UTC) - found.since) < timedelta(minutes=1)
        with engine.begin() as connection:
            check_fence(connection, lock.token)
    assert current_holder(engine) is None


def test_a_lock_on_another_thing_or_in_another_database_is_not_this_one(
    engine: sa.Engine, untouched_engine: sa.Engine
) -> None:
    with engine.connect() as connection, CalibrationLock(untouched_engine, "next door"):
        connection.execute(sa.text("SELECT pg_advisory_lock(7)"))
        assert current_holder(engine) is None


@pytest.fixture
def impatient(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """Connections that wait for a lock for a moment only."""
    monkeypatch.setattr(engine_module, "_SESSION_OPTIONS", "-c lock_timeout=200")
    engine = open_engine(migrated_url)
    yield engine
    engine.dispose()


def test_a_successor_is_told_that_the_holder_before_it_still_writes(
    engine: sa.Engine, impatient: sa.Engine
) -> None:
    with CalibrationLock(engine, "cut off") as lock, lock.begin():
        with engine.begin() as connection:
            connection.execute(sa.text(END_THE_HOLDER))
        with (
            pytest.raises(LockHeldError, match="is still writing"),
            CalibrationLock(impatient, "successor"),
        ):
            pass


def test_a_holder_that_meets_its_successor_at_the_fence_has_lost_the_lock(
    engine: sa.Engine, impatient: sa.Engine
) -> None:
    with CalibrationLock(impatient, "cut off") as lock:
        with engine.begin() as connection:
            connection.execute(sa.text(END_THE_HOLDER))
        with (
            CalibrationLock(engine, "successor") as successor,
            successor.begin(),
            pytest.raises(LockLostError, match="to another one, which is writing"),
            lock.begin(),
        ):
            pass


def test_a_fence_that_moved_under_a_steady_view_has_lost_the_lock(engine: sa.Engine) -> None:
    """An extraction reads one view of the source: to it the successor's token is a conflict."""
    with CalibrationLock(engine, "cut off") as lock:
        steady = engine.connect().execution_options(isolation_level="REPEATABLE READ")
        with steady as connection, connection.begin():
            connection.execute(sa.text("SELECT 1 FROM calibration.publication_fence"))
            with engine.begin() as other:
                other.execute(sa.text(END_THE_HOLDER))
            with (
                CalibrationLock(engine, "successor"),
                pytest.raises(LockLostError, match="to another one"),
            ):
                check_fence(connection, lock.token)
