"""Anchor sets as people deal with them: proposed, listed, read and put in force."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.errors import AnchorSetError, BadInputError
from calibration_pipeline.records import AnchorCandidate, AnchorProposal, ItemKey
from calibration_pipeline.store.anchors import (
    StoredAnchor,
    store_activation,
    store_set,
    stored_anchors,
)
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.tables import (
    anchor_activations,
    anchor_candidates,
    anchor_set_items,
    anchor_sets,
    calibration_states,
    run_outcomes,
    runs,
)
from calibration_pipeline.store.turns import Turn, wait_for_turn

_CANDIDATE_COLUMNS = tuple(field.name for field in fields(AnchorCandidate) if field.name != "key")
IMPORTED, SELECTED = "imported", "selected"


@dataclass(frozen=True)
class Activation:
    """A set put in force from a night on; an import's has no person and begins with everything.

    `effective_from` is None for the beginning of all nights.
    """

    anchor_set_id: int
    effective_from: date | None
    reason: str
    decided_by: str | None
    recorded_at: datetime


@dataclass(frozen=True)
class StoredAnchorSet:
    """A set and what became of it.

    Attributes
    ----------
    origin
        'imported' or 'selected'.
    night, proposed_by, settings, remarks
        Of a selected set: the night of the state that it rests on, who asked for it, by which
        settings, and what the selection had to say by scale. None or empty of an imported one.
    activations
        All of them, the latest decision last; a set without any is a proposal.
    """

    anchor_set_id: int
    origin: str
    digest: str
    anchor_count: int
    recorded_at: datetime
    night: date | None
    proposed_by: str | None
    settings: Mapping[str, Any]
    remarks: Mapping[str, str]
    activations: tuple[Activation, ...]


def propose_set(
    engine: sa.Engine, proposal: AnchorProposal, *, proposed_by: str, settings: Mapping[str, Any]
) -> int:
    """Store a selected set with the verdict on every item; no night uses it before `activate`.

    Parameters
    ----------
    settings
        By which it was selected.

    Returns
    -------
    int
        The set's number.
    """
    anchors = {
        key: StoredAnchor(tuple(values), tuple(error.ravel().tolist()) if error.any() else None)
        for key, values, error in zip(
            proposal.keys, proposal.parameters.tolist(), proposal.covariance, strict=True
        )
    }
    with engine.begin() as connection:
        set_id = store_set(
            connection,
            anchors,
            origin=SELECTED,
            night=proposal.night,
            proposed_by=proposed_by,
            settings=dict(settings),
            remarks=proposal.remarks,
        )
        copy_rows(
            connection,
            anchor_candidates,
            ("anchor_set_id", "item_id", "content_version", *_CANDIDATE_COLUMNS),
            (
                [set_id, *candidate.key, *astuple(candidate)[1:]]
                for candidate in proposal.candidates
            ),
        )
    return set_id


def list_sets(engine: sa.Engine) -> tuple[StoredAnchorSet, ...]:
    """Read all sets, the newest first."""
    counted = (
        sa.select(sa.func.count())
        .where(anchor_set_items.c.anchor_set_id == anchor_sets.c.anchor_set_id)
        .scalar_subquery()
    )
    query = sa.select(anchor_sets, counted.label("anchor_count"))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(anchor_sets.c.anchor_set_id.desc())).all()
        activations = _activations(connection)
    return tuple(
        StoredAnchorSet(
            anchor_set_id=row.anchor_set_id,
            origin=row.origin,
            digest=row.digest,
            anchor_count=row.anchor_count,
            recorded_at=row.recorded_at,
            night=row.night,
            proposed_by=row.proposed_by,
            settings=row.settings or {},
            remarks=row.remarks or {},
            activations=tuple(a for a in activations if a.anchor_set_id == row.anchor_set_id),
        )
        for row in rows
    )


def _activations(connection: sa.Connection) -> list[Activation]:
    a = anchor_activations.c
    start = sa.case((sa.func.isfinite(a.effective_from), a.effective_from))
    query = sa.select(a.anchor_set_id, start, a.reason, a.decided_by, a.recorded_at)
    return [Activation(*row) for row in connection.execute(query.order_by(a.activation_id))]


def read_set(engine: sa.Engine, set_id: int) -> StoredAnchorSet:
    """Read one set's header.

    Raises
    ------
    BadInputError
        There is no such set.
    """
    found = [stored for stored in list_sets(engine) if stored.anchor_set_id == set_id]
    if not found:
        raise BadInputError(
            f"there is no anchor set {set_id}: give a number that `calibrate anchors list` shows"
        )
    return found[0]


def read_anchors(engine: sa.Engine, set_id: int) -> dict[ItemKey, StoredAnchor]:
    """Read a set's anchors with what they are held at, in order of their keys."""
    with engine.connect() as connection:
        found = stored_anchors(connection, set_id)
    return {key: found[key] for key in sorted(found)}


