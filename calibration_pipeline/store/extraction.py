"""Extraction of days: from the response log into the archive, once per state of the source."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from calibration_pipeline.records import DayRevision, IntArray
from calibration_pipeline.store import deletions, revisions
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_format import ANSWER_COLUMNS
from calibration_pipeline.store.candidate_map import remember_candidates
from calibration_pipeline.store.lock import check_fence
from calibration_pipeline.store.pseudonyms import as_dictionary, pseudonymised, pseudonyms_of
from calibration_pipeline.store.quarantine import session_starts, sort_out
from calibration_pipeline.store.revisions import newest_revisions, read_day
from calibration_pipeline.store.sources.base import ResponseSource, SourceView, reading_again
from calibration_pipeline.store.sources.native import NATIVE
from calibration_pipeline.store.suppression import suppressed
from calibration_pipeline.store.turns import Turn, taking_turns

__all__ = ["changed_days", "extract_day", "newest_revisions", "read_day", "whole_sessions"]


def extract_day(
    engine: sa.Engine,
    archive: Archive,
    day: date,
    timezone: ZoneInfo,
    key: bytes,
    refresh: bool = False,
    fence_token: int | None = None,
    source: ResponseSource = NATIVE,
) -> DayRevision:
    """Archive the sessions that started on a local day, unless that has been done.

    Bad rows are quarantined with a reason, and with them the sessions that lose an answer. A day
    without rows gives an empty revision. Sessions of erased candidates are left out and counted.

    Parameters
    ----------
    key
        Of the pseudonyms.
    refresh
        Read the day even if nothing seems to have changed.
    fence_token
        Of the calibration lock, for a run; without one, whoever extracts can't have lost it.
    source
        Where the answers come from.

    Returns
    -------
    DayRevision
        The recorded revision if the day would give the same again, else a new one beside it.

    Raises
    ------
    NightBlockedError
        The day's answers have been deleted; or the source has none of them any more.
    DiskFullError, ArchiveWriteError
        There is no room, or the archive can't be written; nothing is recorded.
    LockLostError
        Another calibration has taken the lock since.
    SourceError
        The source can't be read; nothing is recorded.
    """
    with engine.connect() as connection, source.view(connection, timezone) as view:
        deletions.require_kept(connection, day)
        recorded = (
            None if refresh else revisions.unchanged(connection, view, archive, day, timezone)
        )
    if recorded is not None:
        return recorded
    with engine.connect() as connection, taking_turns(connection, Turn.EXTRACTION):
        # One view of the source for its fingerprint and its rows; it is taken after the wait, so
        # that what another extraction has just recorded is seen.
        connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            if fence_token is not None:
                check_fence(connection, fence_token)
            deletions.require_kept(connection, day)
            with source.view(connection, timezone) as view:
                if not refresh:
                    revisions.require_answers_left(connection, view, day, source.kind)
                return _extract(connection, view, archive, day, timezone, key)


def _extract(
    connection: sa.Connection,
    view: SourceView,
    archive: Archive,
    day: date,
    timezone: ZoneInfo,
    key: bytes,
) -> DayRevision:
    archive.require_room()
    erased = suppressed(connection).erased

    def extract() -> DayRevision:
        with archive.write_day(day) as writer:
            extraction = DayExtraction(writer, key, erased)
            # The view is of one moment: fingerprint and rows agree, whichever is read first. The
            # store's own log gives the fingerprint of what it has streamed, others have read it.
            for rows in whole_sessions(view.stream_day(day)):
                extraction.add(rows)
            remember_candidates(connection, extraction.candidates)
            found = extraction.revision(day)
            fingerprint = view.fingerprints(day, day)[day]
            erased_sessions = extraction.erased_sessions
            return revisions.record(
                connection, archive, writer, found, fingerprint, timezone, erased_sessions
            )

    return reading_again(extract)


def changed_days(
    engine: sa.Engine,
    archive: Archive,
    first: date,
    last: date,
    timezone: ZoneInfo,
    source: ResponseSource = NATIVE,
) -> list[date]:
    """List the days from `first` to `last` that are not archived as their source stands now.

    A day that was never extracted counts as changed if it has answers.
    """
    with engine.connect() as connection, source.view(connection, timezone) as view:
        return revisions.changed(connection, view, archive, first, last, timezone)


def whole_sessions(blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut blocks of rows anew so that each ends where a session ends.

    A block that ends there already is given as it is: two that are joined would have to have the
    dictionaries of their texts made one.
    """
    held: pa.Table | None = None
    for block in blocks:
        if held is not None and _session_goes_on(held, block):
            rows = pa.concat_tables([held, block])
            last_start = int(np.flatnonzero(session_starts(rows))[-1])
            if last_start:
                yield rows.slice(0, last_start)
            held = rows.slice(last_start)
        else:
            if held is not None:
                yield held
            held = block
    if held is not None:
        yield held


