"""A table of answers for a single fit, without a database: CSV or Parquet in long format.

Ids become numbers while Arrow reads them, so that memory grows with the rows alone. Items and
persons stand in an order of their own (shortest id first, then by code point): the order of a
file's rows never shows in a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.store.readable_files import PARQUET_SUFFIXES, readable

REQUIRED_COLUMNS = ("person_id", "item_id", "correct")
_SESSION = "session_id"
_ALIASES = {"candidate_id": "person_id", "is_correct": "correct"}
_SCORES = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "False": 0, "True": 1}
_ENCODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class ResponseTable:
    """Answers sorted by person, session and item.

    Attributes
    ----------
    item_ids
        One id per item that occurs; `data` numbers them.
    data
        The answers. A session is a person's, or where the file has session_id, one of a person's.
    person_ids
        ``(n_sessions,)`` who took each session.
    session_ids
        ``(n_sessions,)`` the file's own names of them; None where it has no session_id.
    """

    item_ids: tuple[str, ...]
    data: ResponseData
    person_ids: pa.StringArray
    session_ids: pa.StringArray | None

    @property
    def n_persons(self) -> int:
        """Number of different persons."""
        return int(pc.count_distinct(self.person_ids).as_py())


@dataclass(frozen=True)
class _Codes:
    """A column of ids as numbers into its labels, which stand in canonical order."""

    labels: pa.StringArray
    number: NDArray[np.int64]


def read_response_table(path: Path) -> ResponseTable:
    """Read a file of answers.

    Parameters
    ----------
    path
        CSV, or Parquet by its suffix, with person_id (or candidate_id), item_id, correct (or
        is_correct) and, if wanted, session_id. Other columns are passed over.

    Raises
    ------
    BadInputError
        The file can't be read, lacks a column or has no rows; an id is blank; a score is neither
        0 nor 1; an item occurs twice in a session.
    """
    with readable(path):
        table = _read(path)
    if table.num_rows == 0:
        raise BadInputError(f"{path.name} has no answers: give one row per answer")
    scores = _scores(path.name, table["correct"])
    ids = {}
    for name in (name for name in table.column_names if name != "correct"):
        _refuse_rows(path.name, f"{name} is blank", pc.is_null(table[name]))
        ids[name] = _numbered(table[name])
    return _sorted_table(path.name, ids["item_id"], ids["person_id"], ids.get(_SESSION), scores)


def response_table_of(
    name: str, person_ids: Sequence[str], item_ids: Sequence[str], correct: Sequence[bool | int]
) -> ResponseTable:
    """Give answers that are in memory already as a table, each person in one session.

    Parameters
    ----------
    name
        What messages call the answers.
    person_ids, item_ids, correct
        One entry per answer; at least one answer.

    Raises
    ------
    BadInputError
        A person answers an item twice.
    """
    item, person = (
        _numbered(pa.chunked_array([pa.array(column, pa.string()).dictionary_encode()]))
        for column in (item_ids, person_ids)
    )
    return _sorted_table(name, item, person, None, np.asarray(correct, np.uint8))


def _read(path: Path) -> pa.Table:
    """Read the columns that are needed, ids and scores dictionary-encoded."""
    is_parquet = path.suffix.lower() in PARQUET_SUFFIXES
    if is_parquet:
        found = pa.parquet.read_schema(path).names
    else:
        with pa.csv.open_csv(path) as reader:
            found = reader.schema.names
    columns = _columns(path.name, found)
    if is_parquet:
        table = pa.parquet.read_table(path, columns=list(columns.values()))
        table = pa.table({name: _encoded(table[own]) for name, own in columns.items()})
    else:
        options = pa.csv.ConvertOptions(
            include_columns=list(columns.values()),
            column_types=dict.fromkeys(columns.values(), _ENCODED),
            null_values=[""],
            strings_can_be_null=True,
        )
        table = pa.csv.read_csv(path, convert_options=options).rename_columns(list(columns))
    return table.unify_dictionaries()


def _columns(file_name: str, found: list[str]) -> dict[str, str]:
    """Our name → the file's name of each column that is read."""
    columns: dict[str, str] = {}
    for own in found:
        name = _ALIASES.get(own, own)
        if name not in (*REQUIRED_COLUMNS, _SESSION):
            continue
        if name in columns:
            raise BadInputError(f"{file_name} names the column {name} twice: keep one of them")
        columns[name] = own
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise BadInputError(
            f"{file_name} lacks the column{'s'[: len(missing) - 1]} {', '.join(missing)}: "
            f"a table of answers needs {', '.join(REQUIRED_COLUMNS)}"
        )
    return columns


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a Parquet column of any simple type as dictionary-encoded text."""
    chunks = [
        chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        for chunk in column.chunks
    ]
    texts = [
        pa.DictionaryArray.from_arrays(
            chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.string())
        )
        for chunk in chunks
    ]
    return pa.chunked_array(texts, _ENCODED)


def _scores(file_name: str, column: pa.ChunkedArray) -> NDArray[np.uint8]:
    known = pa.array(list(_SCORES))
    values = pa.array(list(_SCORES.values()), pa.uint8())
    chunks = [
        values.take(pc.index_in(chunk.dictionary, known)).take(chunk.indices)
        for chunk in column.chunks
    ]
    scores = pa.chunked_array(chunks, pa.uint8())
    _refuse_rows(file_name, "correct is neither 0 nor 1", pc.is_null(scores))
    return np.asarray(scores.to_numpy())


def _refuse_rows(file_name: str, problem: str, is_bad: Any) -> None:
    rows = np.flatnonzero(is_bad.to_numpy())
    if len(rows):
        raise BadInputError(
            f"{file_name}, row {rows[0] + 1}: {problem} ({len(rows):,} such rows): "
            "correct the file, and leave out what was never answered"
        )


def _numbered(column: pa.ChunkedArray) -> _Codes:
    """Number a column's ids in canonical order: short ones first, so that item 2 precedes 10."""
    labels = column.chunk(0).dictionary
    raw = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    used = np.flatnonzero(np.bincount(raw, minlength=len(labels)))
    labels = labels.take(pa.array(used))
    keys = pa.table({"length": pc.utf8_length(labels), "text": labels})
    order = pc.sort_indices(
        keys, sort_keys=[("length", "ascending"), ("text", "ascending")]
    ).to_numpy()
    number = np.empty(used.max() + 1, np.int64)
    number[used[order]] = np.arange(len(order))
    return _Codes(labels.take(pa.array(order)), number[raw])


