"""Deletion of what is older than the retention period: answers, abilities, links to people.

What the calibration carries, and what it published, is about items and stays. The deletion is one
transaction that records which files go, and the files go after it; whatever a crash leaves of them
goes with the next deletion.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.errors import RetentionBlockedError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.deletions import (
    IS_DELETED,
    deleted_files,
    finish_deletions,
    record_deletions,
)
from calibration_pipeline.store.sources.native import day_start
from calibration_pipeline.store.tables import (
    archive_revisions,
    calibration_states,
    candidate_abilities,
    candidate_map,
    response_log,
    retention_runs,
    snapshot_drafts,
)
from calibration_pipeline.store.transactions import Transactions
from calibration_pipeline.store.turns import Turn, wait_for_turn


@dataclass(frozen=True)
class Expired:
    """What is older than the retention period.

    Attributes
    ----------
    answers
        Rows of the response log.
    abilities
        Of nights before the cut.
    archived_revisions
        Days in the archive; a day may have several revisions.
    candidates
        Links to people of whom nothing else is kept.
    drafts
        Versions that failed their audit.
    files
        Files without a record, left by extractions that didn't finish, and files that an earlier
        deletion left.
    """

    answers: int
    abilities: int
    archived_revisions: int
    candidates: int
    drafts: int
    files: int

    @property
    def is_recorded(self) -> bool:
        """Whether a deletion is worth a record: leftover files are nobody's answers."""
        return any(count for name, count in asdict(self).items() if name != "files")


def retention_start(now: datetime, retention_days: int, timezone: ZoneInfo) -> date:
    """Give the first local day whose answers are kept."""
    return now.astimezone(timezone).date() - timedelta(days=retention_days)


def find_expired(database: Database, archive: Archive, before: date, timezone: ZoneInfo) -> Expired:
    """Count what `delete_expired` would delete, and change nothing.

    Raises
    ------
    RetentionBlockedError
        As `delete_expired`.
    """
    with database.connect() as connection:
        return _Cut(connection, archive, before, timezone).count()


def delete_expired(
    transactions: Transactions, archive: Archive, before: date, timezone: ZoneInfo
) -> Expired:
    """Delete what is older than the retention period.

    Parameters
    ----------
    transactions
        The calibration lock: no night runs at the same time.
    before
        The first local day that is kept.
    timezone
        The zone in which a day begins.

    Returns
    -------
    Expired
        What was deleted.

    Raises
    ------
    RetentionBlockedError
        Days before the cut are still needed: no accepted night has folded them. Nothing is deleted.
    ArchiveWriteError
        A file can't be deleted; the next deletion tries again.
    """
    with transactions.begin() as connection:
        wait_for_turn(connection, Turn.EXTRACTION)
        cut = _Cut(connection, archive, before, timezone)
        expired = cut.count()
        if expired.is_recorded:
            cut.delete(expired)
    with transactions.begin() as connection:
        finish_deletions(connection, archive)
        archive.delete(archive.orphans(_recorded_files(connection)))
    return expired


