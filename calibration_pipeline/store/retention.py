"""Deletion of what is older than the retention period: answers, abilities, links to people.

What the calibration carries, and what it published, is about items and stays. The deletion is one
transaction that records which files go, and the files go after it; whatever a crash leaves of them
goes with the next deletion.

The days that are recorded as deleted end where the folded ones do: of days after them there were no
answers to delete, and the nights to come need them, as the empty days that they are.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError, RetentionBlockedError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.deletions import (
    IS_DELETED,
    deleted_files,
    finish_deletions,
    record_deletions,
    recorded_files,
)
from calibration_pipeline.store.sources.base import day_start
from calibration_pipeline.store.tables import (
    archive_revisions,
    calibration_states,
    candidate_abilities,
    candidate_map,
    response_log,
    retention_runs,
    snapshot_drafts,
)
from calibration_pipeline.store.telling import Tell, tell_nobody, told
from calibration_pipeline.store.transactions import Transactions
from calibration_pipeline.store.value_lists import is_among


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
        Links from pseudonyms under which nothing else is kept.
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


def find_expired(
    database: Database, archive: Archive, before: date, zone: ZoneInfo, tell: Tell = tell_nobody
) -> Expired:
    """Count what `delete_expired` would delete, and change nothing.

    Raises
    ------
    RetentionBlockedError
        As `delete_expired`.
    """
    with database.connect() as connection:
        return _Cut(connection, archive, before, zone, tell).count()


def delete_expired(
    transactions: Transactions,
    archive: Archive,
    before: date,
    timezone: ZoneInfo,
    tell: Tell = tell_nobody,
) -> Expired:
    """Delete what is older than the retention period.

    What earlier deletions and killed extractions have left goes first, whatever comes after.

    Parameters
    ----------
    transactions
        The calibration lock. Its fence, which every extraction passes in its own transaction, keeps
        them out; no turn is taken besides, since a run that has lost the lock may wait for the
        fence with its turn taken.
    before
        The first local day that is kept.
    timezone
        The zone in which a day begins.
    tell
        Told what is being looked through or deleted.

    Returns
    -------
    Expired
        What was deleted.

    Raises
    ------
    RetentionBlockedError
        Days before the cut are still needed: no accepted night has folded them. No answer is
        deleted.
    ArchiveWriteError
        A file can't be deleted; the next deletion tries again.
    """
    tell("Deleting what earlier deletions left", 0, 1)
    with transactions.begin() as connection:
        leftovers = finish_deletions(connection, archive)
        leftovers += archive.delete(archive.orphans(recorded_files(connection)))
    with transactions.begin() as connection:
        cut = _Cut(connection, archive, before, timezone, tell)
        expired = replace(cut.count(), files=leftovers)
        if expired.is_recorded:
            tell("Deleting rows", 0, 1)
            cut.delete(expired)
    tell("Deleting files", 0, 1)
    with transactions.begin() as connection:
        finish_deletions(connection, archive)
    return expired


class _Cut:
    """What lies before a day, in one transaction's view."""

    def __init__(
        self,
        connection: sa.Connection,
        archive: Archive,
        before: date,
        timezone: ZoneInfo,
        tell: Tell,
    ) -> None:
        self._tell = tell
        self._connection = connection
        self._archive = archive
        self._deleted_before = _first_day_to_keep(connection, before, timezone)
        self._old_answers = response_log.c.session_started_at < day_start(
            self._deleted_before, timezone
        )
        self._old_revisions = (archive_revisions.c.day < self._deleted_before) & ~IS_DELETED
        self._old_abilities = candidate_abilities.c.partition < before
        self._old_drafts = snapshot_drafts.c.recorded_at < day_start(before, timezone)
        self._is_stranger = is_among(candidate_map.c.pseudonym, self._strangers())

    def count(self) -> Expired:
        """Count what is to be deleted."""
        on_disk = self._archive.present(deleted_files(self._connection))
        orphans = self._archive.orphans(recorded_files(self._connection))
        return Expired(
            answers=self._count(response_log, self._old_answers),
            abilities=self._count(candidate_abilities, self._old_abilities),
            archived_revisions=self._count(archive_revisions, self._old_revisions),
            candidates=self._count(candidate_map, self._is_stranger),
            drafts=self._count(snapshot_drafts, self._old_drafts),
            files=len(on_disk) + len(orphans),
        )

    def delete(self, expired: Expired) -> None:
        """Delete the rows, and record which files are to go."""
        r = archive_revisions.c
        days = self._connection.execute(sa.select(r.day, r.revision).where(self._old_revisions))
        record_deletions(
            self._connection,
            [{**row._mapping, "cause": "retention", "replaced_by": None} for row in days],
        )
        for table, condition in (
            (response_log, self._old_answers),
            (candidate_abilities, self._old_abilities),
            (candidate_map, self._is_stranger),
            (snapshot_drafts, self._old_drafts),
        ):
            self._connection.execute(sa.delete(table).where(condition))
        self._connection.execute(
            sa.insert(retention_runs).values(
                deleted_before=self._deleted_before, counts=asdict(expired)
            )
        )

    def _count(self, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(condition)
        return int(self._connection.execute(query).scalar_one())

    def _strangers(self) -> set[bytes]:
        """Find who is in what is deleted, and in nothing that is kept under a pseudonym.

        The response log, which is large and has no index by candidate, isn't asked: it names people
        by their own ids, and whoever is in an answer that is yet to be extracted is linked again
        when it is.
        """
        pseudonym = candidate_abilities.c.candidate_pseudonym
        found = self._pseudonyms(sa.select(pseudonym).where(self._old_abilities))
        found |= self._leaving_the_archive()
        if found:
            is_kept = is_among(pseudonym, found) & ~self._old_abilities
            found -= self._pseudonyms(sa.select(pseudonym).where(is_kept))
        kept = self._files((archive_revisions.c.day >= self._deleted_before) & ~IS_DELETED)
        for name in told(self._tell, "Looking for people in the files that are kept", kept):
            if not found:
                break
            if self._archive.exists(name):  # a missing file holds nobody
                found -= self._named_in(name)
        return found

    def _leaving_the_archive(self) -> set[bytes]:
        """Everybody in the files that go."""
        try:
            leaving = self._files(self._old_revisions)
            told_of = told(self._tell, "Looking for people in the files that go", leaving)
            return set().union(*map(self._named_in, told_of))
        except NightBlockedError:
            # A file is missing or damaged: whom it held has to be found among all.
            return self._pseudonyms(sa.select(candidate_map.c.pseudonym))

    def _named_in(self, file_name: str) -> set[bytes]:
        column = self._archive.read(file_name, ["candidate_pseudonym"])["candidate_pseudonym"]
        return set(column.unique().to_pylist())

    def _files(self, condition: sa.ColumnElement[bool]) -> list[str]:
        """The files of some revisions, those of the newest days first."""
        r = archive_revisions.c
        query = sa.select(r.file_name, r.quarantine_file_name).where(condition)
        rows = self._connection.execute(query.order_by(r.day.desc()))
        return [name for row in rows for name in row if name]

    def _pseudonyms(self, query: sa.Select[tuple[bytes]]) -> set[bytes]:
        return set(map(bytes, self._connection.scalars(query.distinct())))


def _first_day_to_keep(connection: sa.Connection, before: date, timezone: ZoneInfo) -> date:
    """Give the period's first day, or the first that is yet to be folded if it is earlier.

    Raises
    ------
    RetentionBlockedError
        A day between the two has answers.
    """
    states = calibration_states.c
    folded_through: date | None = connection.scalar(
        sa.select(states.folded_through)
        .where(states.is_accepted)
        .order_by(states.partition.desc(), states.attempt.desc())
        .limit(1)
    )
    first_unfolded = (folded_through or date.min) + timedelta(days=1)
    if before <= first_unfolded:
        return before
    if not _has_answers(connection, first_unfolded, before, timezone):
        return first_unfolded
    why = (
        "no night has been accepted yet"
        if folded_through is None
        else f"the newest accepted night has folded the days through {folded_through} alone"
    )
    raise RetentionBlockedError(
        f"answers before {before} are past their retention period and still needed ({why}): "
        "nothing was deleted; calibrate the missing nights first (`calibrate status`)"
    )


def _has_answers(connection: sa.Connection, first: date, end: date, timezone: ZoneInfo) -> bool:
    """Whether days from one to before another have answers, bad ones too, in log or archive."""
    r, started = archive_revisions.c, response_log.c.session_started_at
    in_log = sa.exists().where(
        started >= day_start(first, timezone), started < day_start(end, timezone)
    )
    archived = sa.exists().where(
        r.day >= first,
        r.day < end,
        (r.response_count > 0) | r.quarantine_file_name.is_not(None),
        ~IS_DELETED,
    )
    return bool(connection.scalar(sa.select(in_log | archived)))
