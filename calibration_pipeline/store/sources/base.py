"""What a source of answers is: whether a day has changed, and the rows of its sessions.

A source is opened as a *view*: one moment of it, so that a day's fingerprint and its rows agree.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol, TypeVar, runtime_checkable
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from calibration_pipeline.store.archive_format import MOMENT

_T = TypeVar("_T")

CLOCK_TOLERANCE = timedelta(minutes=5)
"""Clocks of test machines may run ahead of the database's by this much."""

ROW_REASONS = (
    "unknown_item",
    "null_score",
    "non_binary_score",
    "future_timestamp",
    "session_inconsistent",
    "unknown_outcome",
    "missing_id",
    "missing_timestamp",
    "naive_timestamp",
    "unreadable_timestamp",
    "malformed_answer",
    "session_too_long",
)
"""Why a row can't be used, as can be seen on it and its session; numbered from 1, 0 is a good row.

The numbers are those of a run's own; files and tables hold the names.
"""

REASON_NUMBERS = {reason: number for number, reason in enumerate(ROW_REASONS, start=1)}

ROW_SCHEMA = pa.schema(
    [
        ("reason", pa.int8()),
        ("session_id", pa.string()),
        ("candidate_id", pa.string()),
        ("session_started_at", MOMENT),
        ("item_id", pa.string()),
        ("content_version", pa.int32()),
        ("score", pa.int16()),
        ("answered_at", MOMENT),
        ("position", pa.int32()),
        ("time_on_task_ms", pa.int32()),
        ("option_selected", pa.string()),
        ("theta_at_presentation", pa.float64()),
        ("population_group", pa.string()),
        ("engine_version", pa.string()),
        ("outcome", pa.string()),
    ]
)
"""Rows of a day. The outcome is null for a scored answer."""


@dataclass(frozen=True)
class Fingerprint:
    """What the source of a day looks like: cheap to compute, different when a row is.

    Whether the bank knows a row's item is part of it: importing the item later changes what the
    day's extraction gives.
    """

    row_count: int
    latest_ingested_at: datetime | None
    checksum: int


EMPTY = Fingerprint(0, None, 0)


class ReadAgain(Exception):  # noqa: N818 - nothing has gone wrong
    """What was found at a day's end changes the rows that were given before it: read it again.

    The view knows it then, and doesn't ask a second time. See `reading_again`.
    """


def reading_again(read: Callable[[], _T]) -> _T:
    """Do what reads a whole day, and do it anew if the view asks for that.

    Parameters
    ----------
    read
        Leaves nothing behind when it is ended by an error.
    """
    try:
        return read()
    except ReadAgain:
        return read()


class SourceView(Protocol):
    """One moment of a source."""

    def fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
        """Give the fingerprint of each local day from `first` to `last`, both included."""
        ...

    def late_arrivals(
        self, first: date, last: date, since: datetime | None
    ) -> dict[date, datetime]:
        """Give when the latest answer arrived for each day that has one which arrived late.

        Late are answers that were logged more than 12 hours after their session began. Empty where
        the source doesn't say when its rows were logged.

        Parameters
        ----------
        first, last
            Local days, both included.
        since
            Only answers that were logged later; None for all.
        """
        ...

    def stream_day(self, day: date) -> Iterator[pa.Table]:
        """Stream the rows of the sessions that started on a local day, in canonical order.

        Yields
        ------
        pyarrow.Table
            Of `ROW_SCHEMA`, in the order of the archive (`archive_format`); columns of text may be
            dictionaries of it. A session may go on in the next block. Memory stays within some
            blocks, however large the day is.

        Raises
        ------
        ReadAgain
            After the last block: the view knows better now. Once at most.
        """
        ...


@runtime_checkable
class LooksAhead(Protocol):
    """A view of rows that are placed by their own times, which may be any."""

    def rows_from(self, moment: datetime) -> int:
        """Count the rows that are placed at a moment or later."""
        ...


class ResponseSource(Protocol):
    """Where answers come from; opened for a run, or for one look at it."""

    @property
    def kind(self) -> str:
        """Its name in the settings."""
        ...

    @property
    def is_in_store(self) -> bool:
        """Whether its rows are the store's own, which forgetting and retention delete from."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever runs a night should know of it, in the order of events, each once."""
        ...

    def view(self, store: sa.Connection, timezone: ZoneInfo) -> AbstractContextManager[SourceView]:
        """Open one moment of the source.

        Parameters
        ----------
        store
            In a transaction of the store, which gives the bank's items.
        timezone
            The zone in which a day begins.

        Raises
        ------
        SourceError
            Here, or later from the view: it can't be read.
        """
        ...


def day_start(day: date, timezone: ZoneInfo) -> datetime:
    """Give the first moment of a local day; the day is 23 or 25 hours long when clocks change."""
    return datetime.combine(day, time.min, tzinfo=timezone)


def days_between(first: date, last: date) -> list[date]:
    """List the days from one to another, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def day_bounds(days: list[date], timezone: ZoneInfo) -> list[datetime]:
    """Give the beginnings of consecutive local days, and the end of the last one."""
    return [day_start(day, timezone) for day in [*days, days[-1] + timedelta(days=1)]]
