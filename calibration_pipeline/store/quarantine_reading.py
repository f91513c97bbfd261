"""What was left out of archived days, read back: how much, why, and some of it to look at."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.records import DayRevision
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.deletions import retention_cut
from calibration_pipeline.store.revisions import erased_sessions, newest_revisions
from calibration_pipeline.store.tables import archive_revisions

EXAMPLES = 3
"""Rows of a reason that are shown where nobody asked for another number."""
UNREAD_REASONS = (
    "non_binary_score",
    "unknown_outcome",
    "naive_timestamp",
    "unreadable_timestamp",
)
"""Of such rows the column of outcomes holds the text that wasn't understood."""
DELETED, NOT_EXTRACTED = "deleted", "not extracted"
_DIGITS = 8
"""Hexadecimal digits of a pseudonym: enough to tell rows of one session apart from others."""
_LONGEST = 40
_NOTHING = "–"
# Years 1 to 9999, microseconds since 1970 UTC.
_FIRST_MOMENT, _LAST_MOMENT = -62_135_596_800_000_000, 253_402_300_800_000_000
_COLUMNS = (
    "reason",
    "session_pseudonym",
    "candidate_pseudonym",
    "item_id",
    "content_version",
    "answered_at",
    "score",
    "outcome",
)


@dataclass(frozen=True)
class QuarantinedRow:
    """One row that was left out; what it lacks is None.

    Attributes
    ----------
    session, candidate
        The first digits of their pseudonyms.
    answered_at
        In UTC.
    score, outcome
        As the source stated them.
    spelling
        The code, outcome or time that wasn't understood, shortened.
    """

    day: date
    reason: str
    session: str | None
    candidate: str | None
    item_id: str | None
    content_version: int | None
    answered_at: datetime | None
    score: int | None
    outcome: str | None
    spelling: str | None = None

    @property
    def item_text(self) -> str:
        """The item as it can be shown: what a source holds may be long, or no text to print."""
        if self.item_id is None:
            return _NOTHING
        name = _shown(self.item_id)
        return name if self.content_version in (1, None) else f"{name} (v{self.content_version})"

    @property
    def result_text(self) -> str:
        """Score and outcome, as far as there are any."""
        score = None if self.score is None else str(self.score)
        return ", ".join(filter(None, (score, self.outcome))) or _NOTHING

    @property
    def spelling_text(self) -> str:
        """What wasn't understood, on one line."""
        return _NOTHING if self.spelling is None else _shown(self.spelling)


@dataclass(frozen=True)
class QuarantinedDay:
    """What was left out of a local day.

    Attributes
    ----------
    revision
        The newest extraction, with the counts by reason; None where there is none.
    missing
        Why there is none: `DELETED` or `NOT_EXTRACTED`; empty otherwise.
    erased_sessions
        Sessions of erased candidates that the source held when it was last extracted: they were
        left out, and are in no count.
    """

    day: date
    revision: DayRevision | None
    missing: str = ""
    erased_sessions: int = 0


def newest_archived_day(engine: sa.Engine) -> date | None:
    """Give the newest day that has been extracted; None if none has."""
    with engine.connect() as connection:
        newest: date | None = connection.scalar(sa.select(sa.func.max(archive_revisions.c.day)))
    return newest


def quarantined_days(engine: sa.Engine, days: Sequence[date]) -> tuple[QuarantinedDay, ...]:
    """Give what was left out of each of the days, in their order; reads no file."""
    found = newest_revisions(engine, days)
    with engine.connect() as connection:
        cut = retention_cut(connection)
        return tuple(
            QuarantinedDay(day, None, DELETED)
            if cut is not None and day < cut
            else QuarantinedDay(day, found[day], erased_sessions=erased_sessions(connection, day))
            if day in found
            else QuarantinedDay(day, None, NOT_EXTRACTED)
            for day in days
        )


