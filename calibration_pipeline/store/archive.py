"""The archive: one Parquet file per extraction of a day, never overwritten."""

import os
import secrets
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.archive_format import (
    ARCHIVE_SCHEMA,
    LATER_COLUMNS,
    QUARANTINE_SCHEMA,
    ContentDigest,
)

_DIGEST_DIGITS = 12
_REPETITIVE_COLUMNS = ["item_id", "population_group", "outcome"]


class Archive:
    """Archived days under one folder, readable by its owner alone.

    A file counts only once the database has a row for it (`archive_revisions`): one without is
    left over from an extraction that didn't finish, and the next one takes its place.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, file_name: str) -> Path:
        """Give the path of a file by its recorded name."""
        return self._root / file_name

    def write_day(self, day: date) -> "DayWriter":
        """Start writing a day; see `DayWriter`."""
        folder = self._root / "responses" / f"day={day.isoformat()}"
        for part in (self._root, folder.parent, folder):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        return DayWriter(self._root, folder)

    def read(self, file_name: str, columns: list[str] | None = None) -> pa.Table:
        """Read an archived file; a column that is younger than the file is null in every row.

        Raises
        ------
        NightBlockedError
            The file is missing or damaged.
        """
        path = self.path(file_name)
        try:
            present = pa.parquet.read_schema(path).names
            absent = [name for name in LATER_COLUMNS if name not in present]
            table = pa.parquet.read_table(
                path,
                columns=columns and [name for name in columns if name not in absent],
                read_dictionary=_REPETITIVE_COLUMNS,
                partitioning=None,
            )
            for name in absent if columns is None else set(absent) & set(columns):
                nothing = pa.nulls(table.num_rows, LATER_COLUMNS[name])
                table = table.append_column(name, nothing)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise NightBlockedError(
                f"the archived file {file_name} can't be read ({reason}): "
                "restore it from a backup, or extract its day again with --refresh"
            ) from error
        return table


class DayWriter:
    """Writes a day under temporary names, and gives it its own name at the end.

    Used as a context: whatever wasn't committed is removed on leaving.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._answers = _TemporaryParquet(folder, ARCHIVE_SCHEMA)
        self._quarantine = _TemporaryParquet(folder, QUARANTINE_SCHEMA)
        self._content = ContentDigest()

    @property
    def digest(self) -> str:
        """SHA-256 of the content written so far."""
        return self._content.hexdigest()

    def write(self, rows: pa.Table) -> None:
        """Append answers, in canonical order."""
        self._content.update(rows)
        self._answers.write(rows)

    def write_quarantine(self, rows: pa.Table) -> None:
        """Append rows that were left out, each with its reason."""
        self._quarantine.write(rows)

    def commit(self, revision: int) -> tuple[str, str | None]:
        """Make the files durable under their own names.

        Returns
        -------
        tuple
            The names, relative to the archive's root, of the answers and of the quarantine; the
            latter None if nothing was left out.
        """
        stem = f"revision-{revision:04d}-{self.digest[:_DIGEST_DIGITS]}"
        quarantine = None
        if self._quarantine.row_count:
            quarantine = self._name(self._quarantine, f"{stem}.quarantine.parquet")
        answers = self._name(self._answers, f"{stem}.parquet")
        _fsync(self._folder)
        return answers, quarantine

    def _name(self, file: "_TemporaryParquet", name: str) -> str:
        target = self._folder / name
        file.finish(target)
        return target.relative_to(self._root).as_posix()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._answers.discard()
        self._quarantine.discard()


class _TemporaryParquet:
    """A Parquet file that is being written, and gets its name only when it is complete."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._path = folder / f".writing-{secrets.token_hex(8)}"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._schema = schema
        self._writer: Any = pa.parquet.ParquetWriter(self._file, schema, compression="zstd")
        self.row_count = 0

    def write(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self.row_count += rows.num_rows
            self._writer.write_table(rows.select(self._schema.names).cast(self._schema))

    def finish(self, target: Path) -> None:
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.replace(target)

    def discard(self) -> None:
        if not self._file.closed:
            self._writer.close()
            self._file.close()
        self._path.unlink(missing_ok=True)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
