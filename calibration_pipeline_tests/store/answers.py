"""Rows of the response log for tests, with explicit times: no test depends on today's date."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.records import DayRevision
from calibration_pipeline.store.tables import response_log

ZURICH = ZoneInfo("Europe/Zurich")
DAY = date(2026, 3, 10)
NOON = "2026-03-10T12:00:00+01:00"
KEY = b"k" * 32
Extract = Callable[..., DayRevision]
INGESTED = datetime(2027, 1, 1, tzinfo=UTC)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def session(
    name: str, start: str, items: str = "i1 i2 i3", candidate: str | None = None, **changes: Any
) -> list[dict[str, Any]]:
    """One session: an answer every 30 seconds, wrong and right in turn."""
    started = moment(start)
    return [
        {
            "session_id": name,
            "candidate_id": candidate or f"person of {name}",
            "item_id": item,
            "score": n % 2,
            "session_started_at": started,
            "answered_at": started + timedelta(seconds=30 * n),
            "position": n + 1,
            "ingested_at": INGESTED,
        }
        | changes
        for n, item in enumerate(items.split())
    ]


def log(engine: sa.Engine, rows: Iterable[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(response_log), list(rows))


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
