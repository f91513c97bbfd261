"""A simulated programme on disk: bank.csv, responses.parquet and truth.csv."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.private_files import private_file

_MOMENT = pa.timestamp("ms", tz="UTC")

RESPONSE_SCHEMA = pa.schema(
    [
        ("session_id", pa.string()),
        ("candidate_id", pa.string()),
        ("item_id", pa.string()),
        ("is_correct", pa.int8()),
        ("answered_at", _MOMENT),
        ("session_started_at", _MOMENT),
        ("position", pa.int32()),
        ("time_on_task_ms", pa.int32()),
        ("theta_at_presentation", pa.float64()),
    ]
)
"""Columns of a simulated response log, as `import_responses` reads them."""

_GROUP = pa.field("population_group", pa.string())


@dataclass(frozen=True)
class SimulatedFiles:
    """What was written, with the number of items and of answers."""

    bank: Path
    responses: Path
    truth: Path
    item_count: int
    response_count: int


def write_simulated_files(
    folder: Path,
    bank: Mapping[str, Sequence[object]],
    truth: Mapping[str, Sequence[object]],
    days: Iterable[Mapping[str, NDArray[np.generic]]],
    *,
    replace: bool = False,
) -> SimulatedFiles:
    """Write the three files, readable by their owner alone; all of them or none.

    Parameters
    ----------
    folder
        Created if need be, closed to other users.
    bank, truth
        Columns of the two CSV files, of equal length; None is a blank cell.
    days
        Columns of `RESPONSE_SCHEMA`, a block at a time; moments are in UTC. All blocks may have
        `population_group` too.
    replace
        Write into a folder that holds something; files of the three names are replaced.

    Raises
    ------
    BadInputError
        The folder holds something, or can't be written.
    """
    is_new = not folder.exists()
    _prepare(folder, replace)
    paths = {name: folder / name for name in ("bank.csv", "truth.csv", "responses.parquet")}
    try:
        with ExitStack() as stack:
            # The files get their names when the stack unwinds: after all three are written.
            files = {name: stack.enter_context(private_file(paths[name])) for name in paths}
            _write_csv(files["bank.csv"], bank)
            _write_csv(files["truth.csv"], truth)
            response_count = _write_responses(files["responses.parquet"], days)
    except BaseException:
        if is_new:
            with suppress(OSError):  # it is not empty only if a rename failed
                folder.rmdir()
        raise
    return SimulatedFiles(
        bank=paths["bank.csv"],
        responses=paths["responses.parquet"],
        truth=paths["truth.csv"],
        item_count=len(bank["item_id"]),
        response_count=response_count,
    )


def _prepare(folder: Path, replace: bool) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = next(folder.iterdir(), None) is None
    except OSError as error:
        raise BadInputError(
            f"the folder {folder} can't be used ({error.strerror}): choose another"
        ) from error
    if not is_empty and not replace:
        raise BadInputError(
            f"the folder {folder} is not empty: choose another, or add --force to replace "
            "what an earlier simulation wrote there"
        )


def _write_csv(file: IO[bytes], columns: Mapping[str, Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    file.write(text.getvalue().encode())


def _write_responses(file: IO[bytes], days: Iterable[Mapping[str, NDArray[np.generic]]]) -> int:
    blocks = iter(days)
    first = next(blocks, None)
    has_groups = first is not None and _GROUP.name in first
    schema = RESPONSE_SCHEMA.append(_GROUP) if has_groups else RESPONSE_SCHEMA
    count = 0
    with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for columns in blocks if first is None else chain([first], blocks):
            table = pa.table(
                [_array(columns[field.name], field.type) for field in schema], schema=schema
            )
            writer.write_table(table)
            count += table.num_rows
    return count


def _array(values: NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):  # NumPy knows no zones: say that these are UTC
        return pa.array(values.astype("datetime64[ms]")).cast(pa.timestamp("ms")).cast(kind)
    return pa.array(values, kind)
