"""The native log as a source: streaming gives the same rows whatever the size of a block."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.sources.base import ROW_SCHEMA
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline_tests.store.answers import log, session

DAY = date(2026, 3, 10)
UTC = ZoneInfo("UTC")


def test_the_size_of_a_block_does_not_matter(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    for hour in range(10, 20):
        log(engine, session(f"s{hour}", f"2026-03-10T{hour}:00:00+00:00", option_selected="a\nb"))
    with engine.connect() as connection:
        view = NativeView(connection, UTC)
        (whole,) = view.stream_day(DAY)
        blocks = list(view.stream_day(DAY, block_bytes=500))
    assert whole.schema == ROW_SCHEMA
    assert whole.num_rows == 30
    assert len(blocks) > 3
    assert pa.concat_tables(blocks).combine_chunks() == whole.combine_chunks()


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
