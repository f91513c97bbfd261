"""The archive: one Parquet file per extraction of a day, never overwritten."""

import math
import time
from collections.abc import Callable, Container, Iterable
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.archive_files import TemporaryParquet
from calibration_pipeline.store.archive_folder import ArchiveFolder
from calibration_pipeline.store.archive_format import (
    ARCHIVE_SCHEMA,
    LATER_COLUMNS,
    QUARANTINE_SCHEMA,
    ContentDigest,
)
from calibration_pipeline.store.archive_location import ArchiveLocation

_DIGEST_DIGITS = 12
REPETITIVE_COLUMNS = ["item_id", "population_group", "outcome"]
_FOLDER = "responses"
ORPHAN_AGE = timedelta(days=1)
"""An extraction may be under way in a younger file that no row names."""


class Archive:
    """Archived days in one place, readable by its owner alone.

    A file counts only once the database has a row for it (`archive_revisions`): one without is
    left over from an extraction that didn't finish, and the next one takes its place.

    Parameters
    ----------
    location
        Where its files lie; a path stands for a folder of this machine.
    minimum_free_bytes
        Left free on the disk that files are written to, whatever a day takes.
    """

    def __init__(self, location: ArchiveLocation | Path, minimum_free_bytes: int = 0) -> None:
        self.location: ArchiveLocation = (
            ArchiveFolder(location) if isinstance(location, Path) else location
        )
        self._minimum_free_bytes = minimum_free_bytes

    def exists(self, file_name: str) -> bool:
        """Whether a file is there, by its recorded name.

        Raises
        ------
        ArchiveUnavailableError
            The place can't be reached, so nobody knows.
        """
        return self.location.exists(file_name)

    def present(self, file_names: Iterable[str]) -> list[str]:
        """Those of many files that are there; errors as `exists`."""
        return self.location.present(file_names)

    def write_day(self, day: date) -> "DayWriter":
        """Start writing a day; see `DayWriter`.

        Raises
        ------
        DiskFullError, ArchiveWriteError
            Here, or later from the writer; its temporary files are removed.
        """
        folder = f"{_FOLDER}/day={day.isoformat()}"
        return DayWriter(self.location, folder, self.require_room)

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
        self.location.require_room(self._minimum_free_bytes, coming_bytes)

    def delete(self, file_names: Iterable[str]) -> int:
        """Delete files for good; give how many there were.

        Raises
        ------
        ArchiveWriteError, ArchiveUnavailableError
            One can't be deleted. Those before it are gone, and doing it again goes on.
        """
        return self.location.delete(file_names)

    def orphans(self, recorded: Container[str], age: timedelta | None = ORPHAN_AGE) -> list[str]:
        """Name the files that are not among those recorded.

        Parameters
        ----------
        age
            Only older ones; all if None, for a caller that keeps extractions out.
        """
        newest = math.inf if age is None else time.time() - age.total_seconds()
        unknown = [name for name in self.location.names(_FOLDER) if name not in recorded]
        return [name for name in unknown if self.location.modified(name) < newest]

    def read(self, file_name: str, columns: list[str] | None = None) -> pa.Table:
        """Read an archived file; a column that is younger than the file is null in every row.

        Raises
        ------
        NightBlockedError
            The file is missing or damaged.
        ArchiveUnavailableError
            The place can't be reached.
        """
        try:
            with self.location.open(file_name) as file:
                table = _read_table(file, columns)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise NightBlockedError(
                f"the archived file {file_name} can't be read ({reason}): "
                "restore it from a backup, or extract its day again with --refresh"
            ) from error
        return table


def _read_table(file: Any, columns: list[str] | None) -> pa.Table:
    present = pa.parquet.read_schema(file).names
    file.seek(0)
    absent = [name for name in LATER_COLUMNS if name not in present]
    table = pa.parquet.read_table(
        file,
        columns=columns and [name for name in columns if name not in absent],
        read_dictionary=REPETITIVE_COLUMNS,
        partitioning=None,
    )
    for name in absent if columns is None else set(absent) & set(columns):
        nothing = pa.nulls(table.num_rows, LATER_COLUMNS[name])
        table = table.append_column(name, nothing)
    return table


class DayWriter:
    """Writes a day under temporary names, and gives it its own name at the end.

    Used as a context: whatever wasn't committed is removed on leaving.
    """

    def __init__(
        self, location: ArchiveLocation, folder: str, require_room: Callable[[int], None]
    ) -> None:
        self._location = location
        self._folder = folder
        self._require_room = require_room
        self._answers = TemporaryParquet(location.new_file(folder), ARCHIVE_SCHEMA)
        try:
            self._quarantine = TemporaryParquet(location.new_file(folder), QUARANTINE_SCHEMA)
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
        with self._location.naming():
            self._answers.write(rows)

    def write_quarantine(self, rows: pa.Table) -> None:
        """Append rows that were left out, each with its reason."""
        with self._location.naming():
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
        with self._location.naming():
            if self._quarantine.row_count:
                quarantine = self._quarantine.finish(f"{stem}.quarantine.parquet")
            answers = self._answers.finish(f"{stem}.parquet")
            self._location.settle(self._folder)
        return answers, quarantine

    def commit_again(self, file_name: str, quarantine_file_name: str | None) -> None:
        """Make files durable under the names of a recorded revision that has lost them."""
        with self._location.naming():
            for file, name in (
                (self._quarantine, quarantine_file_name),
                (self._answers, file_name),
            ):
                if name is not None and not self._location.exists(name):
                    file.finish_as(name)
            self._location.settle(self._folder)

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
