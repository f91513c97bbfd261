"""How the programme stands: its nights, its version, and what is under way. Takes no lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.errors import SourceError
from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.aliases import CURRENT
from calibration_pipeline.store.deletions import nights_touched_by_erasure
from calibration_pipeline.store.drafts import StoredDraft, list_drafts
from calibration_pipeline.store.late_answers import LateDay, late_answers
from calibration_pipeline.store.lock import LockHolder, current_holder
from calibration_pipeline.store.publication_switch import PublicationSwitch, read_switch
from calibration_pipeline.store.runs import ABANDONED, TELL_NOTHING
from calibration_pipeline.store.sources.base import ResponseSource
from calibration_pipeline.store.sources.native import NATIVE
from calibration_pipeline.store.staleness import Staleness, read_staleness
from calibration_pipeline.store.tables import (
    aliases,
    calibration_states,
    run_outcomes,
    runs,
    snapshots,
    state_items,
    state_scales,
)


@dataclass(frozen=True)
class EndedNight:
    """A night and how its newest run ended; 'failed' where it crashed.

    `has_fit`: whether its newest try was fitted, so that a rejected one could be accepted.
    """

    night: date
    outcome: str
    reason: str
    triggered_by: str
    started_at: datetime
    finished_at: datetime | None
    has_fit: bool = False


@dataclass(frozen=True)
class FailedDraft:
    """A version that failed its audit and is kept to be looked at."""

    draft_id: int
    night: date
    rules: tuple[str, ...]


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
    published_at
        When the version that engines read was published; None before the first.
    switch
        The newest decision on publication's switch; None if there was none.
    failed_drafts
        Versions that failed their audit, newest first.
    erased_nights
        Nights that were computed with answers which have been erased since, oldest first.
    unfinished
        Nights whose newest run ended before they did, oldest first.
    source_problem
        Why the source of answers can't be read; empty where it can.
    source
        What nights read, and what was noticed there; empty for the store's own log.
    bad_days
        What is to be said of days in the newest night's window that have too many bad rows.
    """

    newest_night: EndedNight | None
    done: tuple[date, ...]
    running: LockHolder | None
    staleness: Staleness
    late: tuple[LateDay, ...]
    contradicted: tuple[ItemKey, ...]
    published_at: datetime | None = None
    switch: PublicationSwitch | None = None
    failed_drafts: tuple[FailedDraft, ...] = ()
    erased_nights: tuple[date, ...] = ()
    unfinished: tuple[date, ...] = ()
    source_problem: str = ""
    source: str = ""
    bad_days: tuple[str, ...] = ()


def read_status(
    engine: sa.Engine, timezone: ZoneInfo, source: ResponseSource = NATIVE
) -> ProgrammeStatus:
    """Read how the programme stands; `timezone` is the one in which a day begins.

    A source that can't be read is a problem to tell, not a reason to tell nothing.
    """
    running = current_holder(engine)
    with engine.connect() as connection:
        newest_night = _newest_ended_night(connection, running)
        done = _nights_done(connection)
        state = _newest_accepted_state(connection)
        contradicted = _contradicted_items(connection, state) if state else ()
        published_at = _published_at(connection)
        touched = nights_touched_by_erasure(connection)
        unfinished = _unfinished_nights(connection, running)
    late, source_problem = _late(engine, state.folded_through if state else None, timezone, source)
    return ProgrammeStatus(
        newest_night=newest_night,
        done=done,
        running=running,
        staleness=read_staleness(engine),
        late=late,
        contradicted=contradicted,
        published_at=published_at,
        switch=read_switch(engine),
        failed_drafts=tuple(map(_failed_draft, _failed(list_drafts(engine)))),
        erased_nights=tuple(sorted({night.partition for night in touched})),
        unfinished=unfinished,
        source_problem=source_problem,
    )


def _late(
    engine: sa.Engine, folded_through: date | None, timezone: ZoneInfo, source: ResponseSource
) -> tuple[tuple[LateDay, ...], str]:
    if folded_through is None:
        return (), ""
    try:
        return late_answers(engine, folded_through, timezone, source), ""
    except SourceError as error:
        return (), str(error)


def _newest_ended_night(connection: sa.Connection, running: LockHolder | None) -> EndedNight | None:
    """The newest night's newest run; one without an end has crashed, unless it is under way."""
    outcome = sa.func.coalesce(run_outcomes.c.outcome, "failed")
    reason = sa.func.coalesce(run_outcomes.c.reason, ABANDONED)
    query = (
        sa.select(
            runs.c.partition,
            outcome.label("outcome"),
            reason.label("reason"),
            runs.c.triggered_by,
            runs.c.started_at,
            run_outcomes.c.finished_at,
        )
        .outerjoin_from(runs, run_outcomes)
        .where(outcome != "partial", _is_over(running))
        .order_by(runs.c.partition.desc(), runs.c.started_at.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return EndedNight(
        row.partition,
        row.outcome,
        row.reason,
        row.triggered_by,
        row.started_at,
        row.finished_at,
        _has_fit(connection, row.partition),
    )


def _has_fit(connection: sa.Connection, night: date) -> bool:
    header, scale = calibration_states.c, state_scales.c
    newest = sa.select(sa.func.max(header.attempt)).where(header.partition == night)
    of_newest_try = (scale.partition == night) & (scale.attempt == newest.scalar_subquery())
    return bool(connection.scalar(sa.select(sa.exists().where(of_newest_try, scale.fitted))))


def _published_at(connection: sa.Connection) -> datetime | None:
    query = (
        sa.select(snapshots.c.published_at)
        .join(aliases, aliases.c.version == snapshots.c.version)
        .where(aliases.c.alias == CURRENT)
    )
    return connection.scalar(query)


def _failed(drafts: Sequence[StoredDraft]) -> list[StoredDraft]:
    return [draft for draft in drafts if draft.state == "failed"]


def _failed_draft(stored: StoredDraft) -> FailedDraft:
    rules = tuple(finding.rule for finding in stored.findings if not finding.passed)
    return FailedDraft(stored.draft_id, stored.draft.partition, rules)


def _is_over(running: LockHolder | None) -> sa.ColumnElement[bool]:
    """Whether a run has ended, or has crashed: whoever holds the lock has begun after it."""
    if running is None:
        return sa.true()
    return run_outcomes.c.run_id.is_not(None) | (runs.c.started_at < running.since)


def _unfinished_nights(connection: sa.Connection, running: LockHolder | None) -> tuple[date, ...]:
    outcome = sa.func.coalesce(run_outcomes.c.outcome, "failed")
    newest = (
        sa.select(runs.c.partition, outcome.label("outcome"))
        .distinct(runs.c.partition)
        .outerjoin_from(runs, run_outcomes)
        .where(outcome != "partial", _is_over(running))
        .order_by(runs.c.partition, runs.c.started_at.desc())
    )
    found = newest.subquery()
    query = sa.select(found.c.partition).where(found.c.outcome == "failed")
    return tuple(connection.scalars(query.order_by(found.c.partition)))


def _nights_done(connection: sa.Connection) -> tuple[date, ...]:
    query = (
        sa.select(runs.c.partition)
        .join_from(runs, run_outcomes)
        .where(run_outcomes.c.outcome.not_in(TELL_NOTHING))
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
