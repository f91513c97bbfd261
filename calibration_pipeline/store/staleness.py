"""What is stale in the database, whether engines read it, and what rebuilds it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from textwrap import shorten
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.snapshots import CURRENT
from calibration_pipeline.store.stale_nights import (
    AcceptedState,
    StaleNight,
    StateKey,
    stale_nights,
    with_cause,
)
from calibration_pipeline.store.superseded_versions import first_superseded
from calibration_pipeline.store.tables import (
    aliases,
    calibration_states,
    snapshots,
    state_scales,
)

_REASON_LENGTH = 200
"""Characters of a rejection's reason that one line has room for."""


@dataclass(frozen=True)
class CurrentVersion:
    """The version that engines read, and why it rests on something superseded ("" if not)."""

    version: int
    night: date
    stale_because: str


@dataclass(frozen=True)
class Staleness:
    """The stale nights of a programme, oldest first, and what rebuilds them.

    Attributes
    ----------
    nights
        The first stale night and every accepted one after it.
    current
        The version that engines read; None before the first publication.
    rejected_because
        Why the newest try to rebuild the first stale night was rejected, shortened; an empty string
        if none was. Until a try is accepted, that night and all later ones stay stale.
    """

    nights: tuple[StaleNight, ...]
    current: CurrentVersion | None
    rejected_because: str = ""

    @property
    def command(self) -> str:
        """What rebuilds the stale nights; only where there are any."""
        return f"calibrate backfill --from {self.nights[0].night}"

    def since(self, day: date) -> tuple[StaleNight, ...]:
        """The stale nights from a day on."""
        return tuple(stale for stale in self.nights if stale.night >= day)

    def describe(self, since: date = date.min) -> str:
        """Say in one line which nights are stale, why, and what rebuilds them.

        Parameters
        ----------
        since
            Earlier nights are passed over; an empty string if no other one is stale.
        """
        chosen = [stale.night for stale in self.since(since)]
        if not chosen:
            return ""
        which = (
            f"{chosen[0]} is stale"
            if len(chosen) == 1
            else f"{len(chosen)} nights from {chosen[0]} to {chosen[-1]} are stale"
        )
        cause = self.nights[0]
        parts = [f"{which}: {cause.night} {cause.reason}"]
        if self.rejected_because:
            parts.append(f"running {cause.night} again was rejected ({self.rejected_because})")
        if self.current and self.current.stale_because:
            parts.append(f"`current` stands at {self.current.night}, which is stale")
        return "; ".join([*parts, self._remedy()])

    def _remedy(self) -> str:
        if not self.rejected_because:
            return f"`{self.command}` rebuilds them"
        return (
            f"mend the settings, then `{self.command}` rebuilds them, or mend the answers and add "
            "`--refresh`"
        )


def read_staleness(engine: sa.Engine, after: Sequence[AcceptedState] = ()) -> Staleness:
    """Find the stale nights; reads the headers of states, never their items.

    Parameters
    ----------
    after
        States that a dry run would store next.
    """
    with engine.connect() as connection:
        states = [*_accepted_states(connection), *after]
        found = with_cause(stale_nights(states), first_superseded(connection), states)
        return Staleness(
            nights=found,
            current=_current(connection, states, found),
            rejected_because=_rejection(connection, states, found[0].night) if found else "",
        )


def _accepted_states(connection: sa.Connection) -> list[AcceptedState]:
    """Read all accepted states, oldest record first; the primary keys serve the join."""
    header, scale = calibration_states.c, state_scales.c
    is_linked = (scale.linking_slope != 1.0) | (scale.linking_intercept != 0.0)
    query = (
        sa.select(
            header.partition,
            header.attempt,
            header.digest,
            header.parent_partition,
            header.parent_attempt,
            _scales_where(scale.fitted).label("fitted"),
            _scales_where(scale.fitted & is_linked).label("linked"),
        )
        .outerjoin_from(
            calibration_states,
            state_scales,
            (scale.partition == header.partition) & (scale.attempt == header.attempt),
        )
        .where(header.is_accepted)
        .group_by(header.partition, header.attempt)
        .order_by(header.recorded_at, header.partition, header.attempt)
    )
    return [
        AcceptedState(
            key=(row.partition, row.attempt),
            digest=row.digest,
            parent=_parent(row),
            fitted=frozenset(row.fitted),
            linked=frozenset(row.linked),
        )
        for row in connection.execute(query)
    ]


def _scales_where(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    names = sa.func.array_agg(state_scales.c.scale).filter(condition)
    return sa.func.coalesce(names, sa.literal([], postgresql.ARRAY(sa.Text)))


def _parent(row: sa.Row[Any]) -> StateKey | None:
    return None if row.parent_partition is None else (row.parent_partition, row.parent_attempt)


def _rejection(connection: sa.Connection, states: Sequence[AcceptedState], night: date) -> str:
    """Why a stale night's newest try was rejected; an empty string if it was not.

    A try that started from another state than a new one would says nothing of that.
    """
    header = calibration_states.c
    newest_try = connection.execute(
        sa.select(
            header.is_accepted, header.reasons, header.parent_partition, header.parent_attempt
        )
        .where(header.partition == night)
        .order_by(header.attempt.desc())
        .limit(1)
    ).one()
    if newest_try.is_accepted:
        return ""
    digests = {state.key: state.digest for state in states}
    started_from = _parent(newest_try)
    parent = max((key for key in digests if key[0] < night), default=None)
    if (started_from and digests[started_from]) != (parent and digests[parent]):
        return ""
    reason = "; ".join(newest_try.reasons)
    return shorten(reason, _REASON_LENGTH, placeholder=" …") or "no reason was recorded"


def _current(
    connection: sa.Connection, states: Sequence[AcceptedState], found: Iterable[StaleNight]
) -> CurrentVersion | None:
    query = (
        sa.select(snapshots.c.version, snapshots.c.partition, snapshots.c.attempt)
        .join(aliases, aliases.c.version == snapshots.c.version)
        .where(aliases.c.alias == CURRENT)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    digests = {state.key: state.digest for state in states}
    newest = [state for state in states if state.night == row.partition]
    reason = next((stale.reason for stale in found if stale.night == row.partition), "")
    if not reason and newest[-1].digest != digests[row.partition, row.attempt]:
        reason = "was run again since, and its new result was not published"
    return CurrentVersion(row.version, row.partition, reason)
