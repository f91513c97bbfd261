"""From an archived day's columns to the arrays of `DayResponses`."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from calibration_pipeline.records import OUTCOMES, DayResponses, DayRevision, FloatArray, IntArray

READ_COLUMNS = [
    "session_ordinal",
    "session_pseudonym",
    "candidate_pseudonym",
    "item_id",
    "content_version",
    "score",
    "outcome",
    "time_on_task_ms",
    "theta_at_presentation",
    "population_group",
]


def day_responses(revision: DayRevision, table: pa.Table) -> DayResponses:
    """Turn the `READ_COLUMNS` of an archived day, in canonical order, into its arrays."""
    encoded = table["item_id"].unify_dictionaries().combine_chunks()
    names = encoded.dictionary.to_pylist()
    versions = table["content_version"].to_numpy()
    # One number per (item, version); versions are small, so the product stays far from overflow.
    span = int(versions.max(initial=0)) + 1
    combined = encoded.indices.to_numpy().astype(np.int64) * span + versions
    present, inverse = np.unique(combined, return_inverse=True)
    keys = [(names[code // span], int(code % span)) for code in present.tolist()]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    rank = np.empty(len(keys), np.int32)
    rank[order] = np.arange(len(keys), dtype=np.int32)
    starts = np.flatnonzero(np.diff(table["session_ordinal"].to_numpy(), prepend=-1))
    outcome = _outcomes(table["outcome"])
    group_names, groups = _groups(table["population_group"], starts)
    arrays: dict[str, NDArray[Any] | None] = {
        "session_offsets": np.append(starts, table.num_rows).astype(np.int64),
        "item": rank[inverse],
        "correct": _scores(table["score"], outcome),
        "session_pseudonyms": _pseudonyms(table["session_pseudonym"], starts),
        "candidate_pseudonyms": _pseudonyms(table["candidate_pseudonym"], starts),
        "outcome": outcome,
        "time_on_task_ms": _times(table["time_on_task_ms"]),
        "starting_ability": _starting_abilities(table["theta_at_presentation"], starts),
        "population_group": groups,
    }
    for array in arrays.values():
        if array is not None:
            array.setflags(write=False)
    return DayResponses(
        revision=revision,
        keys=tuple(keys[k] for k in order),
        group_names=group_names,
        **arrays,  # type: ignore[arg-type]  # the names that may be None are those that can be
    )


def _is_absent(column: Any) -> bool:
    return bool(column.null_count == len(column))


def _scores(column: Any, outcome: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    score: NDArray[np.uint8] = pc.fill_null(column, 0).to_numpy().astype(np.uint8)
    return score if outcome is None else np.where(outcome == 0, score, 0).astype(np.uint8)


def _outcomes(column: Any) -> NDArray[np.uint8] | None:
    if _is_absent(column):
        return None
    place = pc.index_in(_plain(column), value_set=pa.array(OUTCOMES))
    return np.asarray(pc.fill_null(place, 0).to_numpy().astype(np.uint8))


def _times(column: Any) -> NDArray[np.int32] | None:
    if _is_absent(column):
        return None
    times: NDArray[np.int32] = pc.fill_null(column, -1).to_numpy()
    return np.maximum(times, np.int32(-1))


def _starting_abilities(column: Any, starts: IntArray) -> FloatArray | None:
    if _is_absent(column):
        return None
    first = _rows(column, starts)
    values = first.to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _groups(column: Any, starts: IntArray) -> tuple[tuple[str, ...], NDArray[np.int32] | None]:
    """Give the names, and each session's place among them; an empty name counts as none."""
    first = _plain(_rows(column, starts))
    names = sorted(name for name in pc.unique(first).to_pylist() if name)
    if not names:
        return (), None
    place = pc.index_in(first, value_set=pa.array(names, pa.string()))
    group: NDArray[np.int32] = pc.fill_null(place, -1).to_numpy().astype(np.int32)
    return tuple(names), group


def _plain(column: Any) -> Any:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _rows(column: Any, rows: IntArray) -> Any:
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    return pc.take(column, pa.array(rows))


def _pseudonyms(column: Any, rows: IntArray) -> NDArray[np.void]:
    return np.frombuffer(b"".join(_rows(column, rows).to_pylist()), dtype="V16")
