"""Extraction into memory: what a run would archive, without a file or a row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from calibration_pipeline.records import DayResponses, DayRevision
from calibration_pipeline.store import deletions, due_days, extraction, revisions
from calibration_pipeline.store.archive import REPETITIVE_COLUMNS, Archive
from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA, ContentDigest
from calibration_pipeline.store.day_arrays import day_responses
from calibration_pipeline.store.late_answers import LateDay
from calibration_pipeline.store.sources.base import ResponseSource, SourceView, reading_again
from calibration_pipeline.store.suppression import suppressed


class MemoryWriter:
    """Keeps a day's answers where `DayWriter` would write them, and nothing of what is left out."""

    def __init__(self) -> None:
        self._content = ContentDigest()
        self._blocks = [ARCHIVE_SCHEMA.empty_table()]

    @property
    def digest(self) -> str:
        """SHA-256 of the content kept so far."""
        return self._content.hexdigest()

    def write(self, rows: pa.Table) -> None:
        """Append answers, in canonical order."""
        self._content.update(rows)
        self._blocks.append(rows.select(ARCHIVE_SCHEMA.names).cast(ARCHIVE_SCHEMA))

    def write_quarantine(self, rows: pa.Table) -> None:
        """Keep nothing."""

    def table(self) -> pa.Table:
        """Give the answers as the archive's file would be read."""
        table = pa.concat_tables(self._blocks)
        for name in REPETITIVE_COLUMNS:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].dictionary_encode())
        return table


class RehearsedAnswers:
    """The days of a dry run: those it would extract in memory, all others from the archive.

    Parameters
    ----------
    engine
        Its transactions may be read-only.
    key
        Of the pseudonyms; which one changes no result.
    source
        Where the answers come from.
    """

    def __init__(
        self,
        engine: sa.Engine,
        archive: Archive,
        timezone: ZoneInfo,
        key: bytes,
        source: ResponseSource,
    ) -> None:
        self._engine = engine
        self._archive = archive
        self._timezone = timezone
        self._key = key
        self._source = source
        self.days: dict[date, DayResponses] = {}
        self.erased_sessions: dict[date, int] = {}

    def extract_day(self, day: date, *, refresh: bool) -> DayRevision:
        """Give the revision that extracting a day would record, or find recorded."""
        if day in self.days:
            return self.days[day].revision
        engine = self._engine.execution_options(isolation_level="REPEATABLE READ")
        with (
            engine.connect() as connection,
            connection.begin(),
            self._source.view(connection, self._timezone) as view,
        ):
            deletions.require_kept(connection, day)
            if not refresh:
                recorded = revisions.unchanged(connection, view, self._archive, day, self._timezone)
                if recorded is not None:
                    return recorded
                revisions.require_answers_left(connection, view, day, self._source.kind)
            erased = suppressed(connection).erased
            writer, under_way = reading_again(lambda: self._read(view, day, erased))
            found = under_way.revision(day)
            number = revisions.number_of(connection, found, self._timezone)
        revision = replace(found, revision=number)
        self.days[day] = day_responses(revision, writer.table())
        self.erased_sessions[day] = under_way.erased_sessions
        return revision

    def _read(
        self, view: SourceView, day: date, erased: Collection[bytes]
    ) -> tuple[MemoryWriter, extraction.DayExtraction]:
        writer = MemoryWriter()
        under_way = extraction.DayExtraction(writer, self._key, erased)
        for block in extraction.whole_sessions(view.stream_day(day)):
            under_way.add(block)
        return writer, under_way

    def extract_days_due(
        self, night: date, window_days: int, folded_through: date | None, *, refresh: bool
    ) -> None:
        """Extract the days that are due before a night."""
        due = due_days.days_due(
            self._engine, self._archive, self._timezone,
            night, window_days, folded_through, refresh=refresh, source=self._source,
        )  # fmt: skip
        for day in due:
            self.extract_day(day, refresh=refresh)

    def newest_revisions(self, days: Sequence[date]) -> dict[date, DayRevision]:
        """Give the newest revision of each of the days that has one, or would have by then."""
        archived = extraction.newest_revisions(self._engine, days)
        return archived | {d: self.days[d].revision for d in days if d in self.days}

    def late(
        self, archived: Sequence[LateDay], folded_through: date, folded_here: Mapping[date, str]
    ) -> tuple[LateDay, ...]:
        """Correct the late days as the archive has them for what has been extracted here.

        Parameters
        ----------
        folded_here
            Digests of the days that nights of the dry run have folded: as they stand.
        """
        folded = [day for day in self.days if day <= folded_through]
        before = extraction.newest_revisions(self._engine, folded)
        found = {day.day: day.answers for day in archived}
        for day in folded:
            now, then = self.days[day].revision, before.get(day)
            if now.digest == folded_here.get(day):
                found.pop(day, None)
            elif then is None or now.digest != then.digest:
                more = now.response_count - (then.response_count if then else 0)
                found[day] = max(0, found.get(day, 0) + more)
        return tuple(LateDay(day, found[day]) for day in sorted(found))
