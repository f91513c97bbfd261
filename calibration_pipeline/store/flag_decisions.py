"""Reviewers' decisions on flags. Rows are added and never changed; the newest one counts."""

from collections.abc import Iterable
from datetime import date

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import FlagDecision, FlagEpisode, ItemKey
from calibration_pipeline.store.bank import retired_from
from calibration_pipeline.store.tables import flag_decisions


def record_decisions(
    engine: sa.Engine,
    episodes: Iterable[FlagEpisode],
    decision: str,
    *,
    night: date,
    reason: str,
    decided_by: str,
) -> None:
    """Record one decision on some flags, all of them or none.

    Parameters
    ----------
    episodes
        What it is about.
    decision
        'acknowledge', 'dismiss' or 'reopen'.
    night
        The newest night whose flags the reviewer has seen.
    reason, decided_by
        Why, and who.

    Raises
    ------
    BadInputError
        No reason was given.
    """
    if not reason.strip():
        raise BadInputError("a decision on a flag needs a reason: say why with --reason")
    rows = [
        {
            "item_id": episode.key[0],
            "content_version": episode.key[1],
            "flag_reason": episode.reason,
            "decision": decision,
            "night": night,
            "evidence": abs(episode.newest.z),
            "reason": reason,
            "decided_by": decided_by,
        }
        for episode in episodes
    ]
    with engine.begin() as connection:
        if rows:
            connection.execute(sa.insert(flag_decisions), rows)


def read_flag_decisions(
    engine: sa.Engine, *, before: date | None = None, item_id: str | None = None
) -> tuple[FlagDecision, ...]:
    """Read decisions in the order in which they were made.

    Parameters
    ----------
    before
        Those alone that hold on this night: whoever decides has seen an earlier one. All if None.
    item_id
        Of one item alone.
    """
    d = flag_decisions.c
    query = sa.select(flag_decisions).order_by(d.decision_id)
    if before is not None:
        query = query.where(d.night < before)
    if item_id is not None:
        query = query.where(d.item_id == item_id)
    with engine.connect() as connection:
        return tuple(
            FlagDecision(
                key=(row.item_id, row.content_version),
                flag_reason=row.flag_reason,
                decision=row.decision,
                night=row.night,
                evidence=row.evidence,
                reason=row.reason,
                decided_by=row.decided_by,
                decided_at=row.recorded_at,
            )
            for row in connection.execute(query)
        )


def read_retirements(engine: sa.Engine, as_of: date) -> dict[ItemKey, date]:
    """Read which items are retired on a night, and from which one on they are."""
    with engine.connect() as connection:
        return retired_from(connection, as_of)
