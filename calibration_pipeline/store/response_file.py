"""Files of answers (CSV or Parquet), read in batches of one schema and checked as they pass."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import OUTCOMES
from calibration_pipeline.store.archive_format import MOMENT
from calibration_pipeline.store.readable_files import readable

ALIASES = {"correct": "is_correct", "person_id": "candidate_id"}
REQUIRED_COLUMNS = ("session_id", "candidate_id", "item_id", "is_correct", "answered_at")
_TYPES: dict[str, pa.DataType] = {
    "session_id": pa.string(),
    "candidate_id": pa.string(),
    "item_id": pa.string(),
    "is_correct": pa.int16(),
    "answered_at": MOMENT,
    "content_version": pa.int32(),
    "session_started_at": MOMENT,
    "position": pa.int32(),
    "time_on_task_ms": pa.int32(),
    "option_selected": pa.string(),
    "theta_at_presentation": pa.float64(),
    "population_group": pa.string(),
    "engine_version": pa.string(),
    "outcome": pa.string(),
}
BATCH_SCHEMA = pa.schema([("row_number", pa.int64()), *_TYPES.items()])

_CSV_BLOCK_BYTES = 8 * 2**20
_PARQUET_BATCH_ROWS = 2**18
_SCORES = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "False": 0, "True": 1}
_KINDS = {MOMENT: "a time", pa.int32(): "a whole number", pa.float64(): "a number"}
_HAS_OFFSET = r"(Z|[+-]\d\d(:?\d\d)?)$"


@dataclass
class Problems:
    """What is wrong with a file: the first row and the number of rows of each problem."""

    file_name: str
    found: dict[str, tuple[int, int]] = field(default_factory=dict)

    def note(self, problem: str, first_row: int, is_bad: Any) -> None:
        """Count the rows of a batch that have a problem; `first_row` is the batch's first."""
        rows = np.flatnonzero(pc.fill_null(is_bad, True).to_numpy(zero_copy_only=False))
        if len(rows):
            row, count = self.found.get(problem, (first_row + int(rows[0]), 0))
            self.found[problem] = (row, count + len(rows))

    def refuse(self) -> None:
        """Refuse the file if anything is wrong with it, naming what comes first.

        Raises
        ------
        BadInputError
            Naming the first row and the number of rows; nothing was stored.
        """
        if self.found:
            problem, (row, count) = min(self.found.items(), key=lambda entry: entry[1])
            raise BadInputError(
                f"{self.file_name}, row {row}: {problem} ({count:,} such rows): "
                "correct the file and import it again; nothing was stored"
            )


