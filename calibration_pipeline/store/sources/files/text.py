"""Rows of a CSV or Parquet file as text, in batches, whatever types its columns have."""

import errno
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from calibration_pipeline.errors import SourceError, SourceUnavailableError
from calibration_pipeline.store.readable_files import reason_of
from calibration_pipeline.store.sources.files.columns import find_columns
from calibration_pipeline.store.sources.files.folder import (
    DELIMITERS,
    PARQUET_SUFFIXES,
    SourceFile,
    shown,
)
from calibration_pipeline.store.sources.raw import RAW_SCHEMA

_CSV_BLOCK_BYTES = 2 * 2**20
_PARQUET_BATCH_ROWS = 2**16
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def read_columns(file: SourceFile, accepted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Find a file's columns by its header; see `columns.find_columns`.

    Raises
    ------
    SourceError
        The file can't be read, or lacks a column.
    SourceUnavailableError
        It was changed or removed meanwhile.
    """
    with _readable(file):
        if file.suffix in PARQUET_SUFFIXES:
            names = pa.parquet.read_schema(file.path).names
        else:
            with _csv_reader(file) as reader:
                names = reader.schema.names
    return find_columns(file.shown_name, names, accepted)


def read_text(file: SourceFile, columns: Mapping[str, str]) -> Iterator[pa.Table]:
    """Read a file's rows as text.

    In CSV files nothing is converted, and an empty field is null. In Parquet files times are
    stated in UTC where their column has a time zone and without an offset where it has none;
    booleans are true and false; 1.0 is ``1.0``; NaN is null.

    Parameters
    ----------
    columns
        By `read_columns`.

    Yields
    ------
    pyarrow.Table
        Of `raw.RAW_SCHEMA`, null where the file lacks the column. A file is never held whole.

    Raises
    ------
    SourceError
        The file is damaged, isn't in UTF-8, or a column is of a nested type.
    SourceUnavailableError
        It was changed or removed meanwhile.
    """
    wanted = list(dict.fromkeys(columns.values()))
    batches = _parquet(file, wanted) if file.suffix in PARQUET_SUFFIXES else _csv(file, wanted)
    with _readable(file):
        for batch in batches:
            texts = {own: _column_text(file, batch, own) for own in wanted}
            empty = pa.nulls(batch.num_rows, pa.string())
            rows = [texts[columns[name]] if name in columns else empty for name in RAW_SCHEMA.names]
            yield pa.Table.from_arrays(rows, schema=RAW_SCHEMA)
    file.require_unchanged()


def _parquet(file: SourceFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with pa.parquet.ParquetFile(file.path) as parquet:
        yield from parquet.iter_batches(_PARQUET_BATCH_ROWS, columns=columns)


def _csv(file: SourceFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    options = pa.csv.ConvertOptions(
        include_columns=columns,
        column_types=dict.fromkeys(columns, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
    )
    with _csv_reader(file, options) as reader:
        yield from reader


@contextmanager
def _csv_reader(
    file: SourceFile, options: pa.csv.ConvertOptions | None = None
) -> Iterator[pa.csv.CSVStreamingReader]:
    """Open a CSV file. A quoted value may hold line ends."""
    compression = "gzip" if file.suffix.endswith(".gz") else None
    parsing = pa.csv.ParseOptions(delimiter=DELIMITERS[file.suffix], newlines_in_values=True)
    reading = pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES)
    with (
        pa.input_stream(str(file.path), compression=compression) as source,
        pa.csv.open_csv(source, reading, parsing, options) as reader,
    ):
        yield reader


def _column_text(file: SourceFile, batch: pa.RecordBatch, own: str) -> pa.Array:
    column = batch.column(own)
    if pa.types.is_nested(column.type):
        raise SourceError(
            f"{file.shown_name} has values of type {shown(str(column.type))} in its column "
            f"{shown(own)}: give one plain value per row"
        )
    return text_of(column)


def text_of(column: Any) -> pa.Array:
    """Give a column of any simple type as text.

    Parameters
    ----------
    column
        ``(n_rows,)`` an Arrow array.

    Raises
    ------
    pyarrow.ArrowException
        Bytes that aren't UTF-8.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_of(column.dictionary).take(column.indices)
    if isinstance(kind, pa.UuidType):
        ids = (None if id_ is None else uuid.UUID(bytes=id_) for id_ in column.storage.to_pylist())
        return pa.array([None if id_ is None else str(id_) for id_ in ids], pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        return text_of(column.storage)
    if pa.types.is_floating(kind):
        numbers = column.to_numpy(zero_copy_only=False)  # null is NaN there
        return pa.array(numbers.astype(np.str_), pa.string(), mask=np.isnan(numbers))
    if pa.types.is_timestamp(kind):
        return _moment_text(column)
    if pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.binary())
    text = column.cast(pa.string())
    text.validate(full=True)  # a Parquet file's strings may be any bytes
    return text


def _moment_text(column: Any) -> pa.Array:
    """State moments in microseconds or coarser, which is what we keep."""
    zone = None if column.type.tz is None else "UTC"
    if column.type.unit == "ns":
        column = pc.floor_temporal(column.cast(pa.timestamp("ns", zone)), unit="microsecond")
        return column.cast(pa.timestamp("us", zone)).cast(pa.string())
    return column.cast(pa.timestamp(column.type.unit, zone)).cast(pa.string())


@contextmanager
def _readable(file: SourceFile) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one line.

    A file that was changed while it was read is no damaged file; and an error of the system, such
    as a network disk that went away, says nothing of the file.
    """
    try:
        yield
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        file.require_unchanged()
        code = getattr(error, "errno", None)
        reason = shown(reason_of(error))
        if code in _FORBIDDEN:
            raise SourceError(
                f"{file.shown_name} can't be read ({reason}): give the pipeline's user the right "
                "to read it"
            ) from error
        if code is not None:
            raise SourceUnavailableError(
                f"{file.shown_name} can't be read now ({reason}): try again when its disk is there"
            ) from error
        raise SourceError(
            f"{file.shown_name} is damaged, cut short or of another kind ({reason}): give it anew "
            "as a whole CSV file in UTF-8 or Parquet file, or move it elsewhere"
        ) from error
