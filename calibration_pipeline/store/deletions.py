"""What has been deleted from the archive, and what that means for those who ask for it.

Two things are deleted: days that are older than the retention period, for good, and revisions that
held an erased candidate, in whose place another revision stands. The record comes first and the
file goes afterwards, so a file that was left over by a crash is known, and the next deletion of any
kind removes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.tables import (
    archive_deletions,
    archive_revisions,
    calibration_states,
    retention_runs,
    snapshots,
    state_folds,
    state_windows,
)

IS_DELETED = sa.exists().where(
    archive_deletions.c.day == archive_revisions.c.day,
    archive_deletions.c.revision == archive_revisions.c.revision,
)
"""Whether a row of `archive_revisions` is of a deleted file."""


@dataclass(frozen=True)
class TouchedNight:
    """A night's state that used answers of candidates who have been erased since.

    It stays as it is, and so does its version. Run again, the night reads what is left of those
    days, and comes out slightly different.

    Attributes
    ----------
    partition, attempt
        Of the state.
    version
        Published from it; None if none was.
    days
        Whose answers they were, oldest first.
    """

    partition: date
    attempt: int
    version: int | None
    days: tuple[date, ...]


def retention_cut(connection: sa.Connection) -> date | None:
    """Give the day before which answers have been deleted; None if none have."""
    cut: date | None = connection.scalar(sa.select(sa.func.max(retention_runs.c.deleted_before)))
    return cut


def require_kept(connection: sa.Connection, day: date, needed_for: str = "") -> None:
    """Refuse a day whose answers have been deleted: what is left of it looks like an empty one.

    Parameters
    ----------
    needed_for
        Whose work needs the day, for the message.

    Raises
    ------
    NightBlockedError
        The day is older than the retention period.
    """
    cut = retention_cut(connection)
    if cut is not None and day < cut:
        raise _deleted(day, f"before {cut}", needed_for)


def _deleted(day: date, when: str, needed_for: str = "") -> NightBlockedError:
    needs = f"{needed_for} needs the answers of {day}, which" if needed_for else ""
    subject = needs or f"the answers of {day}"
    return NightBlockedError(
        f"{subject} have been deleted (retention, {when}): nights that used them stay as they are "
        "and can't be run again (docs/personal-data.md)"
    )


def kept_revision(connection: sa.Connection, day: date, revision: int) -> int:
    """Give the revision that stands in the place of another one, or that one if it is kept.

    Raises
    ------
    NightBlockedError
        The day is older than the retention period.
    """
    d = archive_deletions.c
    query = sa.select(d.revision, d.cause, d.replaced_by, d.recorded_at).where(d.day == day)
    deleted = {row.revision: row for row in connection.execute(query)}
    while revision in deleted:
        row = deleted[revision]
        if row.replaced_by is None:
            raise _deleted(day, f"on {row.recorded_at:%Y-%m-%d}")
        revision = row.replaced_by
    return revision


def first_recorded_as(connection: sa.Connection, day: date, revision: int) -> int:
    """Give the number under which a revision's answers were extracted, before any erasure.

    Which of two revisions is the later extraction is told by these numbers alone: what stands in
    the place of an older one is numbered after newer ones that an erasure left as they were.
    """
    d = archive_deletions.c
    query = sa.select(d.replaced_by, d.revision).where(d.day == day, d.replaced_by.is_not(None))
    replaced = {row.replaced_by: row.revision for row in connection.execute(query)}
    while revision in replaced:
        revision = replaced[revision]
    return revision


def record_deletions(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Record that files are to be deleted: `day`, `revision`, `cause` and `replaced_by` of each."""
    if rows:
        connection.execute(sa.insert(archive_deletions), rows)


def recorded_files(connection: sa.Connection) -> set[str]:
    """Name every file that has a row; any other is left over from an extraction that was killed."""
    r = archive_revisions.c
    rows = connection.execute(sa.select(r.file_name, r.quarantine_file_name))
    return {name for row in rows for name in row if name}


def deleted_files(connection: sa.Connection) -> list[str]:
    """Name every file that is recorded as deleted, be it gone or not."""
    r = archive_revisions.c
    rows = connection.execute(sa.select(r.file_name, r.quarantine_file_name).where(IS_DELETED))
    return sorted({name for row in rows for name in row if name})


def finish_deletions(connection: sa.Connection, archive: Archive) -> int:
    """Delete the files that are recorded as deleted and still there; give how many there were.

    After the transaction that recorded them, never in it: what is rolled back must not be gone.
    """
    return archive.delete(deleted_files(connection))


def nights_touched_by_erasure(connection: sa.Connection) -> tuple[TouchedNight, ...]:
    """List the nights whose newest accepted state used what was erased since, oldest first."""
    used = sa.union(
        *(
            sa.select(t.c.partition, t.c.attempt, t.c.day, t.c.revision)
            for t in (state_windows, state_folds)
        )
    ).subquery()
    d, states = archive_deletions.c, calibration_states.c
    newer = calibration_states.alias("newer")
    is_run_again = sa.exists().where(
        newer.c.partition == states.partition, newer.c.attempt > states.attempt, newer.c.is_accepted
    )
    version = (
        sa.select(sa.func.max(snapshots.c.version))
        .where(snapshots.c.partition == states.partition, snapshots.c.attempt == states.attempt)
        .scalar_subquery()
    )
    query = (
        sa.select(
            states.partition,
            states.attempt,
            version,
            sa.func.array_agg(sa.distinct(used.c.day)),
        )
        .join(used, (used.c.partition == states.partition) & (used.c.attempt == states.attempt))
        .join(archive_deletions, (d.day == used.c.day) & (d.revision == used.c.revision))
        .where(d.cause == "erasure", states.is_accepted, ~is_run_again)
        .group_by(states.partition, states.attempt)
        .order_by(states.partition, states.attempt)
    )
    return tuple(
        TouchedNight(partition, attempt, number, tuple(sorted(days)))
        for partition, attempt, number, days in connection.execute(query)
    )
