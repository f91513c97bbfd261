"""COPY statements of the native log: in blocks of any size, and ended by whatever may end them."""

import threading
import time
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.read_ahead import reading_ahead
from calibration_pipeline.store.sources import native_copy, native_stream
from calibration_pipeline.store.sources.base import ROW_SCHEMA, day_bounds
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline_tests.store.sources.test_native import blocks_of, log_strange_rows

DAY = date(2026, 3, 10)
UTC = ZoneInfo("UTC")


@pytest.fixture(params=["compiled", "by psycopg"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How rows are taken from libpq."""
    if request.param == "by psycopg":
        monkeypatch.setattr(native_copy, "libpq_is_known", lambda: False)
    return str(request.param)


@pytest.fixture
def copying_where(monkeypatch: pytest.MonkeyPatch):
    """Copy only rows of which PostgreSQL finds a condition true."""

    def copying_where(condition: str) -> None:
        statement = native_stream._ROWS.replace("{order}", f"AND {condition} {{order}}")
        monkeypatch.setattr(native_stream, "_ROWS", statement)

    return copying_where


def _rows(connection: sa.Connection, **options: int) -> str:
    blocks = blocks_of(NativeView(connection, UTC), **options)
    return str(pa.concat_tables(blocks).cast(ROW_SCHEMA).to_pylist())


def _is_usable(connection: sa.Connection) -> bool:
    connection.rollback()
    return connection.scalar(sa.text("SELECT 1")) == 1


def test_libpq_is_found() -> None:
    """Else every day would take twice as long, and nobody would know."""
    assert native_copy.libpq_is_known()


@pytest.mark.parametrize("most_bytes", [1000, 3000])
def test_long_texts_give_smaller_blocks(
    engine: sa.Engine, bank_csv: Path, monkeypatch: pytest.MonkeyPatch, way: str, most_bytes: int
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log_strange_rows(engine)
    with engine.connect() as connection:
        whole = _rows(connection)
        monkeypatch.setattr(native_stream, "_MOST_BYTES", most_bytes)
        assert len(blocks_of(NativeView(connection, UTC))) > 2
        assert _rows(connection) == whole


def test_a_session_that_fits_no_memory_is_refused(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_strange_rows(engine)
    monkeypatch.setattr(native_stream, "_MOST_BYTES", 200)
    with engine.connect() as connection:
        with pytest.raises(SourceError, match=r"response_id \d+ .*nothing was recorded"):
            _rows(connection)
        assert _is_usable(connection)


def test_a_block_stays_as_it_is_while_others_are_read(engine: sa.Engine, way: str) -> None:
    log_strange_rows(engine)
    with engine.connect() as connection:
        copied = native_stream.copied_blocks(connection, *day_bounds([DAY], UTC), 1)
        with closing(reading_ahead(copied, lambda: None)) as blocks:
            contents = []
            for content, _ in blocks:
                before = content.tobytes()
                time.sleep(0.05)  # in which the next ones are read
                assert content.tobytes() == before
                contents.append(before)
    assert len(set(contents)) > 3


@pytest.mark.parametrize("stage", ["native_stream.last_session", "native_rows.CopiedRows.table"])
def test_an_error_in_the_middle_of_a_copy_does_not_hold_the_connection(
    engine: sa.Engine, bank_csv: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log_strange_rows(engine)

    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(f"calibration_pipeline.store.sources.{stage}", fail)
    # One COPY of many blocks, of which the first ones fill what may be read ahead.
    monkeypatch.setattr(native_stream, "_LARGEST_SLICE", 0)
    monkeypatch.setattr(native_stream, "_first_length", lambda *_: timedelta(days=2))
    with engine.connect() as connection:
        with pytest.raises(MemoryError) as raised:
            list(NativeView(connection, UTC).stream_day(DAY, slice_rows=1))
        assert raised.tb is not None  # it keeps the frames of what was reading
        assert "reading ahead" not in [thread.name for thread in threading.enumerate()]
        assert _is_usable(connection)


def test_what_the_server_says_of_a_copy_is_raised(
    engine: sa.Engine, way: str, copying_where
) -> None:
    log_strange_rows(engine)
    copying_where("1 / (response_id - 30) IS NOT NULL")
    with engine.connect() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            _rows(connection)
        assert _is_usable(connection)


def test_a_connection_that_is_lost_in_a_copy_is_an_error(
    engine: sa.Engine, way: str, copying_where
) -> None:
    log_strange_rows(engine)
    copying_where("(response_id < 30 OR pg_terminate_backend(pg_backend_pid()))")
    with engine.connect() as connection:
        with pytest.raises(psycopg.errors.AdminShutdown):
            _rows(connection)
        connection.invalidate()


def test_who_stops_early_does_not_wait_for_the_server(
    engine: sa.Engine, way: str, copying_where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for rows leaves Python's lock alone, and a cancellation ends it."""
    log_strange_rows(engine)
    monkeypatch.setattr(native_stream, "_first_length", lambda *_: timedelta(hours=3))
    copying_where("(session_started_at < '2026-03-10 16:30+00' OR pg_sleep(600) IS NULL)")
    is_asleep = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    with engine.connect() as connection, engine.connect() as other:
        with closing(NativeView(connection, UTC).stream_day(DAY, slice_rows=6)) as blocks:
            next(blocks)
            while not other.scalar(is_asleep):
                other.rollback()
                time.sleep(0.01)
        assert _is_usable(connection)
