"""Versions before they are published: written where no reader looks, read back, and audited."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import AuditFinding, SnapshotDraft, SnapshotItem
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.snapshot_rows import (
    ITEM_COLUMNS,
    content_digest,
    draft_values,
    item_rows,
    items_of_rows,
    manifest_values,
)
from calibration_pipeline.store.tables import (
    snapshot_draft_audits,
    snapshot_draft_items,
    snapshot_drafts,
)
from calibration_pipeline.store.transactions import Transactions

_FAILED = sa.exists().where(
    snapshot_draft_audits.c.draft_id == snapshot_drafts.c.draft_id,
    ~snapshot_draft_audits.c.passed,
)


@dataclass(frozen=True)
class StoredDraft:
    """A draft as it was written.

    Attributes
    ----------
    draft_id
        Its number.
    draft
        What its version's manifest would say.
    content_digest
        Of the items as they were composed, before they were written.
    recorded_at
        When it was written.
    findings
        Of its audit, by rule; empty if it has not been audited.
    """

    draft_id: int
    draft: SnapshotDraft
    content_digest: str
    recorded_at: datetime
    findings: tuple[AuditFinding, ...]

    @property
    def state(self) -> str:
        """'unaudited', 'passed' or 'failed'."""
        if not self.findings:
            return "unaudited"
        return "passed" if all(finding.passed for finding in self.findings) else "failed"


def write_draft(database: Transactions, draft: SnapshotDraft, items: Sequence[SnapshotItem]) -> int:
    """Store a draft; give its number.

    Drafts of the same night that were never audited, or passed and were not published, are left
    over from a crash or a conflict: this one takes their place. Failed ones stay for inspection.

    Parameters
    ----------
    items
        Every item of the pool.
    """
    with database.begin() as connection:
        of_night = snapshot_drafts.c.partition == draft.partition
        connection.execute(sa.delete(snapshot_drafts).where(of_night, ~_FAILED))
        digest = content_digest(items, draft.scaling_constant)
        draft_id: int = connection.execute(
            sa.insert(snapshot_drafts)
            .values(draft_values(draft) | {"content_digest": digest})
            .returning(snapshot_drafts.c.draft_id)
        ).scalar_one()
        copy_rows(
            connection,
            snapshot_draft_items,
            ("draft_id", *ITEM_COLUMNS),
            item_rows(draft_id, items),
        )
    return draft_id


def read_draft_items(engine: sa.Engine, draft_id: int) -> tuple[SnapshotItem, ...]:
    """Read a draft's items as they stand in the database, by item id and content version."""
    query = sa.select(snapshot_draft_items).where(snapshot_draft_items.c.draft_id == draft_id)
    with engine.connect() as connection:
        return items_of_rows(connection.execute(query))


def record_audit(database: Transactions, draft_id: int, findings: Sequence[AuditFinding]) -> None:
    """Store what the audit of a draft found; publication takes it from here.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        There is no such draft, or it has been audited.
    """
    rows = [
        {"draft_id": draft_id, "rule": f.rule, "passed": f.passed, "detail": f.detail}
        for f in findings
    ]
    with database.begin() as connection:
        connection.execute(sa.insert(snapshot_draft_audits), rows)


def read_draft(engine: sa.Engine, draft_id: int) -> StoredDraft:
    """Read a draft without its items.

    Raises
    ------
    BadInputError
        There is no such draft.
    """
    found = _read(engine, snapshot_drafts.c.draft_id == draft_id)
    if not found:
        raise BadInputError(
            f"there is no draft {draft_id}: `calibrate snapshots drafts` lists those that there are"
        )
    return found[0]


def list_drafts(engine: sa.Engine) -> tuple[StoredDraft, ...]:
    """Read all drafts without their items, the newest first."""
    return _read(engine, sa.true())


def failed_audit(engine: sa.Engine, partition: date, attempt: int) -> tuple[AuditFinding, ...]:
    """Read what the newest failed audit of a try at a night found; nothing if none failed."""
    draft = snapshot_drafts.c
    found = _read(engine, (draft.partition == partition) & (draft.attempt == attempt) & _FAILED)
    return found[0].findings if found else ()


def _read(engine: sa.Engine, wanted: sa.ColumnElement[bool]) -> tuple[StoredDraft, ...]:
    header, audit = snapshot_drafts.c, snapshot_draft_audits.c
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(snapshot_drafts).where(wanted).order_by(header.draft_id.desc())
        ).all()
        found: dict[int, list[AuditFinding]] = {row.draft_id: [] for row in rows}
        audits = connection.execute(
            sa.select(audit.draft_id, audit.rule, audit.passed, audit.detail)
            .where(audit.draft_id.in_(found))
            .order_by(audit.rule)
        )
        for draft_id, *finding in audits:
            found[draft_id].append(AuditFinding(*finding))
    return tuple(_stored_draft(row, found[row.draft_id]) for row in rows)


def _stored_draft(row: sa.Row[Any], findings: Sequence[AuditFinding]) -> StoredDraft:
    stored = manifest_values(row)
    return StoredDraft(
        draft_id=row.draft_id,
        draft=SnapshotDraft(**{field.name: stored[field.name] for field in fields(SnapshotDraft)}),
        content_digest=row.content_digest,
        recorded_at=row.recorded_at,
        findings=tuple(findings),
    )
