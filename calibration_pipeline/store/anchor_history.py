"""Every night's shadow refit of an anchor."""

import math
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.tables import calibration_states, state_items


@dataclass(frozen=True)
class AnchorNight:
    """An item on one accepted night.

    Attributes
    ----------
    is_anchor
        It was held at its reference; `difficulty` is that, and the shadow values are what the
        night's window alone says of it. Of a free item both are its estimate.
    shadow_se
        Standard error of the shadow difficulty.
    window_count
        Answers in the window.
    """

    night: date
    attempt: int
    anchor_set_id: int | None
    is_anchor: bool
    discrimination: float
    difficulty: float
    shadow_discrimination: float
    shadow_difficulty: float
    shadow_se: float
    window_count: int

    @property
    def shift(self) -> float:
        """How far the window alone puts the difficulty from where it is held."""
        return self.shadow_difficulty - self.difficulty


def read_anchor_history(
    engine: sa.Engine, key: ItemKey, *, since: date | None = None
) -> tuple[AnchorNight, ...]:
    """Read an item's accepted nights, the oldest first; empty for an item without any.

    Parameters
    ----------
    since
        First night to read; all of them if None.
    """
    s, i = calibration_states.c, state_items.c
    query = (
        sa.select(
            s.partition, s.attempt, s.anchor_set_id, i.is_anchor, i.parameters,
            i.shadow_parameters, i.covariance, i.window_count,
        )
        .distinct(s.partition)
        .join_from(
            calibration_states,
            state_items,
            (s.partition == i.partition) & (s.attempt == i.attempt),
        )
        .where(s.is_accepted, i.item_id == key[0], i.content_version == key[1])
        .order_by(s.partition, s.attempt.desc())
    )  # fmt: skip
    if since is not None:
        query = query.where(s.partition >= since)
    with engine.connect() as connection:
        return tuple(
            AnchorNight(
                night=row.partition,
                attempt=row.attempt,
                anchor_set_id=row.anchor_set_id,
                is_anchor=row.is_anchor,
                discrimination=row.parameters[0],
                difficulty=row.parameters[1],
                shadow_discrimination=row.shadow_parameters[0],
                shadow_difficulty=row.shadow_parameters[1],
                shadow_se=math.sqrt(max(row.covariance[4], 0.0)),
                window_count=row.window_count,
            )
            for row in connection.execute(query)
        )


def newest_version_of(engine: sa.Engine, item_id: str) -> int | None:
    """Give the highest content version of an item that any night knows; None for none."""
    newest: int | None
    with engine.connect() as connection:
        newest = connection.scalar(
            sa.select(sa.func.max(state_items.c.content_version)).where(
                state_items.c.item_id == item_id
            )
        )
    return newest