class _Cut:
    """What lies before a day, in one transaction's view."""

    def __init__(
        self, connection: sa.Connection, archive: Archive, before: date, timezone: ZoneInfo
    ) -> None:
        self._connection = connection
        self._archive = archive
        self._before = before
        self._timezone = timezone
        start = day_start(before, timezone)
        self._old_answers = response_log.c.session_started_at < start
        self._old_abilities = candidate_abilities.c.partition < before
        self._old_revisions = (archive_revisions.c.day < before) & ~IS_DELETED
        self._old_drafts = snapshot_drafts.c.recorded_at < start
        _require_folded(connection, before, timezone)
        self._strangers = self._find_strangers()

    def count(self) -> Expired:
        """Count what is to be deleted."""
        on_disk = sum(self._archive.path(n).exists() for n in deleted_files(self._connection))
        orphans = self._archive.orphans(_recorded_files(self._connection))
        return Expired(
            answers=self._count(response_log, self._old_answers),
            abilities=self._count(candidate_abilities, self._old_abilities),
            archived_revisions=self._count(archive_revisions, self._old_revisions),
            candidates=len(self._strangers),
            drafts=self._count(snapshot_drafts, self._old_drafts),
            files=on_disk + len(orphans),
        )

    def delete(self, expired: Expired) -> None:
        """Delete the rows, and record which files are to go."""
        r = archive_revisions.c
        days = self._connection.execute(sa.select(r.day, r.revision).where(self._old_revisions))
        record_deletions(
            self._connection,
            [{**row._mapping, "cause": "retention", "replaced_by": None} for row in days],
        )
        is_stranger = candidate_map.c.pseudonym.in_(self._strangers)
        for table, condition in (
            (response_log, self._old_answers),
            (candidate_abilities, self._old_abilities),
            (candidate_map, is_stranger),
            (snapshot_drafts, self._old_drafts),
        ):
            self._connection.execute(sa.delete(table).where(condition))
        self._connection.execute(
            sa.insert(retention_runs).values(deleted_before=self._before, counts=asdict(expired))
        )

    def _count(self, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(condition)
        return int(self._connection.execute(query).scalar_one())

    def _find_strangers(self) -> list[bytes]:
        """List the pseudonyms in the map that are in nothing which is kept."""
        m = candidate_map.c
        is_in_log = sa.exists().where(
            response_log.c.candidate_id == m.candidate_id, ~self._old_answers
        )
        is_in_abilities = sa.exists().where(
            candidate_abilities.c.candidate_pseudonym == m.pseudonym, ~self._old_abilities
        )
        query = sa.select(m.pseudonym).where(~is_in_log, ~is_in_abilities)
        strangers = {bytes(pseudonym) for pseudonym in self._connection.scalars(query)}
        if strangers:
            strangers -= self._archived_pseudonyms()
        return sorted(strangers)

    def _archived_pseudonyms(self) -> set[bytes]:
        """Everybody who is in a file that is kept; a missing file holds nobody."""
        r = archive_revisions.c
        query = sa.select(r.file_name, r.quarantine_file_name).where(
            r.day >= self._before, ~IS_DELETED
        )
        names = [name for row in self._connection.execute(query) for name in row if name]
        found: set[bytes] = set()
        for name in names:
            if self._archive.path(name).exists():
                column = self._archive.read(name, ["candidate_pseudonym"])["candidate_pseudonym"]
                found.update(column.unique().to_pylist())
        return found


def _recorded_files(connection: sa.Connection) -> set[str]:
    r = archive_revisions.c
    rows = connection.execute(sa.select(r.file_name, r.quarantine_file_name))
    return {name for row in rows for name in row if name}


def _require_folded(connection: sa.Connection, before: date, timezone: ZoneInfo) -> None:
    """Refuse to cut into days that no accepted night has folded, if they have answers."""
    states = calibration_states.c
    folded_through: date | None = connection.scalar(
        sa.select(states.folded_through)
        .where(states.is_accepted)
        .order_by(states.partition.desc(), states.attempt.desc())
        .limit(1)
    )
    if folded_through is not None and before <= folded_through + timedelta(days=1):
        return
    if not _has_answers(connection, folded_through, before, timezone):
        return
    why = (
        "no night has been accepted yet"
        if folded_through is None
        else f"the newest accepted night has folded the days through {folded_through} alone"
    )
    raise RetentionBlockedError(
        f"answers before {before} are past their retention period and still needed ({why}): "
        "nothing was deleted; calibrate the missing nights first (`calibrate status`)"
    )


def _has_answers(
    connection: sa.Connection, after: date | None, before: date, timezone: ZoneInfo
) -> bool:
    """Whether a day after one and before another has answers, in the log or the archive."""
    r, log = archive_revisions.c, response_log.c
    in_log: list[Any] = [log.session_started_at < day_start(before, timezone)]
    archived: list[Any] = [r.day < before, r.response_count > 0, ~IS_DELETED]
    if after is not None:
        archived.append(r.day > after)
        in_log.append(log.session_started_at >= day_start(after + timedelta(days=1), timezone))
    found = sa.select(sa.exists().where(*in_log) | sa.exists().where(*archived))
    return bool(connection.scalar(found))
