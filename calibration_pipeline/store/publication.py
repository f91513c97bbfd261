"""Publication: an audited draft becomes a version, and the alias follows, in one transaction."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.aliases import (
    CURRENT,
    move_alias,
    take_turn,
    version_of_alias,
)
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.publication_switch import frozen_by
from calibration_pipeline.store.snapshot_rows import ITEM_COLUMNS, MANIFEST_COLUMNS
from calibration_pipeline.store.tables import (
    calibration_states,
    snapshot_audits,
    snapshot_draft_audits,
    snapshot_draft_items,
    snapshot_drafts,
    snapshot_items,
    snapshots,
)


@dataclass(frozen=True)
class Publication:
    """What came of publishing a draft.

    Attributes
    ----------
    version
        The draft's version, or the one that stands because the draft says the same.
    is_new
        Whether the draft has become that version.
    current
        The version that the alias points at now; None while there is none.
    held_back
        Why that isn't `version` although it would be otherwise; an empty string if nothing
        holds it back.
    """

    version: int
    is_new: bool
    current: int | None
    held_back: str


def publish(
    lock: CalibrationLock, draft_id: int, *, moved_by: str, alias: str = CURRENT
) -> Publication:
    """Make an audited draft a version: manifest, items, audit and alias in one transaction.

    The rows never leave the server: what was audited is what is published. A draft that says the
    same as its night's newest version, from the same state, under the same configuration, gives
    no second one: that version stands. Either way the alias follows, unless the night is an old
    one or publication is frozen, and the draft is gone.

    Parameters
    ----------
    lock
        The calibration lock that this run holds.
    moved_by
        Who or what publishes, for the log of alias moves.

    Raises
    ------
    NightBlockedError
        The draft is not there, was not audited, or failed its audit.
    LockLostError
        Another calibration has taken the lock since.
    PublicationConflictError
        A person has moved `alias` away from the draft's parent version.
    """
    with lock.begin() as connection:  # also makes publishers queue for the next number
        draft = _passed_draft(connection, draft_id)
        take_turn(connection)
        standing = _standing_version(connection, draft_id)
        version = _mint(connection, draft_id) if standing is None else standing
        held_back = _follow(connection, alias, version, draft, moved_by)
        connection.execute(sa.delete(snapshot_drafts).where(snapshot_drafts.c.draft_id == draft_id))
        current = version_of_alias(connection, alias)
    return Publication(version, standing is None, current, held_back)


def _passed_draft(connection: sa.Connection, draft_id: int) -> sa.Row[Any]:
    """Read a draft's header, if its stored audit is there and passed."""
    header, audit = snapshot_drafts.c, snapshot_draft_audits.c
    of_draft = audit.draft_id == header.draft_id
    passed = sa.select(sa.func.bool_and(audit.passed)).where(of_draft).scalar_subquery()
    query = sa.select(snapshot_drafts, passed.label("passed")).where(header.draft_id == draft_id)
    draft = connection.execute(query).one_or_none()
    if draft is None:
        raise NightBlockedError(
            f"there is no draft {draft_id} to publish: run the night again, which writes a new one"
        )
    if not draft.passed:
        what = "was not audited" if draft.passed is None else "failed its audit"
        raise NightBlockedError(
            f"draft {draft_id} of {draft.partition} {what}: nothing was published; "
            f"look at it with `calibrate snapshots drafts show {draft_id}`"
        )
    return draft


def _standing_version(connection: sa.Connection, draft_id: int) -> int | None:
    """The night's newest version, if the draft says the same for the same reasons."""
    draft, version = snapshot_drafts.c, snapshots.c
    drafted, published = calibration_states.alias(), calibration_states.alias()
    other = snapshots.alias()
    newest = sa.select(sa.func.max(other.c.version)).where(other.c.partition == draft.partition)
    return connection.scalar(
        sa.select(version.version)
        .join_from(
            snapshot_drafts,
            snapshots,
            (version.partition == draft.partition)
            & (version.content_digest == draft.content_digest)
            & (version.scaling_constant == draft.scaling_constant)
            & (version.configuration == draft.configuration),
        )
        .join(drafted, _is_state_of(drafted, snapshot_drafts))
        .join(published, _is_state_of(published, snapshots))
        .where(
            draft.draft_id == draft_id,
            version.version == newest.scalar_subquery(),
            published.c.digest == drafted.c.digest,
        )
    )


def _is_state_of(states: sa.FromClause, table: sa.Table) -> sa.ColumnElement[bool]:
    return (states.c.partition == table.c.partition) & (states.c.attempt == table.c.attempt)


def _mint(connection: sa.Connection, draft_id: int) -> int:
    """Copy a draft's rows into those of the next version; give its number."""
    newest = connection.scalar(sa.select(sa.func.max(snapshots.c.version)))
    version = (newest or 0) + 1
    audit = ("rule", "passed", "detail")
    for source, target, columns in (
        (snapshot_drafts, snapshots, MANIFEST_COLUMNS),
        (snapshot_draft_items, snapshot_items, ITEM_COLUMNS),
        (snapshot_draft_audits, snapshot_audits, audit),
    ):
        rows = sa.select(sa.literal(version), *(source.c[name] for name in columns))
        rows = rows.where(source.c.draft_id == draft_id)
        connection.execute(sa.insert(target).from_select(["version", *columns], rows))
    return version


def _follow(
    connection: sa.Connection, alias: str, version: int, draft: sa.Row[Any], moved_by: str
) -> str:
    """Move the alias to a version unless something is against it; give what holds it back."""
    found = version_of_alias(connection, alias)
    if found == version or _is_old(connection, found, draft.partition):
        return ""
    if held_back := _frozen(connection, alias):
        return held_back
    move_alias(
        connection,
        alias,
        version,
        expected=draft.parent_version,
        moved_by=moved_by,
        reason=f"published for {draft.partition}",
        otherwise=(
            f"nothing was published for {draft.partition}; freeze publication to keep it there, "
            "or run the night again to move on"
        ),
        run_id=draft.run_id,
    )
    return ""


def _is_old(connection: sa.Connection, found: int | None, partition: date) -> bool:
    """Whether a night is an old one, whose version moves no alias when it is run again.

    That is where a later night has been published, even if a person has rolled back from it; but
    not the very night that the alias stands at, which is mended by being run again.
    """
    if found is None:
        return False
    stands_at = sa.select(snapshots.c.partition).where(snapshots.c.version == found)
    if connection.scalar(stands_at) == partition:
        return False
    newest = connection.scalar(sa.select(sa.func.max(snapshots.c.partition)))
    return newest is not None and partition < newest


def _frozen(connection: sa.Connection, alias: str) -> str:
    switch = frozen_by(connection)
    if switch is None:
        return ""
    found = version_of_alias(connection, alias)
    stays = "points at no version" if found is None else f"stays at version {found}"
    return f"{switch.describe()}; `{alias}` {stays}"


def why_held_back(engine: sa.Engine, version: int, alias: str = CURRENT) -> str:
    """Say what keeps an alias from a version, if that is a decision to freeze publication.

    Returns
    -------
    str
        An empty string if the alias stands there or later, or publication is open.
    """
    with engine.connect() as connection:
        found = version_of_alias(connection, alias)
        night, stands_at = (
            connection.scalar(sa.select(snapshots.c.partition).where(snapshots.c.version == number))
            for number in (version, found)
        )
        if night is None or found == version or (stands_at is not None and night < stands_at):
            return ""
        return _frozen(connection, alias)
