"""Drafts: written where no reader looks, kept if they fail, gone once they are of no use."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import AuditFinding
from calibration_pipeline.store import drafts, snapshots, states
from calibration_pipeline.store.tables import snapshot_draft_items
from calibration_pipeline_tests.store.examples import (
    NIGHT,
    PASSED,
    draft,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.publishing import audited_draft

FAILED = (AuditFinding("moved", False, "half of the items moved"), *PASSED)
NEXT = NIGHT + timedelta(days=1)


@pytest.fixture(autouse=True)
def _stored_states(engine: sa.Engine, run_id: str) -> None:
    for night, attempt in ((NIGHT, 1), (NIGHT, 2), (NEXT, 1)):
        states.write_state(engine, state(night, attempt, n_items=2), run_id)


def test_a_draft_is_read_back_to_the_bit(engine: sa.Engine, run_id: str) -> None:
    odd = replace(snapshot_items()[0], guessing_se=math.inf, difficulty=-5e-324)
    items = (odd, *snapshot_items()[1:])
    population = {"main": {"mean": 0.1 + 0.2, "sd": 1.0}}
    made = draft(run_id, population=population)
    draft_id = drafts.write_draft(engine, made, items[::-1])
    assert drafts.read_draft_items(engine, draft_id) == items
    stored = drafts.read_draft(engine, draft_id)
    assert (stored.draft, stored.findings, stored.state) == (made, (), "unaudited")
    assert stored.content_digest == snapshots.content_digest(items, 1.702)
    assert abs(datetime.now(UTC) - stored.recorded_at) < timedelta(minutes=1)


def test_an_item_that_is_written_twice_is_read_twice(engine: sa.Engine, run_id: str) -> None:
    twice = snapshot_items(1) * 2
    draft_id = drafts.write_draft(engine, draft(run_id), twice)
    assert drafts.read_draft_items(engine, draft_id) == twice


def test_what_was_changed_after_it_was_written_is_seen(engine: sa.Engine, run_id: str) -> None:
    draft_id = drafts.write_draft(engine, draft(run_id), snapshot_items())
    with engine.begin() as connection:
        connection.execute(
            sa.update(snapshot_draft_items)
            .where(snapshot_draft_items.c.item_id == "i2")
            .values(difficulty=0.25)
        )
    items = drafts.read_draft_items(engine, draft_id)
    stored = drafts.read_draft(engine, draft_id)
    assert snapshots.content_digest(items, 1.702) != stored.content_digest


def test_a_night_removes_what_it_left_over_and_keeps_what_failed(
    engine: sa.Engine, run_id: str
) -> None:
    failed = audited_draft(engine, draft(run_id), findings=FAILED)
    passed = audited_draft(engine, draft(run_id, attempt=2))
    of_another_night = drafts.write_draft(engine, draft(run_id, partition=NEXT), snapshot_items())
    unaudited = drafts.write_draft(engine, draft(run_id, attempt=2), snapshot_items())
    kept = [stored.draft_id for stored in drafts.list_drafts(engine)]
    assert kept == [unaudited, of_another_night, failed]
    assert drafts.read_draft_items(engine, passed) == ()
    newest = drafts.write_draft(engine, draft(run_id), snapshot_items())
    assert [(d.draft_id, d.state) for d in drafts.list_drafts(engine)] == [
        (newest, "unaudited"),
        (of_another_night, "unaudited"),
        (failed, "failed"),
    ]


def test_the_newest_failed_audit_of_a_try_is_found(engine: sa.Engine, run_id: str) -> None:
    assert drafts.failed_audit(engine, NIGHT, 1) == ()
    audited_draft(engine, draft(run_id), findings=FAILED)
    again = (replace(FAILED[0], detail="all of the items moved"),)
    audited_draft(engine, draft(run_id), findings=again)
    audited_draft(engine, draft(run_id))
    assert drafts.failed_audit(engine, NIGHT, 1) == again
    assert drafts.failed_audit(engine, NIGHT, 2) == drafts.failed_audit(engine, NEXT, 1) == ()


def test_an_audit_is_recorded_once(engine: sa.Engine, run_id: str) -> None:
    draft_id = audited_draft(engine, draft(run_id), findings=FAILED)
    assert drafts.read_draft(engine, draft_id).findings == tuple(sorted(FAILED, key=_rule))
    with pytest.raises(sa.exc.IntegrityError):
        drafts.record_audit(engine, draft_id, PASSED)
    assert drafts.read_draft(engine, draft_id).state == "failed"


def _rule(finding: AuditFinding) -> str:
    return finding.rule


def test_a_draft_that_is_not_there_is_named(engine: sa.Engine) -> None:
    with pytest.raises(BadInputError, match=r"no draft 7: `calibrate snapshots drafts`"):
        drafts.read_draft(engine, 7)