def read_candidates(engine: sa.Engine, set_id: int) -> tuple[AnchorCandidate, ...]:
    """Read what the selection of a set said of every item; empty for an imported set."""
    query = sa.select(anchor_candidates).where(anchor_candidates.c.anchor_set_id == set_id)
    with engine.connect() as connection:
        found = [
            AnchorCandidate(
                (row.item_id, row.content_version),
                **{name: getattr(row, name) for name in _CANDIDATE_COLUMNS},
            )
            for row in connection.execute(query)
        ]
    return tuple(sorted(found, key=lambda candidate: candidate.key))


def activate_set(
    engine: sa.Engine,
    set_id: int,
    *,
    reason: str,
    decided_by: str,
    effective_from: date | None = None,
) -> date:
    """Put a set in force from a night on, and give that night.

    Nights before it keep the set that they had, so that running one of them again gives the same
    bytes: a night that was calibrated with another set can't get this one.

    Parameters
    ----------
    effective_from
        The night after the newest one that has been calibrated, or is under way, if None.

    Raises
    ------
    BadInputError
        There is no such set, no reason, or the night is one that was calibrated already.
    AnchorSetError
        No night has been calibrated and none was named, or the set is in force from then on.
    """
    if not reason.strip():
        raise BadInputError("activating an anchor set needs a reason: say why with --reason")
    read_set(engine, set_id)
    with engine.begin() as connection:
        wait_for_turn(connection, Turn.BANK_IMPORT)  # an import changes sets, too
        newest = _newest_night(connection)
        if effective_from is None and newest is None:
            raise AnchorSetError(
                "no night has been calibrated yet, so there is no next one: name the first night "
                "that the set is for with --from"
            )
        start = effective_from or (newest or date.min) + timedelta(days=1)
        if newest is not None and start <= newest:
            raise BadInputError(
                f"the night {start} has been calibrated, or is under way, with another set, which "
                f"it keeps: name a later one than {newest} with --from, or leave it out"
            )
        if _last_decision(connection, start) == set_id:
            raise AnchorSetError(
                f"anchor set {set_id} is in force from {start} on already: nothing to do"
            )
        store_activation(connection, set_id, start, reason, decided_by)
    return start


def next_night(engine: sa.Engine) -> date | None:
    """Give the night after the newest that is calibrated or under way; None before the first."""
    with engine.connect() as connection:
        newest = _newest_night(connection)
    return None if newest is None else newest + timedelta(days=1)


def _newest_night(connection: sa.Connection) -> date | None:
    """The newest night that has a state, or that a run is working on."""
    is_open = ~sa.exists().where(run_outcomes.c.run_id == runs.c.run_id)
    nights = (
        connection.scalar(sa.select(sa.func.max(calibration_states.c.partition))),
        connection.scalar(sa.select(sa.func.max(runs.c.partition)).where(is_open)),
    )
    return max((night for night in nights if night is not None), default=None)


def _last_decision(connection: sa.Connection, start: date) -> int | None:
    """The set in force on a night, if no other one has been decided on for a later night."""
    a = anchor_activations.c
    if connection.scalar(sa.select(sa.func.count()).where(a.effective_from > start)):
        return None
    return connection.scalar(
        sa.select(a.anchor_set_id)
        .where(a.effective_from <= start)
        .order_by(a.effective_from.desc(), a.activation_id.desc())
        .limit(1)
    )
