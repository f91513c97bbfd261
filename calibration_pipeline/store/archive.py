"""The archive: one Parquet file per extraction of a day, never overwritten."""

import math
import shutil
import time
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.errors import DiskFullError, NightBlockedError
from calibration_pipeline.store.archive_files import (
    TemporaryParquet,
    fsync_folder,
    naming_archive,
)
from calibration_pipeline.store.archive_format import (
    ARCHIVE_SCHEMA,
    LATER_COLUMNS,
    QUARANTINE_SCHEMA,
    ContentDigest,
)

_DIGEST_DIGITS = 12
REPETITIVE_COLUMNS = ["item_id", "population_group", "outcome"]
_FOLDER = "responses"
_MEGABYTE = 2**20
ORPHAN_AGE = timedelta(days=1)
"""An extraction may be under way in a younger file that no row names."""


class Archive:
    """Archived days under one folder, readable by its owner alone.

    A file counts only once the database has a row for it (`archive_revisions`): one without is
    left over from an extraction that didn't finish, and the next one takes its place.

    Parameters
    ----------
    root
        Its folder, made when the first day is written.
    minimum_free_bytes
        Left free on its disk, whatever a day takes.
    """

    def __init__(self, root: Path, minimum_free_bytes: int = 0) -> None:
        self._root = root
        self._minimum_free_bytes = minimum_free_bytes

    def path(self, file_name: str) -> Path:
        """Give the path of a file by its recorded name."""
        return self._root / file_name

    def write_day(self, day: date) -> "DayWriter":
        """Start writing a day; see `DayWriter`.

        Raises
        ------
        DiskFullError, ArchiveWriteError
            Here, or later from the writer; its temporary files are removed.
        """
        folder = self._root / _FOLDER / f"day={day.isoformat()}"
        with naming_archive(self._root):
            for part in (self._root, folder.parent, folder):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            return DayWriter(self._root, folder, self.require_room)

    def require_room(self, coming_bytes: int = 0) -> None:
        """Refuse what the disk has no room for.

        Parameters
        ----------
        coming_bytes
            What is about to be written, at most.

        Raises
        ------
        DiskFullError
            Less would be left free than is to be.
        """
        present = next(p for p in (self._root, *self._root.absolute().parents) if p.exists())
        free = shutil.disk_usage(present).free
        if free < self._minimum_free_bytes + coming_bytes:
            raise DiskFullError(
                f"the disk of {self._root} has {free // _MEGABYTE} MB free, of which "
                f"{self._minimum_free_bytes // _MEGABYTE} MB are to stay free: nothing was "
                "recorded; make room there, or lower CALIBRATION_MINIMUM_FREE_DISK_MB"
            )

    def delete(self, file_names: Iterable[str]) -> int:
        """Delete files for good, and the folders that they leave empty; give how many there were.

        Raises
        ------
        ArchiveWriteError
            One can't be deleted. Those before it are gone, and doing it again goes on.
        """
        folders, count = set(), 0
        with naming_archive(self._root):
            for path in map(self.path, file_names):
                if path.exists():
                    path.unlink()
                    folders.add(path.parent)
                    count += 1
            for folder in folders:
                fsync_folder(folder)
                with suppress(OSError):  # another revision of the day is in it
                    folder.rmdir()
        return count

    def orphans(self, recorded: Container[str], age: timedelta | None = ORPHAN_AGE) -> list[str]:
        """Name the files that are not among those recorded.

        Parameters
        ----------
        age
            Only older ones; all if None, for a caller that keeps extractions out.
        """
        newest = math.inf if age is None else time.time() - age.total_seconds()
        found = (self._root / _FOLDER).glob("day=*/*") if self._root.exists() else ()
        names = ((path, path.relative_to(self._root).as_posix()) for path in sorted(found))
        return [n for path, n in names if n not in recorded and path.stat().st_mtime < newest]

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
                read_dictionary=REPETITIVE_COLUMNS,
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

    def __init__(self, root: Path, folder: Path, require_room: Callable[[int], None]) -> None:
        self._root = root
        self._folder = folder
        self._require_room = require_room
        self._answers = TemporaryParquet(folder, ARCHIVE_SCHEMA)
        try:
            self._quarantine = TemporaryParquet(folder, QUARANTINE_SCHEMA)
        except BaseException:
            self._answers.discard()
            raise
        self._content = ContentDigest()

    @property
    def digest(self) -> str:
        """SHA-256 of the content written so far."""
        return self._content.hexdigest()

    def write(self, rows: pa.Table) -> None:
        """Append answers, in canonical order."""
        self._require_room(rows.nbytes)
        self._content.update(rows)
        with naming_archive(self._root):
            self._answers.write(rows)

    def write_quarantine(self, rows: pa.Table) -> None:
        """Append rows that were left out, each with its reason."""
        with naming_archive(self._root):
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
        with naming_archive(self._root):
            if self._quarantine.row_count:
                quarantine = self._name(self._quarantine, f"{stem}.quarantine.parquet")
            answers = self._name(self._answers, f"{stem}.parquet")
            for folder in (self._folder, self._folder.parent):
                fsync_folder(folder)
        return answers, quarantine

    def _name(self, file: "TemporaryParquet", name: str) -> str:
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