def _session_goes_on(rows: pa.Table, following: pa.Table) -> bool:
    """Tell whether a block's last session is the next block's first one."""
    ends = pa.concat_tables([rows.slice(rows.num_rows - 1), following.slice(0, 1)])
    return not session_starts(ends)[1]


class AnswerWriter(Protocol):
    """Takes the rows of a day: `DayWriter` into files, a dry run into memory."""

    @property
    def digest(self) -> str:
        """SHA-256 of the answers written so far."""
        ...

    def write(self, rows: pa.Table) -> None:
        """Append answers, in canonical order."""

    def write_quarantine(self, rows: pa.Table) -> None:
        """Append rows that were left out, each with its reason."""


class DayExtraction:
    """A day under extraction: counts so far, and the ordinals given to sessions and candidates.

    Parameters
    ----------
    writer
        Takes what is kept, and what is quarantined.
    key
        Of the pseudonyms.
    erased
        Pseudonyms of candidates whose sessions are left out, wherever the source has them from.
    """

    def __init__(
        self, writer: AnswerWriter, key: bytes, erased: Collection[bytes] = frozenset()
    ) -> None:
        self._writer = writer
        self._key = key
        self._erased = erased
        self.erased_sessions = 0
        self._response_count = 0
        self._session_count = 0
        self._quarantine_counts: Counter[str] = Counter()
        self._candidate_ordinals: dict[str | None, int] = {}
        self.candidates: dict[bytes, str] = {}

    def add(self, rows: pa.Table) -> None:
        """Take in whole sessions: leave out, quarantine, pseudonymise, write."""
        rows = self._without_erased(rows)
        if not rows.num_rows:
            return
        sorted_out = sort_out(rows)
        kept, left_out = sorted_out.kept, sorted_out.left_out
        if left_out.num_rows:
            self._quarantine_counts.update(left_out["reason"].to_pylist())
            self._writer.write_quarantine(self._pseudonymise(left_out, ["reason"]))
        if not kept.num_rows:
            return
        is_first = np.diff(sorted_out.session, prepend=-1) != 0
        session = np.cumsum(is_first) - 1
        ordinals = {
            "session_ordinal": session + self._session_count,
            "candidate_ordinal": self._candidates_of(kept, np.flatnonzero(is_first))[session],
        }
        answers = self._pseudonymise(kept, [])
        for name, values in ordinals.items():
            answers = answers.append_column(name, pa.array(values.astype(np.int32)))
        self._writer.write(answers)
        self._response_count += kept.num_rows
        self._session_count += int(is_first.sum())

    def revision(self, day: date) -> DayRevision:
        """Give what was found; its number is given when it is recorded."""
        return DayRevision(
            day=day,
            revision=0,
            digest=self._writer.digest,
            response_count=self._response_count,
            session_count=self._session_count,
            quarantine_counts=dict(sorted(self._quarantine_counts.items())),
        )

    def _without_erased(self, rows: pa.Table) -> pa.Table:
        if not self._erased:
            return rows
        encoded = as_dictionary(rows["candidate_id"])
        pseudonyms = pseudonyms_of(self._key, "candidate", encoded.dictionary.to_pylist())
        # The last one is nobody's: a row may lack its candidate.
        is_erased = np.array([*(pseudonym in self._erased for pseudonym in pseudonyms), False])
        session = np.cumsum(session_starts(rows)) - 1
        left_out = np.unique(session[is_erased[pc.fill_null(encoded.indices, -1).to_numpy()]])
        self.erased_sessions += len(left_out)
        return rows.filter(pa.array(~np.isin(session, left_out)))

    def _candidates_of(
        self, rows: pa.Table, first_rows: IntArray
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Give the ordinal of each session's candidate, told the sessions' first rows."""
        encoded = as_dictionary(rows["candidate_id"])
        names = [*encoded.dictionary.to_pylist(), None]
        codes = pc.fill_null(encoded.indices, -1).to_numpy()[first_rows]
        ordinals = self._candidate_ordinals
        return np.array(
            [ordinals.setdefault(names[code], len(ordinals)) for code in codes.tolist()], np.int64
        )

    def _pseudonymise(self, rows: pa.Table, extra: list[str]) -> pa.Table:
        columns = {}
        for kind in ("session", "candidate"):
            pseudonyms, ids = pseudonymised(self._key, kind, rows[f"{kind}_id"])
            columns[f"{kind}_pseudonym"] = pseudonyms
            if kind == "candidate":
                self.candidates.update(ids)
        return pa.table(columns | {name: rows[name] for name in (*ANSWER_COLUMNS, *extra)})
