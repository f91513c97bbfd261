"""Nights' states: append-only, keyed by (partition, attempt), bit by bit as they were computed."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import DTypeLike

from calibration_pipeline.records import (
    CalibrationState,
    GroupPopulation,
    ItemDifference,
    LeakWatch,
    ScaleState,
    ScreeningCounts,
)
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.leak_watches import write_leak_watch
from calibration_pipeline.store.tables import (
    calibration_states,
    state_differences,
    state_folds,
    state_items,
    state_scales,
    state_windows,
)
from calibration_pipeline.store.transactions import Transactions

_HEADER_FIELDS = (
    "partition",
    "attempt",
    "is_accepted",
    "folded_through",
    "anchor_set_id",
    "bank_digest",
    "anchor_digest",
    "configuration_digest",
    "digest",
    "leak_digest",
    "item_prior_fit",
)
# The fields with one entry per item: their shape, or the column that holds them and its type.
_VECTORS = {
    "parameters": (3,),
    "covariance": (3, 3),
    "prior_mean": (3,),
    "prior_precision": (3,),
    "carried_information": (3, 3),
    "carried_linear": (3,),
    "shadow_parameters": (3,),
}
_SCALARS: dict[str, tuple[str, DTypeLike]] = {
    "window_counts": ("window_count", np.int64),
    "total_counts": ("total_count", np.int64),
    "infit": ("infit", np.float64),
    "outfit": ("outfit", np.float64),
    "infit_se": ("infit_se", np.float64),
    "outfit_se": ("outfit_se", np.float64),
    "carried_shift": ("carried_shift", np.float64),
    "carried_shift_se": ("carried_shift_se", np.float64),
    "is_contradicted": ("is_contradicted", np.bool_),
    # NumPy's "not a time" is None in a list, and null in the database; and back.
    "carried_from": ("carried_from", "datetime64[D]"),
    "is_anchor": ("is_anchor", np.bool_),
    "is_updated": ("is_updated", np.bool_),
}
_ITEM_COLUMNS = (
    "partition",
    "attempt",
    "position",
    "item_id",
    "content_version",
    *_VECTORS,
    *(column for column, _ in _SCALARS.values()),
)
_DAY_COLUMNS = ("partition", "attempt", "day", "revision", "digest")
_DIFFERENCE_VALUES = ("shift", "shift_se", "mh_delta", "mh_delta_se", "adjusted_p_value")
_DIFFERENCE_COLUMNS = (
    "partition",
    "attempt",
    "position",
    "item_id",
    "content_version",
    "population_group",
    "reference_group",
    *_DIFFERENCE_VALUES,
)
_SCALE_FIELDS = (
    "fitted",
    "reason",
    "population_mean",
    "population_sd",
    "linking_slope",
    "linking_intercept",
    "log_likelihood",
    "cycles",
    "converged",
    "session_count",
    "response_count",
)


def next_attempt(engine: sa.Engine, partition: date) -> int:
    """Give the number of the next try at a night, counted from 1.

    Two runs that get the same number can't both store a state: the key refuses the second.
    """
    with engine.connect() as connection:
        newest = connection.scalar(
            sa.select(sa.func.max(calibration_states.c.attempt)).where(
                calibration_states.c.partition == partition
            )
        )
    return (newest or 0) + 1


def write_state(
    database: Transactions,
    state: CalibrationState,
    run_id: str,
    watch: LeakWatch | None = None,
) -> None:
    """Store a night's state, accepted or rejected, with its leak watch, in one transaction.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        The night has this attempt already, or there is no such run.
    """
    key = [state.partition, state.attempt]
    with database.begin() as connection:
        connection.execute(sa.insert(calibration_states).values(run_id=run_id, **_header(state)))
        if state.scales:
            connection.execute(
                sa.insert(state_scales),
                [_scale_row(state, position) for position in range(len(state.scales))],
            )
        for table, days in ((state_windows, state.window), (state_folds, state.folded)):
            copy_rows(connection, table, _DAY_COLUMNS, ([*key, *day] for day in days))
        copy_rows(connection, state_items, _ITEM_COLUMNS, _item_rows(state))
        copy_rows(connection, state_differences, _DIFFERENCE_COLUMNS, _difference_rows(state))
        if watch is not None:
            write_leak_watch(connection, state.partition, state.attempt, watch)


def _header(state: CalibrationState) -> dict[str, Any]:
    parent_partition, parent_attempt = state.parent or (None, None)
    return {name: getattr(state, name) for name in _HEADER_FIELDS} | {
        "reasons": list(state.reasons),
        "parent_partition": parent_partition,
        "parent_attempt": parent_attempt,
    }


def _scale_row(state: CalibrationState, position: int) -> dict[str, Any]:
    scale = state.scales[position]
    return {name: getattr(scale, name) for name in _SCALE_FIELDS} | {
        "partition": state.partition,
        "attempt": state.attempt,
        "position": position,
        "scale": scale.name,
        "population_groups": [asdict(group) for group in scale.groups],
        "common_start": scale.common_start,
        "screening": asdict(scale.screening),
        "released_anchors": list(scale.released_anchors),
    }


def _scale_state(row: sa.Row[Any]) -> ScaleState:
    screening: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row.screening.items()
    }
    return ScaleState(
        name=row.scale,
        **{name: getattr(row, name) for name in _SCALE_FIELDS},
        groups=tuple(GroupPopulation(**group) for group in row.population_groups),
        common_start=row.common_start,
        screening=ScreeningCounts(**screening),
        released_anchors=tuple((name, reason) for name, reason in row.released_anchors),
    )


def _item_rows(state: CalibrationState) -> Iterator[list[Any]]:
    vectors = [
        getattr(state, name).reshape(-1, math.prod(shape)) for name, shape in _VECTORS.items()
    ]
    scalars = [getattr(state, name).tolist() for name in _SCALARS]
    for position, (key, *values) in enumerate(zip(state.keys, *vectors, *scalars, strict=True)):
        yield [state.partition, state.attempt, position, *key, *values]


def _difference_rows(state: CalibrationState) -> Iterator[list[Any]]:
    for position, found in enumerate(state.differences):
        values = [getattr(found, name) for name in _DIFFERENCE_VALUES]
        names = [*found.key, found.group, found.reference]
        yield [state.partition, state.attempt, position, *names, *values]


def _item_difference(row: sa.Row[Any]) -> ItemDifference:
    return ItemDifference(
        key=(row.item_id, row.content_version),
        group=row.population_group,
        reference=row.reference_group,
        **{name: getattr(row, name) for name in _DIFFERENCE_VALUES},
    )


def read_state(
    engine: sa.Engine, partition: date, attempt: int | None = None
) -> CalibrationState | None:
    """Read a night's state, its newest attempt unless one is named; None if there is none."""
    states = calibration_states.c
    query = sa.select(calibration_states).where(states.partition == partition)
    if attempt is not None:
        query = query.where(states.attempt == attempt)
    with engine.connect() as connection:
        header = connection.execute(query.order_by(states.attempt.desc()).limit(1)).one_or_none()
        if header is None:
            return None
        scales = _rows(connection, state_scales, header, state_scales.c.position)
        window = _rows(connection, state_windows, header, state_windows.c.day)
        folded = _rows(connection, state_folds, header, state_folds.c.day)
        items = _rows(connection, state_items, header, state_items.c.position)
        order = state_differences.c.position
        differences = _rows(connection, state_differences, header, order)
    parent = (header.parent_partition, header.parent_attempt)
    return CalibrationState(
        **{name: getattr(header, name) for name in _HEADER_FIELDS},
        reasons=tuple(header.reasons),
        parent=None if header.parent_partition is None else parent,
        keys=tuple((row.item_id, row.content_version) for row in items),
        scales=tuple(map(_scale_state, scales)),
        window=_days(window),
        folded=_days(folded),
        differences=tuple(map(_item_difference, differences)),
        **_item_arrays(items),
    )


def _rows(
    connection: sa.Connection, table: sa.Table, header: sa.Row[Any], order: sa.Column[Any]
) -> list[Any]:
    own = (table.c.partition == header.partition) & (table.c.attempt == header.attempt)
    return list(connection.execute(sa.select(table).where(own).order_by(order)))


def _days(rows: list[Any]) -> tuple[tuple[date, int, str], ...]:
    return tuple((row.day, row.revision, row.digest) for row in rows)


def _item_arrays(rows: list[Any]) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        name: np.array([getattr(row, name) for row in rows], np.float64).reshape(-1, *shape)
        for name, shape in _VECTORS.items()
    }
    for name, (column, dtype) in _SCALARS.items():
        arrays[name] = np.array([getattr(row, column) for row in rows], dtype)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
