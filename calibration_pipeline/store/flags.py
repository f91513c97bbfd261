"""The history of flags: what accepted nights found, and what they had to judge items by.

Of a night that was run more than once its newest accepted try counts, in its newest computation.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.records import Flag, FlagNight, ItemKey, ItemNight
from calibration_pipeline.store.results import FLAG_FIELDS
from calibration_pipeline.store.tables import (
    calibration_states,
    flags,
    state_differences,
    state_evaluations,
    state_items,
)


def read_flag_history(
    engine: sa.Engine, through: date, *, only_credible: bool = True, item_id: str | None = None
) -> tuple[FlagNight, ...]:
    """Read the accepted nights up to one, oldest first, as far as episodes follow from them.

    Parameters
    ----------
    through
        The newest night to read.
    only_credible
        Leave out items and reasons that no night flagged credibly: no episode opens for them.
    item_id
        One item alone, in all of its content versions.
    """
    nights = _evaluated_nights(through).cte("nights")
    raised = _raised(nights, only_credible, item_id).cte("raised")
    with engine.connect() as connection:
        partitions = connection.scalars(sa.select(nights.c.partition).order_by("partition")).all()
        flag_rows = connection.execute(_flags_of(nights, raised)).all()
        item_rows = connection.execute(_items_of(nights, raised)).all()
    found, judged = _by_night(flag_rows), _items_by_night(item_rows)
    return tuple(FlagNight(night, tuple(found[night]), judged[night]) for night in partitions)


def newest_flagged_night(engine: sa.Engine) -> date | None:
    """Give the newest accepted night whose flags were computed; None before the first."""
    nights = _evaluated_nights(date.max).subquery()
    with engine.connect() as connection:
        newest: date | None = connection.scalar(sa.select(sa.func.max(nights.c.partition)))
    return newest


def _evaluated_nights(through: date) -> sa.Select[Any]:
    """One row per accepted night with flags: partition, attempt, evaluation_id."""
    e, s = state_evaluations.c, calibration_states.c
    own_state = (s.partition == e.partition) & (s.attempt == e.attempt)
    return (
        sa.select(e.partition, e.attempt, e.evaluation_id)
        .distinct(e.partition)
        .join_from(state_evaluations, calibration_states, own_state)
        .where(e.kind == "flags", s.is_accepted, e.partition <= through)
        .order_by(e.partition, e.attempt.desc(), e.evaluation_id.desc())
    )


def _raised(nights: sa.CTE, only_credible: bool, item_id: str | None) -> sa.Select[Any]:
    """Items and reasons that the history is about."""
    f = flags.c
    query = (
        sa.select(f.item_id, f.content_version, f.reason)
        .distinct()
        .where(f.evaluation_id == nights.c.evaluation_id)
    )
    if only_credible:
        query = query.where(f.is_credible)
    return query if item_id is None else query.where(f.item_id == item_id)


def _flags_of(nights: sa.CTE, raised: sa.CTE) -> sa.Select[Any]:
    f, r = flags.c, raised.c
    return (
        sa.select(nights.c.partition, flags)
        .where(
            f.evaluation_id == nights.c.evaluation_id,
            f.item_id == r.item_id,
            f.content_version == r.content_version,
            f.reason == r.reason,
        )
        .order_by(nights.c.partition, f.item_id, f.content_version, f.reason)
    )


def _items_of(nights: sa.CTE, raised: sa.CTE) -> sa.Select[Any]:
    keys = sa.select(raised.c.item_id, raised.c.content_version).distinct().subquery()
    i, d = state_items.c, state_differences.c
    is_compared = sa.exists().where(
        d.partition == i.partition,
        d.attempt == i.attempt,
        d.item_id == i.item_id,
        d.content_version == i.content_version,
    )
    return sa.select(
        i.partition, i.item_id, i.content_version,
        i.window_count, i.is_updated, i.is_anchor, is_compared.label("is_compared"),
    ).where(
        i.partition == nights.c.partition,
        i.attempt == nights.c.attempt,
        i.item_id == keys.c.item_id,
        i.content_version == keys.c.content_version,
    )  # fmt: skip


def _by_night(rows: Sequence[sa.Row[Any]]) -> defaultdict[date, list[Flag]]:
    found: defaultdict[date, list[Flag]] = defaultdict(list)
    for row in rows:
        values = (getattr(row, name) for name in FLAG_FIELDS)
        found[row.partition].append(Flag((row.item_id, row.content_version), *values))
    return found


def _items_by_night(rows: Sequence[sa.Row[Any]]) -> defaultdict[date, dict[ItemKey, ItemNight]]:
    found: defaultdict[date, dict[ItemKey, ItemNight]] = defaultdict(dict)
    for row in rows:
        night = ItemNight(row.window_count, row.is_updated, row.is_anchor, row.is_compared)
        found[row.partition][row.item_id, row.content_version] = night
    return found
