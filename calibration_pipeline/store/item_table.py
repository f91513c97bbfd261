"""Files of item estimates, as `calibrate fit` writes them: read with checks, written whole."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import BoolArray, FloatArray, ItemTable
from calibration_pipeline.store.private_files import private_file
from calibration_pipeline.store.readable_files import PARQUET_SUFFIXES, readable

PARAMETERS = ("discrimination", "difficulty", "guessing")
ERRORS = tuple(f"{name}_se" for name in PARAMETERS)
_ITEM = "item_id"
_BLANK = ["", "nan", "NaN", "NA", "null"]


def read_item_table(path: Path) -> ItemTable:
    """Read a CSV file, or Parquet by its suffix, of item estimates.

    Parameters
    ----------
    path
        Has item_id, discrimination, difficulty, guessing and, if known, their standard errors in
        columns that end in _se. Other columns are passed over.

    Raises
    ------
    BadInputError
        The file can't be read, lacks a column, has no rows, a blank or repeated item, or a value
        that can't be meant.
    """
    with readable(path):
        table = _read(path)
    if table.num_rows == 0:
        raise BadInputError(f"{path.name} has no items: give one row per item")
    ids = table[_ITEM].to_pylist()
    if None in ids:
        raise BadInputError(f"{path.name}, row {ids.index(None) + 1}: item_id must not be blank")
    repeated = [item for item, count in Counter(ids).items() if count > 1]
    if repeated:
        raise BadInputError(
            f"{path.name} has item {repeated[0]!r} more than once ({len(repeated)} such items): "
            "keep one row per item"
        )
    parameters, errors = _numbers(table, PARAMETERS), _numbers(table, ERRORS)
    discrimination, _, guessing = parameters.T
    is_infinite = np.isinf(np.hstack([parameters, errors])).any(axis=1)
    _refuse(path, ids, is_infinite, "values must be finite")
    _refuse(path, ids, discrimination <= 0, "discrimination must be above 0")
    _refuse(path, ids, (guessing < 0) | (guessing >= 1), "guessing must be at least 0 and below 1")
    _refuse(path, ids, (errors < 0).any(axis=1), "standard errors must not be negative")
    return ItemTable(tuple(ids), parameters, errors)


def write_item_table(path: Path, table: ItemTable) -> None:
    """Write item estimates as CSV, readable by their owner alone: the whole file or none.

    Raises
    ------
    BadInputError
        The file can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_ITEM, *PARAMETERS, *ERRORS])
    for item, *rows in zip(table.item_ids, table.parameters, table.standard_errors, strict=True):
        values = np.concatenate(rows).tolist()
        writer.writerow([item, *("" if value != value else value for value in values)])
    with private_file(path) as file:
        file.write(text.getvalue().encode())


def _read(path: Path) -> pa.Table:
    """Read the columns that are needed, numbers as numbers."""
    if path.suffix.lower() in PARQUET_SUFFIXES:
        wanted = _columns(path.name, pa.parquet.read_schema(path).names)
        table = pa.parquet.read_table(path, columns=wanted)
        types = [pa.string() if name == _ITEM else pa.float64() for name in wanted]
        return pa.table(
            {name: pc.cast(table[name], kind) for name, kind in zip(wanted, types, strict=True)}
        )
    with pa.csv.open_csv(path) as reader:
        wanted = _columns(path.name, reader.schema.names)
    options = pa.csv.ConvertOptions(
        include_columns=wanted,
        column_types={name: pa.string() if name == _ITEM else pa.float64() for name in wanted},
        null_values=_BLANK,
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    return pa.csv.read_csv(path, convert_options=options)


def _columns(file_name: str, found: list[str]) -> list[str]:
    missing = [name for name in (_ITEM, *PARAMETERS) if name not in found]
    if missing:
        raise BadInputError(
            f"{file_name} lacks the column{'s'[: len(missing) - 1]} {', '.join(missing)}: "
            f"a file of items needs {_ITEM}, {', '.join(PARAMETERS)}"
        )
    wanted = [name for name in found if name in (_ITEM, *PARAMETERS, *ERRORS)]
    if len(set(wanted)) < len(wanted):
        raise BadInputError(f"{file_name} names a column twice: keep one of them")
    return wanted


def _numbers(table: pa.Table, names: tuple[str, ...]) -> FloatArray:
    """Columns side by side, ``(n_items, len(names))``; NaN for blanks and columns not there."""
    blank = np.full(table.num_rows, np.nan)
    columns: list[NDArray[np.float64]] = [
        table[name].to_numpy() if name in table.column_names else blank for name in names
    ]
    return np.column_stack(columns).astype(float)


def _refuse(path: Path, ids: list[str], wrong: np.bool_ | BoolArray, rule: str) -> None:
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise BadInputError(
            f"{path.name}, row {row + 1} (item {ids[row]!r}): {rule}: correct the file"
        )
