"""Items as the night that estimated them left them: values, fit, when, and by which run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from calibration_pipeline.store.aliases import CURRENT, version_of_alias
from calibration_pipeline.store.published import one_view
from calibration_pipeline.store.tables import snapshot_items, snapshots, state_items

_ESTIMATED = ("fitted", "anchor")
"""Sources of values that the version's own night stands for; others are older, or an author's."""


@dataclass(frozen=True)
class CalibratedItem:
    """An item of a published version, with what its night found out about it.

    Attributes
    ----------
    version
        Published version with these values first.
    source
        'fitted', 'anchor', 'carried' or 'author'.
    response_count
        Answers in the window of the night.
    infit, outfit
        Mean squares; NaN without answers.
    calibrated_at
        When the version was published.
    run_id
        Of the night, in the run log.
    """

    version: int
    item_id: str
    content_version: int
    discrimination: float
    difficulty: float
    guessing: float
    discrimination_se: float
    difficulty_se: float
    guessing_se: float
    source: str
    response_count: int
    infit: float
    outfit: float
    calibrated_at: datetime
    run_id: str


_COLUMNS = (
    *(
        snapshot_items.c[name]
        for name in (
            "version", "item_id", "content_version", "discrimination", "difficulty", "guessing",
            "discrimination_se", "difficulty_se", "guessing_se", "source", "window_count",
        )
    ),
    state_items.c.infit,
    state_items.c.outfit,
    snapshots.c.published_at,
    snapshots.c.run_id,
)  # fmt: skip
_QUERY = (
    sa.select(*_COLUMNS)
    .join_from(snapshot_items, snapshots)
    .join(
        state_items,
        (state_items.c.partition == snapshots.c.partition)
        & (state_items.c.attempt == snapshots.c.attempt)
        & (state_items.c.item_id == snapshot_items.c.item_id)
        & (state_items.c.content_version == snapshot_items.c.content_version),
    )
)


def read_calibrated_items(engine: sa.Engine, version: int) -> tuple[CalibratedItem, ...]:
    """Read every item of a version, in its newest wording, by item id."""
    query = (
        _QUERY.distinct(snapshot_items.c.item_id)
        .where(snapshot_items.c.version == version)
        .order_by(snapshot_items.c.item_id, snapshot_items.c.content_version.desc())
    )
    with one_view(engine) as connection:
        return _items(connection.execute(query).all())


def newest_calibration(engine: sa.Engine, item_id: str) -> CalibratedItem | None:
    """Read the values of an item that are in force, from the version that gave them first.

    None where nothing is published, or the item's values are its author's.
    """
    newest = snapshot_items.c.version.desc()
    query = _QUERY.where(snapshot_items.c.item_id == item_id)
    with one_view(engine) as connection:
        current = version_of_alias(connection, CURRENT)
        in_force = query.where(snapshot_items.c.version == current)
        found = _items(
            connection.execute(
                in_force.order_by(snapshot_items.c.content_version.desc()).limit(1)
            ).all()
        )
        if not found or found[0].source in _ESTIMATED:
            return found[0] if found else None
        fitted = query.where(
            snapshot_items.c.version < current,
            snapshot_items.c.content_version == found[0].content_version,
            snapshot_items.c.source == "fitted",
        )
        earlier = _items(connection.execute(fitted.order_by(newest).limit(1)).all())
    return earlier[0] if found[0].source == "carried" and earlier else None


def _items(rows: Sequence[sa.Row[tuple[object, ...]]]) -> tuple[CalibratedItem, ...]:
    return tuple(CalibratedItem(*row) for row in rows)
