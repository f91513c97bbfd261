"""The native log as a source: streaming gives the same rows whatever the size of a block."""

from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.sources import native_stream
from calibration_pipeline.store.sources.base import ROW_REASONS, ROW_SCHEMA
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline_tests.database import statements_of
from calibration_pipeline_tests.store.answers import log, moment, session

DAY = date(2026, 3, 10)
UTC = ZoneInfo("UTC")

# What a day's rows are, said once more as a single query.
QUERY = """
WITH inconsistent AS (
    SELECT session_id FROM calibration.response_log GROUP BY session_id
    HAVING min(session_started_at) <> max(session_started_at)
        OR min(candidate_id) <> max(candidate_id)
)
SELECT CASE WHEN i.item_id IS NULL THEN 'unknown_item'
            WHEN d.outcome NOT IN ('scored', 'omitted', 'not_reached', 'invalid')
                THEN 'unknown_outcome'
            WHEN d.score IS NULL AND coalesce(d.outcome, 'scored') = 'scored' THEN 'null_score'
            WHEN d.score NOT IN (0, 1) THEN 'non_binary_score'
            WHEN d.answered_at > d.ingested_at + interval '5 minutes' THEN 'future_timestamp'
            WHEN n.session_id IS NOT NULL THEN 'session_inconsistent' END,
       d.session_id, d.candidate_id, d.session_started_at, d.item_id, d.content_version, d.score,
       d.answered_at, d.position, d.time_on_task_ms, d.option_selected, d.theta_at_presentation,
       d.population_group, d.engine_version, nullif(d.outcome, 'scored')
FROM calibration.response_log AS d
LEFT JOIN calibration.items AS i USING (item_id, content_version)
LEFT JOIN inconsistent AS n USING (session_id)
ORDER BY d.session_started_at, d.session_id COLLATE "C", d.position NULLS LAST, d.answered_at,
         d.item_id COLLATE "C", d.content_version, d.response_id
"""


STRANGE: list[dict[str, Any]] = [
    {"option_selected": 'a "quoted"\ntext', "population_group": "", "engine_version": "é" * 40},
    {"theta_at_presentation": -0.0, "time_on_task_ms": -1, "score": -32768},
    {"theta_at_presentation": float("nan"), "position": None, "score": None},
    {"theta_at_presentation": 1e-310, "outcome": "scored"},
    {"outcome": "omitted", "score": None, "theta_at_presentation": 0.0},
    {"outcome": "no such outcome", "option_selected": "x" * 100},
    {"content_version": 7},
    {"item_id": "nobody's"},
    {"answered_at": moment("2027-01-01T00:05:01+00:00")},
    {"candidate_id": "another"},
    {"ingested_at": moment("1999-12-31T23:59:59.999999+00:00")},
    {},
]


def _log_strange_rows(engine: sa.Engine) -> None:
    for hour in range(10, 20):
        rows = session(f"s{hour}", f"2026-03-10T{hour}:00:00+00:00", "i1 i3 i10 i2")
        for number, row in enumerate(reversed(rows)):
            log(engine, [row | STRANGE[(hour + number) % len(STRANGE)]])
    log(engine, session("s10", "2026-03-10T18:00:00+00:00"))  # a second start, hours later
    log(engine, session("s9", "2026-03-10T10:00:00+00:00"))  # by name after s10


@pytest.mark.parametrize("slice_rows", [1, 6, 20])
def test_the_size_of_a_block_does_not_matter(
    engine: sa.Engine, bank_csv: Path, slice_rows: int
) -> None:
    import_bank(engine, bank_csv, "3PL")
    _log_strange_rows(engine)
    with engine.connect() as connection:
        view = NativeView(connection, UTC)
        (whole,) = view.stream_day(DAY)
        blocks = list(view.stream_day(DAY, slice_rows=slice_rows))
    assert whole.num_rows == 46
    assert len(blocks) > 2
    assert all(set(a["session_id"].to_pylist()).isdisjoint(b["session_id"].to_pylist())
               for a, b in pairwise(blocks))  # fmt: skip
    assert str(pa.concat_tables(blocks).cast(ROW_SCHEMA).to_pylist()) == str(
        whole.cast(ROW_SCHEMA).to_pylist()
    )


