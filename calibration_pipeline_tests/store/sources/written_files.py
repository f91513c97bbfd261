"""Small files of answers, and what a view of them gives."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from calibration_pipeline.store.sources.base import day_bounds
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.files.reader import FilesReader, FilesView
from calibration_pipeline.store.sources.raw import RAW_SCHEMA

HEADER = "candidate_id,item_id,is_correct,answered_at"
NOON = "2026-03-10T12:00:00+00:00"
DAYS = [date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 11)]
BOUNDS = day_bounds(DAYS, ZoneInfo("UTC"))
KNOWN = frozenset({("i1", 1), ("i2", 1)})


def write(path: Path, lines: Iterable[str], header: str = HEADER) -> Path:
    """A CSV file that was written long enough ago to be remembered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines, ""]), "utf-8")
    settle(path)
    return path


def settle(path: Path, seconds_ago: float = 60) -> None:
    moment = path.stat().st_mtime - seconds_ago
    os.utime(path, (moment, moment))


def reader(path: Path, catalogue: Path | None = None, **changes: Any) -> FilesReader:
    configuration = SourceConfiguration(kind="files", path=path)
    return FilesReader(dataclasses.replace(configuration, **changes), catalogue)


def rows(view: FilesView, bounds: Sequence[datetime] = BOUNDS) -> list[dict[str, str | None]]:
    blocks = list(view.stream(bounds[0], bounds[-1]))
    assert all(block.schema == RAW_SCHEMA for block in blocks)
    return [row for block in blocks for row in block.to_pylist()]
