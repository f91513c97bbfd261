"""A source whose sessions have to be found: any reader's rows, made into ours."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from calibration_pipeline.store.sources.base import (
    Fingerprint,
    day_bounds,
    day_start,
    days_between,
)
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.normalising import (
    BANK_SCHEMA,
    Normaliser,
    scratch_database,
)
from calibration_pipeline.store.sources.raw import RawReader, RawView
from calibration_pipeline.store.tables import items

_ONE_DAY = timedelta(days=1)
_EVER, _NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class DerivedSource:
    """A reader's rows, with their sessions.

    Parameters
    ----------
    reader
        Gives the rows as they stand.
    configuration
        What they mean.
    scratch
        Folder for a day under way; private, and emptied of it afterwards.
    """

    is_in_store = False

    def __init__(
        self, reader: RawReader, configuration: SourceConfiguration, scratch: Path
    ) -> None:
        self._reader = reader
        self._configuration = configuration
        self._scratch = scratch

    @property
    def kind(self) -> str:
        """See `ResponseSource`."""
        return self._reader.kind

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `ResponseSource`."""
        return self._reader.warnings

    @contextmanager
    def view(self, store: sa.Connection, timezone: ZoneInfo) -> Iterator["DerivedView"]:
        """See `ResponseSource`."""
        url = store.engine.url.render_as_string(hide_password=False)
        with self._reader.view(url) as raw:
            yield DerivedView(raw, store, timezone, self._configuration, self._scratch)


class DerivedView:
    """One moment of such a source, against the bank as one transaction of the store sees it."""

    def __init__(
        self,
        raw: RawView,
        store: sa.Connection,
        timezone: ZoneInfo,
        configuration: SourceConfiguration,
        scratch: Path,
    ) -> None:
        self._raw = raw
        self._store = store
        self._timezone = timezone
        self._configuration = configuration
        self._scratch = scratch
        # A session may begin the day before or end the day after: no session is longer than a day.
        self._reach = timedelta(0) if raw.is_dated_by_session else _ONE_DAY

    def fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
        """See `SourceView`. The rows of the days on either side are part of a day's checksum."""
        around = days_between(first - self._reach, last + self._reach)
        bounds = day_bounds(around, self._timezone)
        bank = self._bank()
        known = frozenset(
            zip(bank["item_id"].to_pylist(), bank["content_version"].to_pylist(), strict=True)
        )
        found = dict(zip(around, self._raw.fingerprints(bounds, known), strict=True))
        if not self._reach:
            return found
        return {
            day: Fingerprint(
                found[day].row_count,
                found[day].latest_ingested_at,
                _combined([found[day + n * _ONE_DAY] for n in (-1, 0, 1)]),
            )
            for day in days_between(first, last)
        }

    def late_arrivals(
        self, first: date, last: date, since: datetime | None
    ) -> dict[date, datetime]:
        """See `SourceView`."""
        days = days_between(first, last)
        found = self._raw.late_arrivals(day_bounds(days, self._timezone), since)
        return {day: latest for day, latest in zip(days, found, strict=True) if latest}

    def stream_day(self, day: date) -> Iterator[pa.Table]:
        """See `SourceView`."""
        first = day_start(day - self._reach, self._timezone)
        last = day_start(day + self._reach + _ONE_DAY, self._timezone)
        with scratch_database(self._scratch) as connection:
            normaliser = Normaliser(
                connection, self._configuration, self._bank(), datetime.now(UTC)
            )
            for block in self._raw.stream(first, last):
                normaliser.add(block)
            yield from normaliser.sessions_of(*day_bounds([day], self._timezone))

    def undated_rows(self) -> int:
        """Count rows that no night can take in: nothing says when they were answered."""
        return self._raw.undated_rows()

    def _bank(self) -> pa.Table:
        """Items, each version with the time in which it was its item's newest."""
        i = items.c
        place = sa.func.row_number().over(partition_by=i.item_id, order_by=i.content_version)
        next_came = sa.func.lead(i.recorded_at).over(
            partition_by=i.item_id, order_by=i.content_version
        )
        rows = self._store.execute(
            sa.select(
                i.item_id,
                i.content_version,
                sa.case((place == 1, _EVER), else_=i.recorded_at).label("valid_from"),
                sa.func.coalesce(next_came, _NEVER).label("valid_to"),
            )
        )
        return pa.Table.from_pylist([dict(row._mapping) for row in rows], BANK_SCHEMA)


def _combined(parts: list[Fingerprint]) -> int:
    """Give a checksum of several in their order, within PostgreSQL's bigint."""
    text = ",".join(f"{part.row_count}:{part.checksum}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
