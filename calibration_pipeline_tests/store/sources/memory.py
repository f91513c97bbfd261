"""A reader of rows in memory: the smallest there can be, for what is the same in all of them."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa

from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.sources.base import Fingerprint
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.raw import RAW_COLUMNS, RAW_SCHEMA
from calibration_pipeline_tests.store.sources.contract_answers import Answer


class MemoryReader:
    """Rows of `RAW_SCHEMA` as dictionaries; what is left out is null."""

    kind = "memory"
    warnings: tuple[str, ...] = ()

    def __init__(self, rows: Sequence[dict[str, Any]], *, is_dated_by_session: bool = False):
        self.rows = [dict.fromkeys(RAW_COLUMNS) | row for row in rows]
        self.is_dated_by_session = is_dated_by_session

    @contextmanager
    def view(self, store_url: str) -> Iterator["MemoryReader"]:
        del store_url
        yield self

    def _between(self, first: datetime, last: datetime) -> list[dict[str, Any]]:
        return [row for row in self.rows if first <= self._moment(row) < last]

    def _moment(self, row: dict[str, Any]) -> datetime:
        own = "session_started_at" if self.is_dated_by_session else "answered_at"
        for text in (row[own], row["dated_at"]):
            try:
                found = datetime.fromisoformat(text)
            except (TypeError, ValueError):
                continue
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        return datetime.min.replace(tzinfo=UTC)

    def fingerprints(
        self, bounds: Sequence[datetime], known: Collection[ItemKey]
    ) -> list[Fingerprint]:
        items = {item_id for item_id, _ in known}
        found = []
        for first, last in pairwise(bounds):
            rows = self._between(first, last)
            text = repr(sorted(repr((row, row["item_id"] in items)) for row in rows))
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            checksum = int.from_bytes(digest, "little", signed=True) if rows else 0
            found.append(Fingerprint(len(rows), None, checksum))
        return found

    def late_arrivals(
        self, bounds: Sequence[datetime], since: datetime | None
    ) -> list[datetime | None]:
        del since
        return [None] * (len(bounds) - 1)

    def stream(self, first: datetime, last: datetime) -> Iterator[pa.Table]:
        rows = self._between(first, last)
        for n in range(0, len(rows), 7):  # small blocks, so that what spans them is seen
            yield pa.Table.from_pylist(rows[n : n + 7], RAW_SCHEMA)

    def undated_rows(self) -> int:
        return 0


class MemoryFiller:
    """Fills a `MemoryReader`; `reader` is made anew by each filling."""

    kind = "memory"
    has_sessions = False

    def __init__(self) -> None:
        self.reader = MemoryReader([])

    def configuration(self, **changes: Any) -> SourceConfiguration:
        return SourceConfiguration(**changes)

    def can_hold(self, answer: Answer) -> bool:
        del answer
        return True

    def fill(self, answers: Sequence[Answer]) -> None:
        self.reader = MemoryReader(
            [
                {
                    "candidate_id": answer.candidate_id,
                    "item_id": answer.item_id,
                    "code": answer.code,
                    "answered_at": answer.answered_at,
                    "dated_at": "2026-03-10T11:00:00+00:00",
                    "position": None if answer.position is None else str(answer.position),
                }
                for answer in answers
            ]
        )
