"""The native log as a source: streaming gives the same rows whatever the size of a block."""

from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.sources.base import (
    REASON_NUMBERS,
    ROW_REASONS,
    ROW_SCHEMA,
    ReadAgain,
    reading_again,
)
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline.store.tables import response_log
from calibration_pipeline_tests.database import connect, statements_of
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


def log_strange_rows(engine: sa.Engine) -> None:
    for hour in range(10, 20):
        rows = session(f"s{hour}", f"2026-03-10T{hour}:00:00+00:00", "i1 i3 i10 i2")
        for number, row in enumerate(reversed(rows)):
            log(engine, [row | STRANGE[(hour + number) % len(STRANGE)]])
    log(engine, session("s10", "2026-03-10T18:00:00+00:00"))  # a second start, hours later
    log(engine, session("s9", "2026-03-10T10:00:00+00:00"))  # by name after s10


def blocks_of(view: NativeView, **options: int) -> list[pa.Table]:
    return reading_again(lambda: list(view.stream_day(DAY, **options)))


@pytest.mark.parametrize("slice_rows", [1, 6, 11])
def test_the_size_of_a_block_does_not_matter(
    engine: sa.Engine, bank_csv: Path, slice_rows: int
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log_strange_rows(engine)
    with engine.connect() as connection:
        view = NativeView(connection, UTC)
        (whole,) = blocks_of(view)
        blocks = blocks_of(NativeView(connection, UTC), slice_rows=slice_rows)
    assert whole.num_rows == 46
    assert len(blocks) > 1
    sessions = [
        set(
            zip(
                *(b[name].to_pylist() for name in ("session_id", "session_started_at")), strict=True
            )
        )
        for b in blocks
    ]
    assert all(one.isdisjoint(other) for one, other in pairwise(sessions))
    assert str(pa.concat_tables(blocks).cast(ROW_SCHEMA).to_pylist()) == str(
        whole.cast(ROW_SCHEMA).to_pylist()
    )


def test_a_day_whose_sessions_start_twice_is_read_once_more(
    engine: sa.Engine, bank_csv: Path
) -> None:
    """They are found on the way: a day without any, as nearly all are, is read once."""
    import_bank(engine, bank_csv, "3PL")
    log(engine, session("s1", "2026-03-10T10:00:00+00:00"))
    with engine.connect() as connection:
        view = NativeView(connection, UTC)
        list(view.stream_day(DAY))
        log(engine, session("s1", "2026-03-10T18:00:00+00:00"))
        view = NativeView(connection, UTC)
        with pytest.raises(ReadAgain):
            list(view.stream_day(DAY, slice_rows=1))
        blocks = list(view.stream_day(DAY, slice_rows=1))
    inconsistent = REASON_NUMBERS["session_inconsistent"]
    assert {reason for block in blocks for reason in block["reason"].to_pylist()} == {inconsistent}


def test_rows_and_reasons_are_those_that_a_query_gives(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    log_strange_rows(engine)
    with engine.connect() as connection:
        (found,) = blocks_of(NativeView(connection, UTC))
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
    log_strange_rows(engine)
    with engine.connect() as connection:
        view = NativeView(connection, UTC)
        blocks_of(view)
        with statements_of(engine) as sent:
            beside = view.fingerprints(DAY, DAY)
        assert sent == []
        assert beside == NativeView(connection, UTC).fingerprints(DAY, DAY)


def test_a_stream_that_nobody_wants_any_more_leaves_the_connection_alone(
    engine: sa.Engine,
) -> None:
    log_strange_rows(engine)
    with engine.connect() as connection:
        with closing(NativeView(connection, UTC).stream_day(DAY, slice_rows=6)) as blocks:
            next(blocks)
        connection.rollback()
        assert connection.scalar(sa.text("SELECT 1")) == 1


IMPOSSIBLE = ("infinity", "-infinity", "4700-01-01 00:00+00 BC", "294000-01-01 00:00+00")


@pytest.mark.parametrize("column", ["answered_at", "ingested_at"])
@pytest.mark.parametrize("time", IMPOSSIBLE)
def test_times_that_no_calendar_has_are_quarantined(
    engine: sa.Engine, bank_csv: Path, column: str, time: str
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log(engine, session("a", "2026-03-10T10:00:00+00:00", "i1"))
    change = sa.update(response_log).values({column: sa.cast(time, response_log.c[column].type)})
    with engine.connect() as connection:
        connection.execute(change)
        view = NativeView(connection, UTC)
        before = view.fingerprints(DAY, DAY)
        (row,) = next(view.stream_day(DAY)).to_pylist()
        assert ROW_REASONS[row["reason"] - 1] == "unreadable_timestamp"
        assert (row["answered_at"] is None) == (column == "answered_at")
        assert (before[DAY].latest_ingested_at is None) == (column == "ingested_at")
        assert view.fingerprints(DAY, DAY) == before
        assert DAY not in view.late_arrivals(DAY, DAY, None) or column == "answered_at"


def test_texts_of_any_length_are_told_apart(engine: sa.Engine) -> None:
    """Short ones are compared as a number, long ones eight bytes at a time."""
    texts = ["".join(chr(97 + (n * 7 + k) % 3) for k in range(n)) for n in range(40)]
    texts += [text[:-1] + "z" for text in texts[1:]] + [f"z{text[1:]}" for text in texts[2:]]
    rows = session("a", "2026-03-10T10:00:00+00:00", " ".join(map(str, range(len(texts)))))
    rows = [row | {"option_selected": text} for row, text in zip(rows, texts, strict=True)]
    log(engine, rows + rows)
    with engine.connect() as connection:
        (found,) = blocks_of(NativeView(connection, UTC))
    options = dict(zip(found["item_id"].to_pylist(), found["option_selected"].to_pylist(),
                       strict=True))  # fmt: skip
    assert [options[str(n)] for n in range(len(texts))] == texts
    assert len(found["option_selected"].combine_chunks().dictionary) == len(set(texts))


@pytest.mark.parametrize("client_encoding", ["LATIN1", "SQL_ASCII"])
def test_texts_are_the_same_whatever_the_client_asks_for(
    engine: sa.Engine, bank_csv: Path, client_encoding: str
) -> None:
    import_bank(engine, bank_csv, "3PL")
    log_strange_rows(engine)
    with engine.connect() as connection:
        (expected,) = blocks_of(NativeView(connection, UTC))
        connection.execute(sa.text(f"SET LOCAL client_encoding = '{client_encoding}'"))
        (found,) = blocks_of(NativeView(connection, UTC))
    assert str(found.to_pylist()) == str(expected.to_pylist())


def test_a_database_in_another_encoding_is_refused(embedded_server: EmbeddedServer) -> None:
    """The server would hash other bytes than those that it sends: every night would read anew."""
    with connect(embedded_server.url("postgres")) as server:
        server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        engine = open_engine(embedded_server.url("latin"))
        with engine.connect() as connection, pytest.raises(SourceError, match="LATIN1"):
            next(NativeView(connection, UTC).stream_day(DAY))
        engine.dispose()
        server.execute("DROP DATABASE latin")


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