def test_rows_and_reasons_are_those_that_a_query_gives(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    _log_strange_rows(engine)
    with engine.connect() as connection:
        (found,) = NativeView(connection, UTC).stream_day(DAY)
        expected = [list(row) for row in connection.execute(sa.text(QUERY))]
    rows = found.cast(ROW_SCHEMA).to_pylist()
    for row in rows:
        row["reason"] = ROW_REASONS[row["reason"] - 1] if row["reason"] else None
    # Written out, since a NaN is unequal to itself.
    assert [str(_in_utc(row.values())) for row in rows] == [str(_in_utc(row)) for row in expected]


def _in_utc(row: Iterable[Any]) -> list[Any]:
    return [value.astimezone(UTC) if isinstance(value, datetime) else value for value in row]


def test_what_was_streamed_needs_no_second_look(engine: sa.Engine, bank_csv: Path) -> None:
    """The hashes that are computed beside the rows are PostgreSQL's own."""
    import_bank(engine, bank_csv, "3PL")
    _log_strange_rows(engine)
    with engine.connect() as connection:
        view = NativeView(connection, UTC)
        list(view.stream_day(DAY))
        with statements_of(engine) as sent:
            beside = view.fingerprints(DAY, DAY)
        assert sent == []
        assert beside == NativeView(connection, UTC).fingerprints(DAY, DAY)


def test_a_stream_that_nobody_wants_any_more_leaves_the_connection_alone(
    engine: sa.Engine,
) -> None:
    _log_strange_rows(engine)
    with engine.connect() as connection:
        with closing(NativeView(connection, UTC).stream_day(DAY, slice_rows=6)) as blocks:
            next(blocks)
        connection.rollback()
        assert connection.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize("stage", ["last_session", "CopiedRows.table"])
def test_an_error_in_the_middle_of_a_copy_does_not_hold_the_connection(
    engine: sa.Engine, bank_csv: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    import_bank(engine, bank_csv, "3PL")
    _log_strange_rows(engine)

    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(f"{native_stream.__name__}.{stage}", fail)
    monkeypatch.setattr(native_stream, "_LARGEST_SLICE", 0)  # several blocks of a COPY
    with engine.connect() as connection:
        with pytest.raises(MemoryError) as raised:
            list(NativeView(connection, UTC).stream_day(DAY, slice_rows=6))
        assert raised.tb is not None  # it keeps the frames of what was reading
        connection.rollback()
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_what_the_server_says_of_a_copy_is_raised(engine: sa.Engine) -> None:
    _log_strange_rows(engine)
    with engine.connect() as connection:
        blocks = NativeView(connection, UTC).stream_day(DAY)
        connection.execute(sa.text("SET LOCAL statement_timeout = '1ms'"))
        with pytest.raises((psycopg.errors.QueryCanceled, sa.exc.OperationalError)):
            list(blocks)
        connection.rollback()
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_days_without_outcomes_look_as_they_did_before_there_were_any(engine: sa.Engine) -> None:
    """Else every archived day would be extracted again after the migration."""
    log(engine, session("a", "2026-03-10T10:00:00+00:00"))
    with engine.begin() as connection:
        before = connection.scalar(
            sa.text(
                "SELECT bit_xor(hash_record_extended(ROW(response_id, session_id, candidate_id, "
                "item_id, content_version, score, answered_at, session_started_at, position, "
                "time_on_task_ms, option_selected, theta_at_presentation, population_group, "
                "engine_version, true), 0)) FROM calibration.response_log"
            )
        )
        found = [NativeView(connection, UTC).fingerprints(DAY, DAY)[DAY].checksum]
        for outcome in ("omitted", "invalid"):
            connection.execute(
                sa.text("UPDATE calibration.response_log SET outcome = :outcome"),
                {"outcome": outcome},
            )
            found.append(NativeView(connection, UTC).fingerprints(DAY, DAY)[DAY].checksum)
    assert found[0] == before
    assert len(set(found)) == 3


def test_a_day_without_rows_gives_no_block(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert list(NativeView(connection, UTC).stream_day(DAY)) == []
