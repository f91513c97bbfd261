"""A source whose sessions have to be found: any reader's rows, made into ours."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
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
    LONGEST_SESSION,
    Normaliser,
)
from calibration_pipeline.store.sources.raw import RawReader, RawView
from calibration_pipeline.store.sources.scratch import scratch_database
from calibration_pipeline.store.tables import items

_ONE_DAY = timedelta(days=1)
# In every zone a moment that can be stated.
_LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)
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
        self._meaning = configuration.meaning
        self._found: dict[date, Fingerprint] = {}
        # A session may begin the day before or end the day after: no session is longer than a day.
        self._reach = timedelta(0) if raw.is_dated_by_session else _ONE_DAY

    def fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
        """See `SourceView`.

        The rows of the days on either side are part of a day's checksum, and so is what rows mean:
        a day that was read under other settings is read again. Each day is looked at once: the
        source is of one moment as long as the view is open.
        """
        days = days_between(first, last)
        if not self._found.keys() >= set(days):
            self._found |= self._read_fingerprints(first, last)
        return {day: self._found[day] for day in days}

    def _read_fingerprints(self, first: date, last: date) -> dict[date, Fingerprint]:
        around = days_between(first - self._reach, last + self._reach)
        bounds = day_bounds(around, self._timezone)
        bank = self._bank()
        known = frozenset(
            zip(bank["item_id"].to_pylist(), bank["content_version"].to_pylist(), strict=True)
        )
        found = dict(zip(around, self._raw.fingerprints(bounds, known), strict=True))
        reach = (-1, 0, 1) if self._reach else (0,)
        return {
            day: Fingerprint(
                found[day].row_count,
                found[day].latest_ingested_at,
                _combined(self._meaning, [found[day + n * _ONE_DAY] for n in reach]),
            )
            for day in days_between(first, last)
        }

    def late_arrivals(
        self, first: date, last: date, since: datetime | None
    ) -> dict[date, datetime]:
        """See `SourceView`."""
        days = days_between(first, last + self._reach)
        arrived = self._raw.late_arrivals(day_bounds(days, self._timezone), since)
        found: dict[date, datetime] = {}
        for day, latest in zip(days, arrived, strict=True):
            # The session may have begun the day before.
            for own in {day, day - self._reach}:
                if latest is not None:
                    found[own] = max(latest, found.get(own, latest))
        return {day: found[day] for day in sorted(found) if first <= day <= last}

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
            longest = LONGEST_SESSION if self._reach else None
            begin, end = day_bounds([day], self._timezone)
            yield from normaliser.sessions_of(begin, end, longest)

    def undated_rows(self) -> int:
        """Count rows that no night can take in: nothing says when they were answered."""
        return self._raw.undated_rows()

    def rows_from(self, moment: datetime) -> int:
        """See `LooksAhead`."""
        (found,) = self._raw.fingerprints([moment, _LAST_MOMENT], frozenset())
        return found.row_count

    def _bank(self) -> pa.Table:
        """Items, each version with the time in which it was its item's newest."""
        i = items.c
        query = sa.select(i.item_id, i.content_version, i.recorded_at).order_by(
            i.item_id, i.recorded_at, i.content_version
        )
        rows: list[dict[str, Any]] = []
        newest: dict[str, dict[str, Any]] = {}  # of each item, as far as the rows have come
        for item_id, version, recorded_at in self._store.execute(query):
            row = {"item_id": item_id, "content_version": version, "valid_from": _EVER}
            before = newest.get(item_id)
            if before is None or version > before["content_version"]:
                if before is not None:
                    before["valid_to"] = row["valid_from"] = recorded_at
                newest[item_id] = row | {"valid_to": _NEVER}
                rows.append(newest[item_id])
            else:  # imported after a later one: it never was the newest
                rows.append(row | {"valid_from": _NEVER, "valid_to": _NEVER})
        return pa.Table.from_pylist(rows, BANK_SCHEMA)


def _combined(meaning: str, parts: list[Fingerprint]) -> int:
    """Give a checksum of several in their order, within PostgreSQL's bigint; 0 of no rows."""
    if not any(part.row_count for part in parts):
        return 0
    text = ",".join([meaning, *(f"{part.row_count}:{part.checksum}" for part in parts)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
