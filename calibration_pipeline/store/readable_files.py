"""What goes wrong while a table is read, as one line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from calibration_pipeline.errors import BadInputError

PARQUET_SUFFIXES = (".parquet", ".pq")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a CSV or Parquet file is read into one line.

    Raises
    ------
    BadInputError
        In place of an operating system's or a parser's error.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise BadInputError(
            f"{path} doesn't exist: give the path of a CSV or Parquet file"
        ) from error
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise BadInputError(
            f"{path.name} can't be read ({reason_of(error)}): "
            "give a CSV file in UTF-8 or a Parquet file"
        ) from error


def reason_of(error: Exception) -> str:
    """Give what a parser or the system says went wrong, on one line and without the row itself."""
    # A parser's message goes on with the row, and with it a person's id.
    return re.sub(r"(got \d+):.*", r"\1", re.sub(r"\s+", " ", str(error)))[:200]
