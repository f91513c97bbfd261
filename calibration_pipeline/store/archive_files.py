"""Files of the archive: Parquet that gets its name only when it is complete."""

from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from calibration_pipeline.store.archive_format import with_dictionaries
from calibration_pipeline.store.archive_location import NewFile

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


class TemporaryParquet:
    """A Parquet file that is being written, and gets its name only when it is complete."""

    def __init__(self, new: NewFile, schema: pa.Schema) -> None:
        self._new = new
        self._schema = with_dictionaries(schema)
        self.row_count = 0
        try:
            # Without the Arrow schema, so that texts are read as such: only for writing they are
            # dictionaries, as Parquet keeps them anyway.
            plain = {*_PLAIN_COLUMNS, *_DIFFERENCES}
            self._writer: Any = pa.parquet.ParquetWriter(
                new.file,
                self._schema,
                compression={n: _COMPRESSION.get(n, "zstd") for n in self._schema.names},
                use_dictionary=[n for n in self._schema.names if n not in plain],
                column_encoding=_DIFFERENCES,
                write_statistics=False,
                store_schema=False,
            )
        except BaseException:
            new.discard()
            raise

    def write(self, rows: pa.Table) -> None:
        """Append rows."""
        if rows.num_rows:
            self.row_count += rows.num_rows
            columns = (rows[name] for name in self._schema.names)
            encoded = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in columns]
            table = pa.table(encoded, names=self._schema.names)
            self._writer.write_table(table.cast(self._schema))

    def finish(self, name: str) -> str:
        """Make the file durable; give its name within the archive."""
        self._writer.close()
        return self._new.finish(name)

    def finish_as(self, name: str) -> None:
        """Make the file durable under exactly a name within the archive."""
        self._writer.close()
        self._new.finish_as(name)

    def discard(self) -> None:
        """Remove what has no name yet."""
        self._new.discard()
        # What is still in memory goes to a file without a name; a full disk refuses it once more.
        for part in (self._writer, self._new.file):
            with suppress(OSError, ValueError, pa.ArrowException):
                part.close()
