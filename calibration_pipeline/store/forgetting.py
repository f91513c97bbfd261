"""Forgetting a candidate: the link to the person is cut; or all that the person answered is erased.

An act is one transaction, and what it leaves for later (files, dead rows) is finished after it, or
by the next act of any kind. No id of a person is written anywhere: the log of acts counts, and the
list of those who must not come back holds keyed hashes.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa

from calibration_pipeline.errors import ArchiveWriteError, UnknownCandidateError
from calibration_pipeline.store import revisions, suppression
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.deletions import finish_deletions
from calibration_pipeline.store.erasure import (
    ErasedAnswers,
    delete_leftovers,
    erase_from_archive,
)
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonym_keys import may_have_forgotten_others
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline.store.sources.base import ResponseSource
from calibration_pipeline.store.sources.native import NATIVE
from calibration_pipeline.store.sources.scratch_folder import remove_leftovers
from calibration_pipeline.store.tables import (
    candidate_abilities,
    candidate_map,
    privacy_acts,
    response_log,
)
from calibration_pipeline.store.telling import Tell, tell_nobody
from calibration_pipeline.store.value_lists import is_among


@dataclass(frozen=True)
class Forgotten:
    """What an act removed.

    Attributes
    ----------
    candidates
        Who were not suppressed like that before: 0 where an act is only finished or done again.
    links
        Rows of the map.
    abilities
        By night, session and scale.
    answers
        Rows of the response log.
    archived_days, archived_revisions, archived_sessions, archived_answers
        What was rewritten in the archive, and what the newest revisions held.
    """

    candidates: int = 0
    links: int = 0
    abilities: int = 0
    answers: int = 0
    archived_days: int = 0
    archived_revisions: int = 0
    archived_sessions: int = 0
    archived_answers: int = 0


@dataclass(frozen=True)
class Forgetting:
    """Forgets candidates in one database and archive, under the calibration lock.

    Attributes
    ----------
    database
        Where they are; the lock is taken there.
    archive
        The archived days.
    key
        Of the pseudonyms.
    remembered
        The file from which acts are done again after a restore.
    decided_by
        For the log of acts.
    source
        Where the answers come from. Nothing is deleted there, unless it is the store's own log.
    scratch
        Where extractions that were killed have left their rows; None where there are none.
    tell
        Told what is being looked through or deleted.
    """

    database: Database
    archive: Archive
    key: bytes
    remembered: Path
    decided_by: str
    source: ResponseSource = NATIVE
    scratch: Path | None = None
    tell: Tell = tell_nobody

    def forget(self, candidate_id: str, *, erase: bool) -> Forgotten:
        """Forget one candidate, or erase all that is kept of one.

        Parameters
        ----------
        candidate_id
            The source's.
        erase
            Remove the answers as well.

        Raises
        ------
        UnknownCandidateError
            Nothing is kept under that id, and nothing was written. Not so where people were
            forgotten under a key that is lost: it may be one of them, who is kept out from now on.
        LockHeldError
            A night is running.
        DiskFullError, ArchiveWriteError
            There is no room for the archive's new files, or an old one can't be deleted. In the
            latter case the act is done but for that: it is finished by doing it again.
        """

        def people(connection: sa.Connection) -> tuple[set[bytes], list[str]]:
            # Under another key the same candidate had another pseudonym.
            mapped = sa.select(candidate_map.c.pseudonym).where(
                candidate_map.c.candidate_id == candidate_id
            )
            own = pseudonyms_of(self.key, "candidate", [candidate_id])
            return {*own, *map(bytes, connection.scalars(mapped))}, [candidate_id]

        with CalibrationLock(self.database, "calibrate forget") as lock:
            return self._act(lock, people, erase=erase, must_be_known=True)

    def reapply(self) -> tuple[Forgotten, Forgotten]:
        """Do all acts of the file again, after a restore; give what was forgotten and erased."""
        remembered = suppression.read_remembered(self.remembered)

        def matching(
            wanted: Collection[bytes],
        ) -> Callable[[sa.Connection], tuple[set[bytes], list[str]]]:
            def people(connection: sa.Connection) -> tuple[set[bytes], list[str]]:
                query = sa.select(response_log.c.candidate_id).distinct()
                ids = connection.scalars(query).all() if wanted else []
                named = zip(pseudonyms_of(self.key, "candidate", ids), ids, strict=True)
                return set(wanted), [name for pseudonym, name in named if pseudonym in wanted]

            return people

        with CalibrationLock(self.database, "calibrate forget --reapply") as lock:
            forgotten = self._act(lock, matching(remembered.forgotten), erase=False)
            erased = self._act(lock, matching(remembered.erased), erase=True)
        return forgotten, erased

    def _act(
        self,
        lock: CalibrationLock,
        people: Callable[[sa.Connection], tuple[set[bytes], list[str]]],
        *,
        erase: bool,
        must_be_known: bool = False,
    ) -> Forgotten:
        # The fence alone keeps extractions out: each passes it in its own transaction, maybe with
        # its turn taken and the lock lost, so that waiting for the turn behind it would be mutual.
        self.tell("Looking for the answers", 0, 1)
        with lock.begin() as connection:
            pseudonyms, ids = people(connection)
            known = _is_known(connection, pseudonyms, ids) or may_have_forgotten_others(connection)
            done = self._remove(connection, pseudonyms, ids, erase=erase)
            if must_be_known and not known and not done.archived_days:
                raise UnknownCandidateError(
                    "nothing is kept under that id, and nothing was written: give the id as it "
                    "stands in the response log"
                )
            if any(asdict(done).values()):
                act = "erase" if erase else "forget"
                connection.execute(
                    sa.insert(privacy_acts).values(
                        act=act, decided_by=self.decided_by, counts=asdict(done)
                    )
                )
            # Before the commit: an act that is in the database alone would be lost by a restore.
            suppression.remember(self.remembered, pseudonyms, erase=erase)
        self.tell("Deleting files", 0, 1)
        with lock.begin() as connection:
            finish_deletions(connection, self.archive)
            if erase and pseudonyms:
                delete_leftovers(connection, self.archive, pseudonyms)
            self._clear_scratch()
        if any(asdict(done).values()):
            self.tell("Clearing deleted rows away", 0, 1)
            _vacuum(self.database, [candidate_map, candidate_abilities, response_log])
        return done

    def _clear_scratch(self) -> None:
        """Delete what killed extractions have left: rows as the source has them, with their ids."""
        if self.scratch is None:
            return
        try:
            remove_leftovers(self.scratch)
        except OSError as error:
            raise ArchiveWriteError(
                f"what a killed run has left in {self.scratch} can't be deleted "
                f"({error.strerror or error}): correct its permissions, and do this again"
            ) from error

    def _remove(
        self,
        connection: sa.Connection,
        pseudonyms: Collection[bytes],
        ids: Sequence[str],
        *,
        erase: bool,
    ) -> Forgotten:
        def delete(table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
            return connection.execute(sa.delete(table).where(condition)).rowcount

        is_theirs = is_among(candidate_abilities.c.candidate_pseudonym, pseudonyms)
        is_their_answer = is_among(response_log.c.candidate_id, ids)
        archived = ErasedAnswers()
        if erase and pseudonyms:
            archived = erase_from_archive(connection, self.archive, pseudonyms, self.tell)
        as_extracted = revisions.days_as_extracted(connection, self.source, archived.days)
        removed = Forgotten(
            candidates=suppression.suppress(connection, pseudonyms, erase=erase),
            links=delete(candidate_map, is_among(candidate_map.c.pseudonym, pseudonyms)),
            abilities=delete(candidate_abilities, is_theirs),
            answers=delete(response_log, is_their_answer) if erase else 0,
            archived_days=len(archived.days),
            archived_revisions=archived.revisions,
            archived_sessions=archived.sessions,
            archived_answers=archived.answers,
        )
        revisions.observe_erasure(connection, self.source, as_extracted)
        return removed


def _is_known(connection: sa.Connection, pseudonyms: Collection[bytes], ids: Sequence[str]) -> bool:
    """Whether a candidate is in the map, the abilities, the log, or suppressed already.

    The log has no index by candidate: it is read whole, for an act that is rare.
    """
    suppressed = suppression.suppressed(connection)
    if set(pseudonyms) & (suppressed.forgotten | suppressed.erased):
        return True
    found = sa.select(
        sa.exists().where(is_among(candidate_map.c.pseudonym, pseudonyms))
        | sa.exists().where(is_among(candidate_abilities.c.candidate_pseudonym, pseudonyms))
        | sa.exists().where(is_among(response_log.c.candidate_id, ids))
    )
    return bool(connection.scalar(found))


def _vacuum(database: Database, tables: Sequence[sa.Table]) -> None:
    """Let the space of deleted rows be written over; their bytes lie there until then."""
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables:
            # Autovacuum comes by in any case, so this may fail.
            with suppress(sa.exc.DBAPIError):
                connection.execute(sa.text(f"VACUUM (SKIP_LOCKED) {table.fullname}"))
