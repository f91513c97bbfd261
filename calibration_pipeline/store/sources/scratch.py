"""The scratch folder: where a day under way lies, and never longer than that."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb

from calibration_pipeline.errors import ArchiveWriteError, SourceError

LEFTOVER_AGE = timedelta(hours=1)
"""What has not been written to for so long belongs to a process that was killed."""
_MEMORY = "256MB"
_PREFIX = "day-"


@contextmanager
def scratch_database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty DuckDB in a private folder, which is removed afterwards.

    What killed processes have left there is removed as well.

    Raises
    ------
    ArchiveWriteError
        The folder can't be written, or its disk is full.
    SourceError
        DuckDB gives up on the rows.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_leftovers(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=_PREFIX) as place:
            options: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": _MEMORY,
                "temp_directory": f"{place}/spilled",
                # Nothing is fetched from anywhere.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
            with duckdb.connect(f"{place}/rows.duckdb", config=options) as connection:
                connection.execute("SET preserve_insertion_order = false")
                yield connection
    except duckdb.Error as error:
        # Its text may quote an answer.
        raise SourceError(
            f"a day's rows can't be worked on in {folder} ({type(error).__name__}): make room on "
            "its disk, and run it again; if that doesn't help, report it"
        ) from None
    except OSError as error:
        raise ArchiveWriteError(
            f"the folder {folder} can't be written ({error.strerror or error}): nothing was "
            "recorded; correct its permissions or its disk, and run it again"
        ) from error


def remove_leftovers(folder: Path, age: timedelta = LEFTOVER_AGE) -> None:
    """Remove what processes have left that were killed.

    Parameters
    ----------
    folder
        The scratch folder; there need not be one.
    age
        Only what nobody has written to for so long.
    """
    newest = time.time() - age.total_seconds()
    for place in folder.glob(f"{_PREFIX}*"):
        if max((path.stat().st_mtime for path in [place, *place.glob("*")]), default=0) <= newest:
            shutil.rmtree(place, ignore_errors=True)
