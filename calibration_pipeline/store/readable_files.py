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
        # A parser's message goes on with the row itself, and with it a person's id.
        reason = re.sub(r"(got \d+):.*", r"\1", re.sub(r"\s+", " ", str(error)))[:200]
        raise BadInputError(
            f"{path.name} can't be read ({reason}): give a CSV file in UTF-8 or a Parquet file"
        ) from error
