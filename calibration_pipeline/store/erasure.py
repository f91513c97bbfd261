"""Taking candidates out of archived days: a revision without their sessions in place of each.

An archived file is never changed. For every revision that holds a candidate a new one is written
without the candidate's sessions, all else bit by bit as it was, which is what an extraction of
the same log without that candidate would give. So it is the newest one that stays the newest, and a
night that is run again finds the very revision that it used, less the candidate.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.records import DayRevision
from calibration_pipeline.store import revisions
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_format import (
    ARCHIVE_SCHEMA,
    PSEUDONYM,
    QUARANTINE_SCHEMA,
)
from calibration_pipeline.store.deletions import IS_DELETED, record_deletions, recorded_files
from calibration_pipeline.store.tables import archive_revisions
from calibration_pipeline.store.telling import Tell, tell_nobody, told

_ORDINALS = ("session_ordinal", "candidate_ordinal")


@dataclass(frozen=True)
class ErasedAnswers:
    """What was taken out of the archive.

    Attributes
    ----------
    days
        That held the candidates.
    revisions
        Replaced by others.
    sessions, answers
        Taken out, of each day's newest revision.
    """

    days: tuple[date, ...] = ()
    revisions: int = 0
    sessions: int = 0
    answers: int = 0


def erase_from_archive(
    connection: sa.Connection,
    archive: Archive,
    pseudonyms: Collection[bytes],
    tell: Tell = tell_nobody,
) -> ErasedAnswers:
    """Write revisions without some candidates, and record those that they replace as deleted.

    Files are deleted by `deletions.finish_deletions` once the transaction has ended; until then
    the new ones count for nothing.

    Parameters
    ----------
    connection
        In a transaction that keeps extractions out.
    tell
        Told how many days have been looked through.

    Raises
    ------
    NightBlockedError
        A file that has to be searched is damaged.
    DiskFullError, ArchiveWriteError
        There is no room for the new files.
    """
    wanted = pa.array(sorted(pseudonyms), PSEUDONYM)
    r = archive_revisions.c
    query = sa.select(archive_revisions).where(~IS_DELETED).order_by(r.day, r.revision)
    found = ErasedAnswers()
    by_day = groupby(connection.execute(query).all(), key=lambda row: row.day)
    days = [(day, list(group)) for day, group in by_day]
    for day, rows in told(tell, "Looking through archived days", days):
        holding = {row.revision for row in rows if _holds(archive, row, wanted)}
        if holding:
            sessions, answers = _replace(connection, archive, rows, holding, wanted)
            found = replace(
                found,
                days=(*found.days, day),
                revisions=found.revisions + len(holding),
                sessions=found.sessions + sessions,
                answers=found.answers + answers,
            )
    return found


def _holds(archive: Archive, row: sa.Row[Any], wanted: pa.Array) -> bool:
    """Whether a file of a revision names one of the candidates; one that is missing names nobody.

    Raises
    ------
    NightBlockedError
        A file is damaged.
    """
    names = (row.file_name, row.quarantine_file_name)
    return any(_names_any(archive, name, wanted) for name in names if name and archive.exists(name))


def _names_any(archive: Archive, file_name: str, wanted: pa.Array) -> bool:
    table = archive.read(file_name, ["candidate_pseudonym"])
    return bool(pc.any(_is_in(table, wanted)).as_py())


def delete_leftovers(
    connection: sa.Connection, archive: Archive, pseudonyms: Collection[bytes]
) -> int:
    """Delete what killed extractions have left, of whatever age, where it may hold candidates.

    Parameters
    ----------
    connection
        In a transaction that keeps extractions out: no such file is being written.

    Returns
    -------
    int
        How many files were deleted: those that name a candidate, and those that can't be read,
        such as one whose writing was cut short.
    """
    wanted = pa.array(sorted(pseudonyms), PSEUDONYM)
    leftovers = archive.orphans(recorded_files(connection), age=None)
    return archive.delete([name for name in leftovers if _may_name_any(archive, name, wanted)])


def _may_name_any(archive: Archive, file_name: str, wanted: pa.Array) -> bool:
    try:
        return _names_any(archive, file_name, wanted)
    except NightBlockedError:
        return True


def _is_in(table: pa.Table, wanted: pa.Array) -> Any:
    return pc.is_in(table["candidate_pseudonym"], value_set=wanted)


def _replace(
    connection: sa.Connection,
    archive: Archive,
    rows: Sequence[sa.Row[Any]],
    holding: Collection[int],
    wanted: pa.Array,
) -> tuple[int, int]:
    """Replace a day's revisions that hold the candidates; give sessions and answers taken out.

    The newest revision is written once more even where it holds none of them: among the new ones,
    it has to stay the newest.
    """
    newest = rows[-1]
    deletions = []
    for row in rows:
        if row.revision in holding or row is newest:
            written = _write_without(connection, archive, row, wanted)
            if row.revision in holding:
                deletions.append(
                    {
                        "day": row.day,
                        "revision": row.revision,
                        "cause": "erasure",
                        "replaced_by": written.revision,
                    }
                )
    record_deletions(connection, deletions)
    return newest.session_count - written.session_count, (
        newest.response_count - written.response_count
    )


def _write_without(
    connection: sa.Connection, archive: Archive, row: sa.Row[Any], wanted: pa.Array
) -> DayRevision:
    """Write and record a revision that lacks the candidates' sessions."""
    answers = without(archive.read(row.file_name), wanted)
    quarantine = QUARANTINE_SCHEMA.empty_table()
    if row.quarantine_file_name:
        quarantine = archive.read(row.quarantine_file_name)
        quarantine = quarantine.filter(pc.invert(_is_in(quarantine, wanted)))
    reasons = quarantine["reason"].value_counts().to_pylist()
    with archive.write_day(row.day) as writer:
        writer.write(answers)
        writer.write_quarantine(quarantine)
        found = DayRevision(
            day=row.day,
            revision=revisions.newest_number(connection, row.day) + 1,
            digest=writer.digest,
            response_count=answers.num_rows,
            session_count=len(pc.unique(answers["session_ordinal"])),
            quarantine_counts={r["values"]: r["counts"] for r in reasons},
        )
        revisions.insert_revision(connection, writer, found, row.timezone)
    return found


def without(answers: pa.Table, wanted: pa.Array) -> pa.Table:
    """Leave candidates' sessions out of an archived day, as if they had never been in the log.

    Sessions and candidates are numbered anew, in the order in which they come.

    Parameters
    ----------
    answers
        Of `ARCHIVE_SCHEMA`; a session has one candidate.
    wanted
        Pseudonyms of the candidates.
    """
    kept = answers.select(ARCHIVE_SCHEMA.names).cast(ARCHIVE_SCHEMA)
    kept = kept.filter(pc.invert(_is_in(kept, wanted)))
    for name in _ORDINALS:
        place = kept.schema.get_field_index(name)
        codes = kept[name].combine_chunks().dictionary_encode().indices
        kept = kept.set_column(place, ARCHIVE_SCHEMA.field(name), codes.cast(pa.int32()))
    return kept
