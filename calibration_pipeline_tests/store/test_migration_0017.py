"""Reports from before 0017 are held against the control that was the newest when they came."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import schema, states
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.exposure import read_proposals, write_exposure
from calibration_pipeline.store.runs import open_run
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.store.examples import NIGHT, scale_exposure, snapshot_items, state
from calibration_pipeline_tests.store.old_databases import fill, upgrade
from calibration_pipeline_tests.store.publishing import published

KEY = snapshot_items()[0].key


@pytest.fixture
def old(embedded_server: EmbeddedServer) -> Iterator[sa.Engine]:
    """A database at revision 0016, with one published version."""
    with fresh_database(embedded_server) as newest_url, fresh_database(embedded_server) as url:
        newest, engine = open_engine(newest_url), open_engine(url)
        schema.migrate(newest)
        run_id = open_run(
            newest, partition=NIGHT, triggered_by="a test", configuration={}, package_versions={}
        )
        states.write_state(newest, state(), run_id)
        published(newest, run_id)
        upgrade(engine, "0016")
        fill(newest, engine)
        newest.dispose()
        yield engine
        engine.dispose()


def report(engine: sa.Engine, report_id: str) -> None:
    statement = """
        INSERT INTO calibration.item_proposals
            (report_id, day, version, item_id, content_version, proposed, given)
        VALUES (:report_id, :day, 1, :item_id, 1, 10, 3)
    """
    with engine.begin() as connection:
        connection.execute(
            sa.text(statement), {"report_id": report_id, "day": NIGHT, "item_id": KEY[0]}
        )


def test_reports_get_the_attempt_that_they_were_drawn_with(old: sa.Engine) -> None:
    control = scale_exposure([KEY], cuts=())
    for report_id in ("before any", "first", "second"):
        report(old, report_id)
        write_exposure(old, 1, replace(control), found_by="a test")
    report(old, "third")
    schema.migrate(old)
    found = {r.attempt: r.proposed for r in read_proposals(old, NIGHT, NIGHT)}
    assert found == {1: 20, 2: 10, 3: 10}


def test_history_stays_sealed_afterwards(old: sa.Engine) -> None:
    report(old, "one")
    schema.migrate(old)
    with (
        pytest.raises(sa.exc.IntegrityError, match="append-only"),
        old.begin() as connection,
    ):
        connection.execute(sa.text("UPDATE calibration.item_proposals SET attempt = 7"))