def _sorted_table(
    file_name: str,
    item: _Codes,
    person: _Codes,
    session: _Codes | None,
    scores: NDArray[np.uint8],
) -> ResponseTable:
    n_items, n_sittings = len(item.labels), 1 if session is None else len(session.labels)
    if len(person.labels) * n_sittings * n_items > np.iinfo(np.int64).max:
        raise BadInputError(
            f"{file_name} has too many different ids to be numbered: split it, or shorten its ids"
        )
    group = person.number if session is None else person.number * n_sittings + session.number
    key = group * n_items + item.number
    order = np.argsort(key)
    key = key[order]
    _refuse_repeats(file_name, key, item, order)
    group, of_item = np.divmod(key, n_items)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    of_person, of_sitting = np.divmod(group[starts], n_sittings)
    return ResponseTable(
        item_ids=tuple(item.labels.to_pylist()),
        data=ResponseData(
            session_offsets=np.append(starts, len(key)).astype(np.int64),
            item=of_item.astype(np.int32),
            correct=scores[order],
            n_items=n_items,
        ),
        person_ids=person.labels.take(pa.array(of_person)),
        session_ids=None if session is None else session.labels.take(pa.array(of_sitting)),
    )


def _refuse_repeats(
    file_name: str, key: NDArray[np.int64], item: _Codes, order: NDArray[np.int64]
) -> None:
    """Refuse a second answer to an item in one session: which of them counts, nobody can tell."""
    same = np.flatnonzero(np.diff(key) == 0)
    if len(same) == 0:
        return
    # The sort doesn't keep the order of equal rows, so look for the later of each pair.
    later = np.maximum(order[same], order[same + 1])
    row = int(later.min())
    raise BadInputError(
        f"{file_name}, row {row + 1}: this person has answered item "
        f"{item.labels[int(item.number[row])].as_py()!r} before ({len(same):,} such rows): keep "
        "one of the answers, or tell sittings apart in a column session_id"
    )
