"""Leak watches: append-only, one per state, bit by bit as they were computed.

Detectors at zero have no rows: about half of them, and the widest rows that there are.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from calibration_pipeline.records import LeakWatch
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.tables import leak_detectors, leak_items, leak_watches

_KEY = ("partition", "attempt")
_ITEM_FIELDS = ("alarm_day", "alarm_share", "left_out_from", "times", "traffic")
_ITEM_COLUMNS = (*_KEY, "position", "item_id", "content_version", *_ITEM_FIELDS)
_DETECTOR_FIELDS = (
    "log_ratio",
    "onset",
    "answers",
    "parameters",
    "covariance",
    "time_mean",
    "time_mean_se",
    "time_variance",
    "null_weights",
    "leak_weights",
)
_DETECTOR_COLUMNS = (*_KEY, "item_id", "content_version", "share", "position", *_DETECTOR_FIELDS)


def write_leak_watch(
    connection: sa.Connection, partition: date, attempt: int, watch: LeakWatch
) -> None:
    """Store a state's leak watch, in the transaction that stores the state."""
    constants = watch.false_alarm_constants
    connection.execute(
        sa.insert(leak_watches).values(
            partition=partition,
            attempt=attempt,
            settings_digest=watch.settings_digest,
            n_shares=watch.log_ratio.shape[1],
            n_nodes=watch.null_weights.shape[2],
            false_alarm_constants=constants.ravel().tolist(),
        )
    )
    night = (partition, attempt)
    copy_rows(connection, leak_items, _ITEM_COLUMNS, _item_rows(watch, night))
    copy_rows(connection, leak_detectors, _DETECTOR_COLUMNS, _detector_rows(watch, night))


def _item_rows(watch: LeakWatch, night: tuple[date, int]) -> Iterator[list[Any]]:
    columns = [_values(getattr(watch, name)) for name in _ITEM_FIELDS]
    for position, (key, *values) in enumerate(zip(watch.keys, *columns, strict=True)):
        yield [*night, position, *key, *values]


def _detector_rows(watch: LeakWatch, night: tuple[date, int]) -> Iterator[list[Any]]:
    item, share = np.nonzero(watch.log_ratio > 0)
    chosen = {name: getattr(watch, name)[item, share] for name in _DETECTOR_FIELDS}
    chosen["covariance"] = chosen["covariance"].reshape(len(item), 9)
    columns = [_values(values) for values in chosen.values()]
    rows = zip(item.tolist(), share.tolist(), *columns, strict=True)
    for position, number, *values in rows:
        yield [*night, *watch.keys[position], number, position, *values]


def _values(column: NDArray[Any]) -> Sequence[Any]:
    """Give a column's values by row: Python's, and vectors as they are."""
    values: list[Any] = list(column) if column.ndim > 1 else column.tolist()
    return values


def read_leak_watch(engine: sa.Engine, partition: date, attempt: int) -> LeakWatch | None:
    """Read a state's leak watch; None if it has none."""
    with engine.connect() as connection:
        header = connection.execute(
            sa.select(leak_watches).where(_of(leak_watches, partition, attempt))
        ).one_or_none()
        if header is None:
            return None
        items = connection.execute(
            sa.select(leak_items)
            .where(_of(leak_items, partition, attempt))
            .order_by(leak_items.c.position)
        ).all()
        detectors = connection.execute(
            sa.select(leak_detectors).where(_of(leak_detectors, partition, attempt))
        ).all()
    n, days = len(items), "datetime64[D]"
    return LeakWatch(
        keys=tuple((row.item_id, row.content_version) for row in items),
        alarm_day=np.array([row.alarm_day for row in items], days),
        alarm_share=np.array([row.alarm_share for row in items], np.int64),
        left_out_from=np.array([row.left_out_from for row in items], days),
        times=np.array([row.times for row in items], float).reshape(n, 4),
        traffic=np.array([row.traffic for row in items], float).reshape(n, 6),
        **_detector_arrays(detectors, (n, header.n_shares), header.n_nodes),
        settings_digest=header.settings_digest,
        false_alarm_constants=np.array(header.false_alarm_constants, float).reshape(2, -1),
    )


def _detector_arrays(
    rows: Sequence[sa.Row[Any]], shape: tuple[int, int], n_nodes: int
) -> dict[str, Any]:
    """Put the rows in their places among detectors at zero."""
    arrays: dict[str, Any] = {
        "log_ratio": np.zeros(shape),
        "onset": np.full(shape, "NaT", "datetime64[D]"),
        "answers": np.zeros(shape, np.int64),
        "parameters": np.full((*shape, 3), np.nan),
        "covariance": np.full((*shape, 9), np.nan),
        "time_mean": np.full(shape, np.nan),
        "time_mean_se": np.full(shape, np.nan),
        "time_variance": np.full(shape, np.nan),
        "null_weights": np.zeros((*shape, n_nodes)),
        "leak_weights": np.zeros((*shape, n_nodes)),
    }
    if rows:
        at = ([row.position for row in rows], [row.share for row in rows])
        for name, array in arrays.items():
            array[at] = np.array([getattr(row, name) for row in rows], array.dtype)
    arrays["covariance"] = arrays["covariance"].reshape(*shape, 3, 3)
    return arrays


def _of(table: sa.Table, partition: date, attempt: int) -> sa.ColumnElement[bool]:
    return (table.c.partition == partition) & (table.c.attempt == attempt)
