"""What an archived day looks like: columns, and the digest of their content."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calibration_pipeline.store.canonical import canonical_floats
from calibration_pipeline.store.pseudonyms import PSEUDONYM_BYTES

MOMENT = pa.timestamp("us", "UTC")
PSEUDONYM = pa.binary(PSEUDONYM_BYTES)

_PSEUDONYM_FIELDS = [
    pa.field("session_pseudonym", PSEUDONYM, nullable=False),
    pa.field("candidate_pseudonym", PSEUDONYM, nullable=False),
]
_ANSWER_FIELDS = [
    pa.field("session_started_at", MOMENT, nullable=False),
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("content_version", pa.int32(), nullable=False),
    pa.field("score", pa.int16()),
    pa.field("answered_at", MOMENT, nullable=False),
    pa.field("position", pa.int32()),
    pa.field("time_on_task_ms", pa.int32()),
    pa.field("option_selected", pa.string()),
    pa.field("theta_at_presentation", pa.float64()),
    pa.field("population_group", pa.string()),
    pa.field("engine_version", pa.string()),
    pa.field("outcome", pa.string()),
]
_ORDINAL_FIELDS = [
    pa.field("session_ordinal", pa.int32(), nullable=False),
    pa.field("candidate_ordinal", pa.int32(), nullable=False),
]

# Rows stand by session start, the source's session id, position (unknown last), time and item.
# None of these depends on the key of the pseudonyms.
ARCHIVE_SCHEMA = pa.schema([*_ORDINAL_FIELDS, *_PSEUDONYM_FIELDS, *_ANSWER_FIELDS])
# What is wrong with a row may be that it lacks an id or a time.
QUARANTINE_SCHEMA = pa.schema(
    [
        *(field.with_nullable(True) for field in [*_PSEUDONYM_FIELDS, *_ANSWER_FIELDS]),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


def with_dictionaries(schema: pa.Schema) -> pa.Schema:
    """Give a schema whose texts are dictionaries."""
    encoded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        field.with_type(encoded) if pa.types.is_string(field.type) else field for field in schema
    )


ANSWER_COLUMNS = tuple(field.name for field in _ANSWER_FIELDS)
_DIGESTED = tuple(field.name for field in [*_ORDINAL_FIELDS, *_ANSWER_FIELDS])

# Files written before a column existed lack it: it is then null in every row, and a column that is
# null in every row is no part of the digest.
LATER_COLUMNS = {"outcome": pa.string()}


class ContentDigest:
    """SHA-256 of an archived day without its pseudonyms, fed in blocks of rows.

    Sessions and candidates enter as ordinals, so two machines with different keys agree. One
    digest per column is kept, so the size of the blocks doesn't matter.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._unused = set(LATER_COLUMNS)
        self._columns = {name: (hashlib.sha256(), hashlib.sha256()) for name in _DIGESTED}

    def update(self, rows: pa.Table) -> None:
        """Add rows of `ARCHIVE_SCHEMA`, in canonical order; texts may be dictionaries."""
        self._rows += rows.num_rows
        for name, (validity, content) in self._columns.items():
            column = _plain(rows[name])
            if column.null_count < len(column):
                self._unused.discard(name)
            if pa.types.is_string(column.type):
                lengths = pc.fill_null(pc.binary_length(column), -1)
                validity.update(_numbers(lengths).astype("<i4").tobytes())
                content.update(_text_bytes(pc.fill_null(column, "")))
            else:
                validity.update(_numbers(pc.is_valid(column).cast(pa.uint8())).tobytes())
                content.update(_fixed_width(pc.fill_null(column, _zero_of(column.type))))

    def hexdigest(self) -> str:
        """Give 64 hexadecimal digits."""
        total = hashlib.sha256(f"rows:{self._rows}".encode())
        for name, (validity, content) in self._columns.items():
            if name in self._unused:
                continue
            total.update(name.encode() + validity.digest() + content.digest())
        return total.hexdigest()


def _zero_of(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(0, pa.int64()).cast(kind)


def _numbers(column: Any) -> np.ndarray[Any, Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _fixed_width(column: Any) -> bytes:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    numbers = _numbers(column)
    if numbers.dtype.kind == "f":
        return canonical_floats(numbers).tobytes()
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """Give a column in one piece, and texts as such where they come as dictionaries."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.combine_chunks()


def _text_bytes(column: Any) -> memoryview | bytes:
    _, offsets, content = column.buffers()
    if content is None:
        return b""
    positions = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return memoryview(content)[int(positions[0]) : int(positions[-1])]
