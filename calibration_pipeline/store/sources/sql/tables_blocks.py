"""Copied rows in blocks: CSV as PostgreSQL writes it, into Arrow tables of text."""

import io
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.csv

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.raw import RAW_COLUMNS, RAW_SCHEMA

BLOCK_BYTES = 16 * 2**20
_PARSER_BLOCK_BYTES = 2**20


def blocks(
    copied: Iterable[bytes], names: Sequence[str], subject: str, block_bytes: int = BLOCK_BYTES
) -> Iterator[pa.Table]:
    """Gather copied rows into tables of `RAW_SCHEMA`; columns that aren't copied are null.

    Parameters
    ----------
    copied
        Whole rows of CSV, one or several at a time.
    names
        Which columns they have, in their order.
    subject
        What is read, for messages.
    block_bytes
        Size of a block as text; memory stays within a few times this, or the longest row.

    Raises
    ------
    SourceError
        A text isn't UTF-8.
    """
    block, longest = io.BytesIO(), 0
    for rows in copied:
        longest = max(longest, block.write(rows))
        if block.tell() >= block_bytes:
            yield _parse(block, longest, names, subject)
            block, longest = io.BytesIO(), 0
    if block.tell():
        yield _parse(block, longest, names, subject)


def _parse(block: io.BytesIO, longest: int, names: Sequence[str], subject: str) -> pa.Table:
    """Read rows, the longest of so many bytes: a block of the parser must hold it whole."""
    block.seek(0)
    try:
        found = pa.csv.read_csv(
            block,
            read_options=pa.csv.ReadOptions(
                column_names=names, block_size=max(_PARSER_BLOCK_BYTES, 2 * longest)
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:  # its text repeats the value
        raise SourceError(
            f"{subject} holds text that isn't UTF-8: cast it in a view, and name that in "
            "CALIBRATION_SOURCE__NAMES"
        ) from None
    nothing = pa.nulls(found.num_rows, pa.string())
    return pa.table(
        [found[name] if name in names else nothing for name in RAW_COLUMNS], schema=RAW_SCHEMA
    )
