"""A DuckDB of one's own for a day under way."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from calibration_pipeline.errors import ArchiveWriteError, SourceError
from calibration_pipeline.store.sources.scratch_folder import private_place, remove_leftovers

_MEMORY = "256MB"


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
        with suppress(OSError):  # of another account, say: no reason to stop a night
            remove_leftovers(folder)
        with private_place(folder) as place:
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
