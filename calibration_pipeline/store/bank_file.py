"""Bank files (CSV or Parquet): read, and checked row by row before anything is stored."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.readable_files import PARQUET_SUFFIXES, readable

REQUIRED_COLUMNS = ("item_id", "discrimination", "difficulty", "guessing")
DEFAULT_SCALE = "main"
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class BankRow:
    """One item as a bank file states it; None where a cell is blank."""

    key: ItemKey
    scale: str
    discrimination: float | None
    difficulty: float | None
    guessing: float | None
    author_difficulty: float | None
    content_family: str | None
    option_count: int | None
    is_anchor: bool


def read_bank_file(path: Path) -> tuple[BankRow, ...]:
    """Read a bank file and check each row by itself.

    Raises
    ------
    BadInputError
        The file can't be read, lacks a column, or has a row that can't be meant: a blank or
        repeated item, a value that is no finite number, a discrimination that isn't above 0,
        a guessing outside [0, 1).
    """
    table = _read_as_text(path)
    missing = [name for name in REQUIRED_COLUMNS if name not in table.column_names]
    if missing:
        raise BadInputError(
            f"{path.name} lacks the column{'s'[: len(missing) - 1]} {', '.join(missing)}: "
            f"a bank file needs {', '.join(REQUIRED_COLUMNS)}"
        )
    rows = tuple(
        _Cells(path.name, number, cells).row() for number, cells in enumerate(table.to_pylist(), 1)
    )
    if not rows:
        raise BadInputError(f"{path.name} has no items: give one row per item")
    repeated = [key for key, count in Counter(row.key for row in rows).items() if count > 1]
    if repeated:
        raise BadInputError(
            f"{path.name} has {_named(repeated[0])} more than once "
            f"({len(repeated)} such items): keep one row per item and content_version"
        )
    return rows


def _named(key: ItemKey) -> str:
    return f"item {key[0]!r} (content_version {key[1]})"


def _read_as_text(path: Path) -> pa.Table:
    """Read every column as text, so that one parser serves both kinds of file."""
    with readable(path):
        if path.suffix.lower() in PARQUET_SUFFIXES:
            table = pa.parquet.read_table(path)
        else:
            with pa.csv.open_csv(path) as reader:
                names = reader.schema.names
            options = pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            )
            table = pa.csv.read_csv(path, convert_options=options)
        if len(set(table.column_names)) < len(table.column_names):
            raise BadInputError(f"{path.name} names a column twice: keep one of them")
        return pa.table({name: pc.cast(table[name], pa.string()) for name in table.column_names})


@dataclass(frozen=True)
class _Cells:
    """The cells of one row, and the parsing of each kind of cell."""

    file_name: str
    number: int
    cells: dict[str, str | None]

    def row(self) -> BankRow:
        item_id = self.text("item_id")
        if item_id is None:
            raise self.bad("item_id", "must not be blank")
        discrimination, guessing = self.real("discrimination"), self.real("guessing")
        if discrimination is not None and discrimination <= 0:
            raise self.bad("discrimination", "must be above 0")
        if guessing is not None and not 0 <= guessing < 1:
            raise self.bad("guessing", "must be at least 0 and below 1")
        return BankRow(
            key=(item_id, self.count("content_version") or 1),
            scale=self.text("scale") or DEFAULT_SCALE,
            discrimination=discrimination,
            difficulty=self.real("difficulty"),
            guessing=guessing,
            author_difficulty=self.real("author_difficulty"),
            content_family=self.text("content_family"),
            option_count=self.count("option_count"),
            is_anchor=self.boolean("is_anchor"),
        )

    def text(self, column: str) -> str | None:
        return (self.cells.get(column) or "").strip() or None

    def real(self, column: str) -> float | None:
        text = self.text(column)
        # Data frames write a missing number as NaN; in a text cell that is the same as a blank.
        if text is None or text.lower() == "nan":
            return None
        try:
            value = float(text)
        except ValueError:
            raise self.bad(column, "must be a number") from None
        if not math.isfinite(value):
            raise self.bad(column, "must be a finite number")
        return value

    def count(self, column: str) -> int | None:
        value = self.real(column)
        if value is None:
            return None
        if value < 1 or not value.is_integer():
            raise self.bad(column, "must be a whole number from 1")
        return int(value)

    def boolean(self, column: str) -> bool:
        text = self.text(column)
        if text is None:
            return False
        if text.lower() not in _BOOLEANS:
            raise self.bad(column, "must be true or false")
        return _BOOLEANS[text.lower()]

    def bad(self, column: str, rule: str) -> BadInputError:
        return BadInputError(
            f"{self.file_name}, row {self.number} (item {self.cells.get('item_id')!r}): {column} "
            f"{rule}, found {self.cells.get(column)!r}: correct the file and import it again"
        )
