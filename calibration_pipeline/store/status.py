"""How the programme stands: its nights, its version, and what is under way. Takes no lock."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.late_answers import LateDay, late_answers
from calibration_pipeline.store.lock import LockHolder, current_holder
from calibration_pipeline.store.staleness import Staleness, read_staleness
from calibration_pipeline.store.tables import calibration_states, run_outcomes, runs, state_items


@dataclass(frozen=True)
class EndedNight:
    """A night and how its newest run ended; 'failed' where it crashed."""

    night: date
    outcome: str
    reason: str
    triggered_by: str
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class ProgrammeStatus:
    """What there is to know in the morning.

    Attributes
    ----------
    newest_night
        The newest night whose newest run is over; None before the first.
    done
        Every night that a run ended, whatever came of it, oldest first.
    running
        Who holds the calibration lock; None if nothing is under way.
    staleness
        Nights that rest on superseded states, and the version that engines read.
    late
        Answers that came for days which the newest accepted state has folded in already.
    contradicted
        Items whose carried information that state has dropped.
    """

    newest_night: EndedNight | None
    done: tuple[date, ...]
    running: LockHolder | None
    staleness: Staleness
    late: tuple[LateDay, ...]
    contradicted: tuple[ItemKey, ...]


def read_status(engine: sa.Engine, timezone: ZoneInfo) -> ProgrammeStatus:
    """Read how the programme stands; `timezone` is the one in which a day begins."""
    running = current_holder(engine)
    with engine.connect() as connection:
        newest_night = _newest_ended_night(connection, running)
        done = _nights_done(connection)
        state = _newest_accepted_state(connection)
        contradicted = _contradicted_items(connection, state) if state else ()
    folded_through = state.folded_through if state else None
    return ProgrammeStatus(
        newest_night=newest_night,
        done=done,
        running=running,
        staleness=read_staleness(engine),
        late=late_answers(engine, folded_through, timezone) if folded_through else (),
        contradicted=contradicted,
    )


def _newest_ended_night(connection: sa.Connection, running: LockHolder | None) -> EndedNight | None:
    """The newest night's newest run; one without an end has crashed, unless it is under way."""
    outcome = sa.func.coalesce(run_outcomes.c.outcome, "failed").label("outcome")
    reason = sa.func.coalesce(run_outcomes.c.reason, "the run ended before the night did")
    query = (
        sa.select(
            runs.c.partition,
            outcome,
            reason,
            runs.c.triggered_by,
            runs.c.started_at,
            run_outcomes.c.finished_at,
        )
        .outerjoin_from(runs, run_outcomes)
        .order_by(runs.c.partition.desc(), runs.c.started_at.desc())
        .limit(1)
    )
    if running:
        is_over = run_outcomes.c.run_id.is_not(None) | (runs.c.started_at < running.since)
        query = query.where(is_over)
    row = connection.execute(query).one_or_none()
    return None if row is None else EndedNight(*row)


def _nights_done(connection: sa.Connection) -> tuple[date, ...]:
    query = (
        sa.select(runs.c.partition)
        .join_from(runs, run_outcomes)
        .where(run_outcomes.c.outcome != "failed")
        .distinct()
        .order_by(runs.c.partition)
    )
    return tuple(connection.scalars(query))


def _newest_accepted_state(connection: sa.Connection) -> sa.Row[Any] | None:
    header = calibration_states.c
    query = (
        sa.select(header.partition, header.attempt, header.folded_through)
        .where(header.is_accepted)
        .order_by(header.partition.desc(), header.attempt.desc())
        .limit(1)
    )
    return connection.execute(query).one_or_none()


def _contradicted_items(connection: sa.Connection, state: sa.Row[Any]) -> tuple[ItemKey, ...]:
    item = state_items.c
    query = (
        sa.select(item.item_id, item.content_version)
        .where(item.partition == state.partition, item.attempt == state.attempt)
        .where(item.is_contradicted)
        .order_by(item.position)
    )
    return tuple((row.item_id, row.content_version) for row in connection.execute(query))