def read_counts(engine: sa.Engine, day: date, revision: int) -> dict[str, int]:
    """Give the rows that one extraction of a day left out, by reason; none if there is no such."""
    r = archive_revisions.c
    query = sa.select(r.quarantine_counts).where(r.day == day, r.revision == revision)
    with engine.connect() as connection:
        return dict(connection.scalar(query) or {})


def read_examples(
    engine: sa.Engine,
    archive: Archive,
    revisions: Sequence[DayRevision],
    per_reason: int = EXAMPLES,
    reasons: Container[str] | None = None,
) -> tuple[QuarantinedRow, ...]:
    """Read some of the rows that were left out, as they stand in their days.

    A file is read in blocks, and only as far as needed.

    Parameters
    ----------
    revisions
        Extractions to look into, in this order. One that isn't recorded, as in a dry run, has none.
    per_reason
        Rows of each reason, over all of the extractions.
    reasons
        Only these; all if None.

    Raises
    ------
    NightBlockedError
        A file is missing or damaged.
    """
    found: list[QuarantinedRow] = []
    taken: Counter[str] = Counter()
    for revision in revisions:
        wanted = Counter(
            {
                reason: min(per_reason - taken[reason], rows)
                for reason, rows in revision.quarantine_counts.items()
                if (reasons is None or reason in reasons) and taken[reason] < per_reason
            }
        )
        name = _file_of(engine, revision) if wanted.total() else None
        if name is not None:
            rows = list(_first_rows(archive, name, wanted))
            taken.update(row["reason"] for row in rows)
            found += [_quarantined_row(revision.day, row) for row in rows]
    return tuple(found)


def _file_of(engine: sa.Engine, revision: DayRevision) -> str | None:
    r = archive_revisions.c
    query = sa.select(r.quarantine_file_name).where(
        r.day == revision.day, r.revision == revision.revision, r.digest == revision.digest
    )
    with engine.connect() as connection:
        name: str | None = connection.scalar(query)
    return name


def _first_rows(archive: Archive, name: str, wanted: Counter[str]) -> Iterator[dict[str, Any]]:
    """Give the first rows of each reason: as many as wanted."""
    try:
        with (
            archive.location.open(name) as stored,
            pyarrow.parquet.ParquetFile(stored) as file,
        ):
            columns = [column for column in _COLUMNS if column in file.schema_arrow.names]
            for block in file.iter_batches(columns=columns):
                for reason in sorted(wanted):
                    rows = block.filter(pc.equal(block["reason"], reason)).slice(0, wanted[reason])
                    wanted[reason] -= rows.num_rows
                    yield from _usual_times(rows).to_pylist()
                if not wanted.total():
                    return
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise NightBlockedError(
            f"the archived file {name} can't be read ({reason}): restore it from a backup"
        ) from error


def _usual_times(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out times beyond what Python can hold: rows are quarantined for those, too."""
    place = rows.schema.get_field_index("answered_at")
    times = rows.column(place).cast(pa.int64())
    is_usual = pc.and_(pc.greater_equal(times, _FIRST_MOMENT), pc.less(times, _LAST_MOMENT))
    usual = pc.if_else(is_usual, rows.column(place), pa.scalar(None, rows.column(place).type))
    return rows.set_column(place, rows.schema.field(place).with_nullable(True), usual)


def _quarantined_row(day: date, row: dict[str, Any]) -> QuarantinedRow:
    stated = row.get("outcome")  # younger than the oldest files
    is_unread = row["reason"] in UNREAD_REASONS
    return QuarantinedRow(
        day=day,
        reason=row["reason"],
        session=_shortened(row["session_pseudonym"]),
        candidate=_shortened(row["candidate_pseudonym"]),
        item_id=row["item_id"],
        content_version=row["content_version"],
        answered_at=row["answered_at"],
        score=row["score"],
        outcome=None if is_unread else stated,
        spelling=stated if is_unread else None,
    )


def _shown(text: str) -> str:
    plain = "".join(c if c.isprintable() else "�" for c in text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _shortened(pseudonym: bytes | None) -> str | None:
    return None if pseudonym is None else pseudonym.hex()[:_DIGITS]
