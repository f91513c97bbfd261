"""Rows of other systems as they stand there: text, nothing judged yet.

A reader gives what a source holds and judges nothing. What the text means, which session a row
belongs to, and what is wrong with it, is found in one place for all of them (`normalising`).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import pyarrow as pa

from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.sources.base import Fingerprint

RAW_COLUMNS = (
    "session_id",
    "session_started_at",
    "candidate_id",
    "item_id",
    "content_version",
    "code",
    "outcome",
    "answered_at",
    "dated_at",
    "logged_at",
    "position",
    "time_on_task_ms",
    "option_selected",
    "theta_at_presentation",
    "population_group",
    "engine_version",
    "problem",
)
OPTIONAL_COLUMNS = (
    "session_id",
    "session_started_at",
    "content_version",
    "outcome",
    "logged_at",
    "position",
    "time_on_task_ms",
    "option_selected",
    "theta_at_presentation",
    "population_group",
    "engine_version",
)
"""What a source of answers may say of each of them; the rest it must, or a reader adds."""
RAW_SCHEMA = pa.schema([(name, pa.string()) for name in RAW_COLUMNS])
"""Every value as text, null where the source has none.

code
    What came of the answer in the source's own spelling: 1, true, omitted (`STANDARD_CODES`).
outcome
    For sources that say apart from the score what was not scored: one of `records.OUTCOMES`.
answered_at, session_started_at, logged_at
    ISO 8601, with an offset from UTC if the source has one. `logged_at` is when the row came to be.
dated_at
    By which the reader placed the row in time, where that isn't `answered_at`: an answer in a
    JSON document is placed by the document's time, even where its own can't be read.
problem
    One of `ROW_REASONS` that the reader alone can see, such as ``malformed_answer``.
"""


class RawView(Protocol):
    """One moment of a source's rows."""

    @property
    def is_dated_by_session(self) -> bool:
        """Whether rows are placed by their session's start; otherwise each by its own time."""
        ...

    def fingerprints(
        self, bounds: Sequence[datetime], known: Collection[ItemKey]
    ) -> list[Fingerprint]:
        """Give the fingerprint of the rows from each of the bounds to the next.

        Parameters
        ----------
        bounds
            Ascending, with their time zone; one more than there are fingerprints.
        known
            Items of the bank: whether each row's is among them is part of the checksum (by item
            id alone where the source has no content versions).
        """
        ...

    def late_arrivals(
        self, bounds: Sequence[datetime], since: datetime | None
    ) -> list[datetime | None]:
        """Give for the rows between bounds when the newest one came that came late.

        Late are rows that were logged more than 12 hours after the time by which they are placed,
        and later than `since`. None without such rows, or where it isn't known when rows came.
        """
        ...

    def stream(self, first: datetime, last: datetime) -> Iterator[pa.Table]:
        """Stream the rows from one moment to before another, in any order.

        Yields
        ------
        pyarrow.Table
            Of `RAW_SCHEMA`, in blocks of bounded size.
        """
        ...

    def undated_rows(self) -> int:
        """Count rows that no night can take in: nothing says when they were answered."""
        ...


class RawReader(Protocol):
    """A source before its rows are understood."""

    @property
    def kind(self) -> str:
        """Its name in the settings."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever runs a night should know, in the order of events, each once."""
        ...

    def examine(self, store_url: str) -> tuple[str, ...]:
        """Say what is read, having tried whether it can be: tables with their columns, or files.

        No answers are read, so this is quick however many there are.

        Raises
        ------
        SourceError, SourceUnavailableError
            As `view`.
        """
        ...

    def view(self, store_url: str) -> AbstractContextManager[RawView]:
        """Open one moment of the source.

        Parameters
        ----------
        store_url
            Of the store's database, for tables that are in it.

        Raises
        ------
        SourceError, SourceUnavailableError
            Here, or later from the view: it can't be read as configured; it can't be read now.
        """
        ...
