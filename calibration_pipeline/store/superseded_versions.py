"""Versions whose carried values come from an earlier version that isn't the one before any more.

An item without new values keeps those that the version of the night before published. Where that
version was published later, as after a crash between fit and publication, or published again with
other values, the night would say something else if it were run again. States don't show that.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import sqlalchemy as sa

from calibration_pipeline.store.stale_nights import StaleNight
from calibration_pipeline.store.tables import snapshot_items, snapshots

_VALUES = ("discrimination", "difficulty", "guessing", "covariance")


@dataclass(frozen=True)
class _Follower:
    """A night's newest version, and the newest of an earlier night: when it was made, and now."""

    night: date
    version: int
    then: int | None
    now: int
    night_now: date


def first_superseded(connection: sa.Connection) -> StaleNight | None:
    """Find the earliest night whose version would carry other values now; None if none would."""
    header = snapshots.c
    rows = connection.execute(
        sa.select(header.version, header.partition, header.content_digest).order_by(header.version)
    ).all()
    digests: dict[int | None, str] = {row.version: row.content_digest for row in rows}
    for follower in _followers([(row.version, row.partition) for row in rows]):
        if digests.get(follower.then) == digests[follower.now]:
            continue
        if _carries_other_values(connection, follower):
            return StaleNight(
                follower.night,
                f"carries values from before {follower.night_now} was published as it is now",
            )
    return None


def _followers(versions: list[tuple[int, date]]) -> list[_Follower]:
    """Compare each night's newest version with the one it was made after; oldest night first."""
    newest: dict[date, int] = {}
    nights: list[date] = []
    made_after: dict[int, int | None] = {}
    for version, night in versions:
        place = bisect_left(nights, night)
        made_after[version] = newest[nights[place - 1]] if place else None
        if night not in newest:
            insort(nights, night)
        newest[night] = version
    return [
        _Follower(night, newest[night], made_after[newest[night]], newest[before], before)
        for before, night in pairwise(nights)
    ]


def _carries_other_values(connection: sa.Connection, follower: _Follower) -> bool:
    own, before = snapshot_items.alias(), snapshot_items.alias()
    same_item = (own.c.item_id == before.c.item_id) & (
        own.c.content_version == before.c.content_version
    )
    has_values = sa.func.coalesce(before.c.source, "author") != "author"
    other_values = sa.or_(
        *(own.c[name].is_distinct_from(before.c[name]) for name in _VALUES), ~has_values
    )
    found = (
        sa.select(sa.literal(1))
        .outerjoin_from(own, before, same_item & (before.c.version == follower.now))
        .where(own.c.version == follower.version)
        .where(
            ((own.c.source == "carried") & other_values)
            | ((own.c.source == "author") & has_values)
            | ((own.c.track == "provisional") & (before.c.track == "trusted"))
        )
    )
    return bool(connection.scalar(sa.select(found.exists())))
