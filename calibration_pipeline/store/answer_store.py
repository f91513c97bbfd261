"""The part of the store that holds answers: extracted by day, and read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records import DayResponses, DayRevision
from calibration_pipeline.store import (
    deletions,
    due_days,
    extraction,
    late_answers,
    retention,
    revisions,
    rows_ahead,
)
from calibration_pipeline.store.late_answers import LateDay
from calibration_pipeline.store.retention import Expired
from calibration_pipeline.store.state_store import StateStore


@dataclass
class AnswerStore(StateStore):
    """Extract the days that a night needs, and read them from the archive."""

    def extract_day(self, day: date, *, refresh: bool = False) -> DayRevision:
        """Archive one day's answers unless its newest revision still holds them all."""
        return extraction.extract_day(
            self.engine, self.archive, day, self.timezone, self.pseudonym_key,
            refresh=refresh, fence_token=self._lock.token, source=self.source,
        )  # fmt: skip

    def extract_days_due(
        self, first_night: date, window_days: int, *, refresh: bool = False
    ) -> None:
        """Archive the days that are due before a night, as their source stands now.

        With `refresh` all that are yet to be folded, even where nothing seems to have changed.
        """
        due_days.extract_days_due(
            self.engine, self.archive, self.timezone, self.pseudonym_key,
            first_night, window_days, self._folded_through(first_night),
            refresh=refresh, fence_token=self._lock.token, source=self.source,
        )  # fmt: skip

    def rows_ahead(self, today: date) -> int:
        """Count the rows of the source that belong to days after today."""
        return rows_ahead.rows_ahead(self.engine, today, self.timezone, self.source)

    def late_answers(self, partition: date) -> tuple[LateDay, ...]:
        """List what has been extracted for days that a night finds folded since they were."""
        folded = self._folded_through(partition)
        return late_answers.archived_late_answers(self.engine, folded) if folded else ()

    def _folded_through(self, partition: date) -> date | None:
        """The last day in the carried information that a night starts from."""
        parent = self.newest_accepted_state(partition)
        return parent.folded_through if parent else None

    def archived_days(self, days: Sequence[date]) -> dict[date, DayRevision]:
        """Give the newest revision of each of the days that has one."""
        return extraction.newest_revisions(self.engine, days)

    def day(self, day: date, revision: int | None = None) -> DayResponses:
        """Read an archived day; the newest revision unless one is named."""
        return self._cached_day(day, revision or self.archived_days([day])[day].revision)

    def kept_revision(self, day: date, revision: int) -> int:
        """Give the revision that is read for another one: itself, or what stands in its place."""
        with self.engine.connect() as connection:
            return deletions.kept_revision(connection, day, revision)

    def first_recorded_as(self, day: date, revision: int) -> int:
        """Give the number of the extraction that a revision comes from, before any erasure."""
        with self.engine.connect() as connection:
            return deletions.first_recorded_as(connection, day, revision)

    def erased_sessions(self, day: date) -> int:
        """Count the sessions of erased candidates that a day's source held when last extracted."""
        with self.engine.connect() as connection:
            return revisions.erased_sessions(connection, day)

    def delete_expired(self, before: date) -> Expired:
        """Delete what is older than a day: answers, abilities, links to people."""
        return retention.delete_expired(self._lock, self.archive, before, self.timezone)
