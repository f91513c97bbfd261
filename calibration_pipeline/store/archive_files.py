"""Files of the archive: written under a temporary name, with errors that name the archive."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.errors import ArchiveWriteError, DiskFullError
from calibration_pipeline.store.archive_format import with_dictionaries

# Where looking for what repeats takes longer than it saves: numbers that hardly do, or that stand
# in runs, which the compression finds. Times lie close together: their differences are short, and
# as small as compressed.
_PLAIN_COLUMNS = [
    "session_ordinal",
    "candidate_ordinal",
    "session_pseudonym",
    "candidate_pseudonym",
    "session_started_at",
    "content_version",
    "position",
    "time_on_task_ms",
    "theta_at_presentation",
]
_DIFFERENCES = {"answered_at": "DELTA_BINARY_PACKED"}
_COMPRESSION = {"answered_at": "none", "theta_at_presentation": "none"}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TemporaryParquet:
    """A Parquet file that is being written, and gets its name only when it is complete."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._path = folder / f".writing-{secrets.token_hex(8)}"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._schema = with_dictionaries(schema)
        self.row_count = 0
        try:
            # Without the Arrow schema, so that texts are read as such: only for writing they are
            # dictionaries, as Parquet keeps them anyway.
            plain = {*_PLAIN_COLUMNS, *_DIFFERENCES}
            self._writer: Any = pa.parquet.ParquetWriter(
                self._file,
                self._schema,
                compression={n: _COMPRESSION.get(n, "zstd") for n in self._schema.names},
                use_dictionary=[n for n in self._schema.names if n not in plain],
                column_encoding=_DIFFERENCES,
                write_statistics=False,
                store_schema=False,
            )
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise

    def write(self, rows: pa.Table) -> None:
        """Append rows."""
        if rows.num_rows:
            self.row_count += rows.num_rows
            columns = (rows[name] for name in self._schema.names)
            encoded = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in columns]
            table = pa.table(encoded, names=self._schema.names)
            self._writer.write_table(table.cast(self._schema))

    def finish(self, target: Path) -> None:
        """Make the file durable under its name."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.replace(target)

    def discard(self) -> None:
        """Remove what has no name yet."""
        self._path.unlink(missing_ok=True)
        # What is still in memory goes to a file without a name; a full disk refuses it once more.
        for part in (self._writer, self._file):
            with suppress(OSError, pa.ArrowException):
                part.close()


@contextmanager
def naming_archive(root: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into one line about the archive."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_ROOM:
            raise DiskFullError(
                f"the archive {root} has no room ({reason}): nothing was recorded; make room "
                "there, and run the night again"
            ) from error
        raise ArchiveWriteError(
            f"the archive {root} can't be written ({reason}): nothing was recorded; correct the "
            "folder's permissions or its disk, and run the night again"
        ) from error


def fsync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
