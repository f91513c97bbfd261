"""Work that is done by one at a time: the next one waits, and sees what was done."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from calibration_pipeline.store.tables import archive_revisions
from calibration_pipeline.store.turns import Turn, taking_turns, wait_for_turn
from calibration_pipeline_tests.processes import PATIENCE_SECONDS
from calibration_pipeline_tests.store.answers import DAY, NOON, Extract, log, session

IS_FREE = sa.text("SELECT pg_try_advisory_xact_lock(:turn)")
WAITERS = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def is_free(engine: sa.Engine, turn: Turn) -> bool:
    with engine.begin() as connection:
        return bool(connection.scalar(IS_FREE, {"turn": int(turn)}))


def wait_for_a_waiter(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        pause = threading.Event()
        for _ in range(1000):
            if connection.scalar(WAITERS):
                return
            pause.wait(0.01)
    raise AssertionError("nobody waits")


def test_a_turn_ends_with_its_transaction(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        wait_for_turn(connection, Turn.BANK_IMPORT)
        assert not is_free(engine, Turn.BANK_IMPORT)
        assert is_free(engine, Turn.RESPONSE_IMPORT)
    assert is_free(engine, Turn.BANK_IMPORT)


def test_a_turn_ends_with_its_block_even_after_an_error(engine: sa.Engine) -> None:

    def fail_in_turn(connection: sa.Connection) -> None:
        with taking_turns(connection, Turn.EXTRACTION):
            with connection.begin():
                connection.execute(sa.text("SELECT 1"))
            assert not is_free(engine, Turn.EXTRACTION)  # it outlasts transactions
            connection.execute(sa.text("SELECT * FROM nothing"))

    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError):
        fail_in_turn(connection)
    assert is_free(engine, Turn.EXTRACTION)


def test_an_extraction_sees_what_another_has_just_recorded(
    engine: sa.Engine, extract: Extract
) -> None:
    """It waits before it takes its view of the database: the next number is then the right one."""
    log(engine, session("s1", NOON))
    with ThreadPoolExecutor(1) as pool:
        with engine.connect() as connection, taking_turns(connection, Turn.EXTRACTION):
            waiting = pool.submit(extract)
            wait_for_a_waiter(engine)
            with connection.begin():
                connection.execute(
                    sa.insert(archive_revisions).values(
                        day=DAY,
                        revision=1,
                        digest="another's",
                        file_name="another's",
                        response_count=0,
                        session_count=0,
                        quarantine_counts={},
                        timezone="UTC",
                    )
                )
        assert waiting.result(timeout=PATIENCE_SECONDS).revision == 2
