"""Files as the contract suite fills them: with sessions and without, CSV, Parquet, and a folder."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline_tests.store.sources.contract_answers import Answer

COLUMNS = {
    "candidate_id": "candidate_id",
    "item_id": "item_id",
    "is_correct": "code",
    "answered_at": "answered_at",
    "position": "position",
    "time_on_task_ms": "time_on_task_ms",
}
"""A file's column → the answer's field."""


class FilesFiller:
    """Writes answers to files in a folder of their own."""

    kind = "files"
    has_sessions = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def configuration(self, **changes: Any) -> SourceConfiguration:
        return dataclasses.replace(SourceConfiguration(kind="files", path=self.folder), **changes)

    def can_hold(self, answer: Answer) -> bool:
        return True

    def fill(self, answers: Sequence[Answer]) -> None:
        raise NotImplementedError


class CsvFiller(FilesFiller):
    """One CSV file without sessions, pointed at itself."""

    def configuration(self, **changes: Any) -> SourceConfiguration:
        return super().configuration(path=self.folder / "answers.csv", **changes)

    def fill(self, answers: Sequence[Answer]) -> None:
        (self.folder / "answers.csv").write_bytes(csv_bytes(rows_of(answers)))


class CsvWithSessionsFiller(CsvFiller):
    """One CSV file that states each session, and when it began."""

    has_sessions = True

    def fill(self, answers: Sequence[Answer]) -> None:
        rows = rows_of(answers)
        starts = session_starts(answers)
        for row, answer in zip(rows, answers, strict=True):
            row["session_id"] = answer.session_id
            row["session_started_at"] = starts.get(answer.session_id)
        columns = (*COLUMNS, "session_id", "session_started_at")
        (self.folder / "answers.csv").write_bytes(csv_bytes(rows, columns))


class ParquetFiller(FilesFiller):
    """One Parquet file without sessions, times as text so that any text can stand there."""

    def fill(self, answers: Sequence[Answer]) -> None:
        write_parquet(self.folder / "answers.parquet", answers)


class FolderFiller(FilesFiller):
    """A folder of CSV and Parquet files, dealt out by turns, with what is no file of answers."""

    def fill(self, answers: Sequence[Answer]) -> None:
        below = self.folder / "day=2026-03-10"
        below.mkdir(exist_ok=True)
        (below / "_SUCCESS").touch()
        (below / ".part-0.csv.crc").write_bytes(b"crc")
        (below / "part-0.csv.tmp").write_bytes(b"half")
        (below / "part-0.csv").write_bytes(csv_bytes(rows_of(answers[::2])))
        write_parquet(self.folder / "part-1.parquet", answers[1::2])


FILLERS = (CsvFiller, CsvWithSessionsFiller, ParquetFiller, FolderFiller)


def rows_of(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Answers as rows of `COLUMNS`."""
    return [{own: getattr(answer, name) for own, name in COLUMNS.items()} for answer in answers]


def csv_bytes(rows: Sequence[dict[str, Any]], columns: Sequence[str] = tuple(COLUMNS)) -> bytes:
    """Rows as a CSV file; None is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write_parquet(path: Path, answers: Sequence[Answer]) -> None:
    """Answers as a Parquet file, text as text and numbers as numbers."""
    kinds = {
        name: pa.int32() if name in ("position", "time_on_task_ms") else pa.string()
        for name in COLUMNS
    }
    pa.parquet.write_table(pa.Table.from_pylist(rows_of(answers), pa.schema(kinds)), path)


def session_starts(answers: Sequence[Answer]) -> dict[str | None, str]:
    """The first readable time of each session, as it is written there."""
    starts: dict[str | None, str] = {}
    for answer in answers:
        text = answer.answered_at
        try:
            moment = datetime.fromisoformat(text or "")
        except ValueError:
            continue
        first = starts.setdefault(answer.session_id, answer.answered_at or "")
        known = datetime.fromisoformat(first)
        if (known.tzinfo is None) == (moment.tzinfo is None) and moment < known:
            starts[answer.session_id] = text or ""
    return starts