class ResponseFile:
    """A file of answers.

    Raises
    ------
    BadInputError
        The file can't be read, lacks a column, or has a timestamp column without a time zone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.problems = Problems(path.name)
        self._is_parquet = path.suffix.lower() in (".parquet", ".pq")
        with readable(path):
            self._schema = self._read_schema()
        self._names = {ALIASES.get(name, name): name for name in self._schema.names}
        missing = [name for name in REQUIRED_COLUMNS if name not in self._names]
        if missing:
            raise BadInputError(
                f"{self.name} lacks the column{'s'[: len(missing) - 1]} {', '.join(missing)}: "
                f"a file of answers needs {', '.join(REQUIRED_COLUMNS)}"
            )
        self._refuse_naive_columns()

    def _read_schema(self) -> pa.Schema:
        if self._is_parquet:
            return pa.parquet.read_schema(self._path)
        with pa.csv.open_csv(self._path) as reader:
            return reader.schema

    def _refuse_naive_columns(self) -> None:
        for name in ("answered_at", "session_started_at"):
            if not self._is_parquet or name not in self._names:
                continue
            kind = self._schema.field(self._names[name]).type
            is_naive = pa.types.is_timestamp(kind) and kind.tz is None
            if is_naive or pa.types.is_date(kind):
                raise BadInputError(
                    f"{self.name}, row 1: {name} has no time zone (all rows): "
                    "state it, for example 2026-03-29T08:00:00+01:00; nothing was stored"
                )

    def batches(self) -> Iterator[tuple[pa.RecordBatch, int, int]]:
        """Read the file.

        Yields
        ------
        tuple
            Rows of `BATCH_SCHEMA`, how much of the file has been read, and its size (rows of a
            Parquet file, bytes of a CSV file). What is wrong with them is noted in `problems`.
        """
        first_row = 1
        with readable(self._path):
            for raw, done, total in self._parquet() if self._is_parquet else self._csv():
                yield self._checked(raw, first_row), done, total
                first_row += raw.num_rows

    def _columns(self) -> list[str]:
        return [self._names[name] for name in _TYPES if name in self._names]

    def _parquet(self) -> Iterator[tuple[pa.RecordBatch, int, int]]:
        with pa.parquet.ParquetFile(self._path) as file:
            done, total = 0, file.metadata.num_rows
            for batch in file.iter_batches(_PARQUET_BATCH_ROWS, columns=self._columns()):
                done += batch.num_rows
                yield batch, done, total

    def _csv(self) -> Iterator[tuple[pa.RecordBatch, int, int]]:
        total = self._path.stat().st_size
        options = pa.csv.ConvertOptions(
            include_columns=self._columns(),
            column_types=dict.fromkeys(self._columns(), pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        )
        read_options = pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES)
        with (
            self._path.open("rb") as source,
            pa.csv.open_csv(source, read_options, convert_options=options) as reader,
        ):
            for batch in reader:
                yield batch, source.tell(), total

    def _checked(self, raw: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
        numbers = pa.array(np.arange(first_row, first_row + raw.num_rows))
        columns = [numbers]
        for name, kind in _TYPES.items():
            if name not in self._names:
                columns.append(pa.nulls(raw.num_rows, kind))
                continue
            column = raw.column(self._names[name])
            if name == "is_correct":
                columns.append(self._scores(column, self._is_unscored(raw), first_row))
            elif name == "outcome":
                columns.append(self._outcomes(column, first_row))
            else:
                columns.append(self._converted(name, column, kind, first_row))
        return pa.record_batch(columns, schema=BATCH_SCHEMA)

    def _is_unscored(self, raw: pa.RecordBatch) -> Any:
        """Mark the rows that may go without a score, because the item was not answered."""
        if "outcome" not in self._names:
            return pa.scalar(False)
        outcome = raw.column(self._names["outcome"]).cast(pa.string())
        return pc.is_in(outcome, value_set=pa.array(OUTCOMES[1:]))

    def _scores(self, column: Any, is_unscored: Any, first_row: int) -> Any:
        position = pc.index_in(column.cast(pa.string()), pa.array(list(_SCORES)))
        may_be_blank = pc.and_(pc.is_null(column), is_unscored)
        is_bad = pc.and_not(pc.is_null(position), may_be_blank)
        self.problems.note("is_correct is neither 0 nor 1", first_row, is_bad)
        return pa.array(list(_SCORES.values()), pa.int16()).take(position)

    def _outcomes(self, column: Any, first_row: int) -> Any:
        outcome = column.cast(pa.string())
        is_known = pc.is_in(outcome, value_set=pa.array([*OUTCOMES, None]))
        problem = f"outcome is none of {', '.join(OUTCOMES)}"
        self.problems.note(problem, first_row, pc.invert(is_known))
        return outcome

    def _converted(self, name: str, column: Any, kind: pa.DataType, first_row: int) -> Any:
        if name in REQUIRED_COLUMNS:
            self.problems.note(f"{name} is blank", first_row, pc.is_null(column))
        if kind == MOMENT and pa.types.is_string(column.type):
            naive = pc.and_(pc.is_valid(column), pc.invert(_has_offset(column)))
            self.problems.note(f"{name} has no time zone", first_row, naive)
            column = pc.if_else(naive, pa.scalar(None, pa.string()), column)
        try:
            return pc.cast(column, kind, safe=kind != MOMENT)
        except pa.ArrowInvalid:
            problem = f"{name} is not {_KINDS[kind]}"
            self.problems.note(problem, first_row, _is_uncastable(column, kind))
            return pa.nulls(len(column), kind)


def _has_offset(column: Any) -> Any:
    return pc.fill_null(pc.match_substring_regex(column, _HAS_OFFSET), True)


def _is_uncastable(column: Any, kind: pa.DataType) -> Any:
    """Mark the values that can't be converted; only asked for once one can't."""
    values = pc.unique(column)
    bad = [row for row in range(len(values)) if not _can_cast(values.slice(row, 1), kind)]
    return pc.is_in(column, value_set=values.take(pa.array(bad, pa.int64())))


def _can_cast(value: Any, kind: pa.DataType) -> bool:
    try:
        pc.cast(value, kind, safe=kind != MOMENT)
    except pa.ArrowInvalid:
        return False
    return True
