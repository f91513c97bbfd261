"""Publish a draft as a night does: written, audited, published, under a lock of its own."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.records import AuditFinding, SnapshotDraft, SnapshotItem
from calibration_pipeline.store.drafts import record_audit, write_draft
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.publication import Publication, publish
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline.store.transactions import Transactions
from calibration_pipeline_tests.store.examples import PASSED, draft, snapshot_items


def audited_draft(
    database: Transactions,
    made: SnapshotDraft,
    items: Sequence[SnapshotItem] | None = None,
    findings: Sequence[AuditFinding] = PASSED,
) -> int:
    """A draft that is ready to be published, or has failed."""
    draft_id = write_draft(database, made, snapshot_items() if items is None else items)
    record_audit(database, draft_id, findings)
    return draft_id


def published(
    engine: sa.Engine,
    run_id: str,
    items: Sequence[SnapshotItem] | None = None,
    **changes: Any,
) -> Publication:
    """Publish the example draft with changes; it follows what is current unless told otherwise."""
    changes = {"parent_version": current_version(engine)} | changes
    with CalibrationLock(engine, "a test") as lock:
        draft_id = audited_draft(lock, draft(run_id, **changes), items)
        return publish(lock, draft_id, moved_by="a test")
