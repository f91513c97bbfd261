"""Published versions: written, audited and made current in one transaction, never changed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, NightBlockedError, PublicationConflictError
from calibration_pipeline.records import (
    AuditFinding,
    ScaleLink,
    SnapshotDraft,
    SnapshotItem,
    SnapshotManifest,
)
from calibration_pipeline.store.canonical import digest_of
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.lock import check_fence
from calibration_pipeline.store.tables import (
    alias_moves,
    aliases,
    snapshot_audits,
    snapshot_items,
    snapshots,
)

CURRENT = "current"

_NUMBERS = (
    "discrimination",
    "difficulty",
    "guessing",
    "discrimination_se",
    "difficulty_se",
    "guessing_se",
)
_TEXTS = ("scale", "track", "source", "at_bound")
_COUNTS = ("window_count", "total_count")
_COLUMNS = ("item_id", "content_version", *_NUMBERS, *_TEXTS, *_COUNTS, "covariance")


def content_digest(items: Sequence[SnapshotItem], scaling_constant: float) -> str:
    """Digest what a version says about its items, whatever its number, night or run.

    Parameters
    ----------
    items
        In any order: they are digested by item id and content version.
    scaling_constant
        The D that the discriminations are stated in.
    """
    rows = sorted(items, key=lambda item: item.key)
    return digest_of(
        float(scaling_constant),
        [item.key[0] for item in rows],
        np.array([item.key[1] for item in rows], np.int64),
        *(np.array([getattr(item, name) for item in rows], np.float64) for name in _NUMBERS),
        np.array([item.covariance for item in rows], np.float64),
        *([getattr(item, name) for item in rows] for name in _TEXTS),
        *(np.array([getattr(item, name) for item in rows], np.int64) for name in _COUNTS),
    )


def publish(
    engine: sa.Engine,
    draft: SnapshotDraft,
    items: Sequence[SnapshotItem],
    findings: Sequence[AuditFinding],
    *,
    fence_token: int,
    moved_by: str,
    alias: str = CURRENT,
    move_alias: bool = True,
) -> int:
    """Publish a version: rows, manifest, audit and alias in one transaction.

    Parameters
    ----------
    items
        Every item of the pool.
    findings
        The audit; each must have passed.
    fence_token
        Of the calibration lock that this run holds.
    moved_by
        Who or what publishes, for the log of alias moves.
    move_alias
        Whether `alias` shall point at the new version; not so for an old night that is run again.

    Returns
    -------
    int
        The version's number.

    Raises
    ------
    NightBlockedError
        The audit failed.
    LockLostError
        Another calibration has taken the lock since.
    PublicationConflictError
        `alias` no longer points at the draft's parent version.
    """
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        raise NightBlockedError(
            f"the audit failed ({failed[0].rule}: {failed[0].detail}): nothing was published; "
            "look at the night's checks"
        )
    with engine.begin() as connection:
        check_fence(connection, fence_token)  # also makes publishers queue for the next number
        newest = connection.scalar(sa.select(sa.func.max(snapshots.c.version)))
        version = (newest or 0) + 1
        _write_version(connection, version, draft, items, findings)
        if move_alias:
            _move_alias(connection, alias, version, draft, moved_by)
    return version


def _write_version(
    connection: sa.Connection,
    version: int,
    draft: SnapshotDraft,
    items: Sequence[SnapshotItem],
    findings: Sequence[AuditFinding],
) -> None:
    manifest = {name: getattr(draft, name) for name in draft.__dataclass_fields__} | {
        "version": version,
        "links": [_without_nan(asdict(link)) for link in draft.links],
        "population": {scale: _without_nan(values) for scale, values in draft.population.items()},
        "content_digest": content_digest(items, draft.scaling_constant),
    }
    connection.execute(sa.insert(snapshots).values(manifest))
    copy_rows(
        connection,
        snapshot_items,
        ("version", *_COLUMNS),
        (
            [version, *item.key, *(getattr(item, n) for n in _COLUMNS[2:-1]), list(item.covariance)]
            for item in items
        ),
    )
    copy_rows(
        connection,
        snapshot_audits,
        ("version", "rule", "passed", "detail"),
        ([version, finding.rule, finding.passed, finding.detail] for finding in findings),
    )


def _move_alias(
    connection: sa.Connection, alias: str, version: int, draft: SnapshotDraft, moved_by: str
) -> None:
    """Compare and swap: the alias must still be where the audit compared the draft with."""
    found = connection.scalar(
        sa.select(aliases.c.version).where(aliases.c.alias == alias).with_for_update()
    )
    if found != draft.parent_version:
        raise PublicationConflictError(
            f"{alias!r} points at version {found}, this snapshot was made to follow "
            f"{draft.parent_version}: nothing was published; run the night again"
        )
    if found is None:
        connection.execute(sa.insert(aliases).values(alias=alias, version=version))
    else:
        connection.execute(
            sa.update(aliases).where(aliases.c.alias == alias).values(version=version)
        )
    connection.execute(
        sa.insert(alias_moves).values(
            alias=alias,
            from_version=found,
            to_version=version,
            run_id=draft.run_id,
            moved_by=moved_by,
            reason=f"published for {draft.partition}",
        )
    )


def current_version(engine: sa.Engine, alias: str = CURRENT) -> int | None:
    """Give the version that an alias points at; None before the first publication."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(aliases.c.version).where(aliases.c.alias == alias))


def list_snapshots(engine: sa.Engine, limit: int | None = None) -> tuple[SnapshotManifest, ...]:
    """Read the manifests, newest version first."""
    query = sa.select(snapshots).order_by(snapshots.c.version.desc()).limit(limit)
    with engine.connect() as connection:
        return tuple(_manifest(row) for row in connection.execute(query))


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
    return _manifest(row)


def read_snapshot_items(engine: sa.Engine, version: int) -> tuple[SnapshotItem, ...]:
    """Read a version's items, by item id and content version.

    Raises
    ------
    BadInputError
        There is no such version.
    """
    read_manifest(engine, version)
    query = sa.select(snapshot_items).where(snapshot_items.c.version == version)
    names = _COLUMNS[2:-1]
    with engine.connect() as connection:
        items = (
            SnapshotItem(
                key=(row.item_id, row.content_version),
                covariance=tuple(row.covariance),
                **{name: getattr(row, name) for name in names},
            )
            for row in connection.execute(query)
        )
        return tuple(sorted(items, key=lambda item: item.key))


def read_audit(engine: sa.Engine, version: int) -> tuple[AuditFinding, ...]:
    """Read what the audit of a version found, by rule."""
    audit = snapshot_audits.c
    query = sa.select(audit.rule, audit.passed, audit.detail).where(audit.version == version)
    with engine.connect() as connection:
        return tuple(AuditFinding(*row) for row in connection.execute(query.order_by(audit.rule)))


def _manifest(row: sa.Row[Any]) -> SnapshotManifest:
    stored = dict(row._mapping)
    stored["links"] = tuple(ScaleLink(**_with_nan(link)) for link in stored["links"])
    stored["population"] = {
        scale: _with_nan(values) for scale, values in stored["population"].items()
    }
    return SnapshotManifest(**stored)


def _without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN; null stands for it."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }


def _with_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}
