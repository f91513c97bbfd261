"""Published versions as they are read. They never change."""

from datetime import date

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import AuditFinding, SnapshotItem, SnapshotManifest
from calibration_pipeline.store.aliases import CURRENT, current_version
from calibration_pipeline.store.snapshot_rows import (
    content_digest,
    items_of_rows,
    manifest_values,
)
from calibration_pipeline.store.tables import (
    calibration_states,
    snapshot_audits,
    snapshot_items,
    snapshots,
)

__all__ = [
    "CURRENT",
    "content_digest",
    "current_version",
    "list_snapshots",
    "read_audit",
    "read_manifest",
    "read_snapshot_items",
    "version_standing_for",
]


def list_snapshots(
    engine: sa.Engine, limit: int | None = None, *, before: int | None = None
) -> tuple[SnapshotManifest, ...]:
    """Read the manifests, newest version first; those below a number if it is given."""
    query = sa.select(snapshots).order_by(snapshots.c.version.desc()).limit(limit)
    if before is not None:
        query = query.where(snapshots.c.version < before)
    with engine.connect() as connection:
        rows = connection.execute(query)
        return tuple(SnapshotManifest(**manifest_values(row)) for row in rows)


def read_manifest(engine: sa.Engine, version: int) -> SnapshotManifest:
    """Read a version's manifest.

    Raises
    ------
    BadInputError
        There is no such version.
    """
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(snapshots).where(snapshots.c.version == version)
        ).one_or_none()
    if row is None:
        raise BadInputError(
            f"there is no version {version}: `calibrate snapshots list` shows those that there are"
        )
    return SnapshotManifest(**manifest_values(row))


def read_snapshot_items(engine: sa.Engine, version: int) -> tuple[SnapshotItem, ...]:
    """Read a version's items, by item id and content version.

    Raises
    ------
    BadInputError
        There is no such version.
    """
    read_manifest(engine, version)
    query = sa.select(snapshot_items).where(snapshot_items.c.version == version)
    with engine.connect() as connection:
        return items_of_rows(connection.execute(query))


def read_audit(engine: sa.Engine, version: int) -> tuple[AuditFinding, ...]:
    """Read what the audit of a version found, by rule."""
    audit = snapshot_audits.c
    query = sa.select(audit.rule, audit.passed, audit.detail).where(audit.version == version)
    with engine.connect() as connection:
        return tuple(AuditFinding(*row) for row in connection.execute(query.order_by(audit.rule)))


def version_standing_for(engine: sa.Engine, partition: date, attempt: int) -> int | None:
    """Give a night's newest version if it rests on a state with the content of this try's.

    Such a try publishes no version of its own unless it composes other values from that state.
    """
    tried, published = calibration_states.alias(), calibration_states.alias()
    newest = sa.select(sa.func.max(snapshots.c.version)).where(snapshots.c.partition == partition)
    query = (
        sa.select(snapshots.c.version)
        .join(
            published,
            (published.c.partition == snapshots.c.partition)
            & (published.c.attempt == snapshots.c.attempt),
        )
        .join(tried, (tried.c.partition == partition) & (tried.c.digest == published.c.digest))
        .where(snapshots.c.version == newest.scalar_subquery(), tried.c.attempt == attempt)
    )
    with engine.connect() as connection:
        return connection.scalar(query)
