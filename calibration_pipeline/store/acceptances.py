"""Rejected fits that a person has accepted all the same. Rows are added and never changed."""

from datetime import date

import sqlalchemy as sa

from calibration_pipeline.records import NightAcceptance
from calibration_pipeline.store.tables import night_acceptances


def record_acceptance(engine: sa.Engine, acceptance: NightAcceptance) -> NightAcceptance:
    """Record a decision; of several on the same result the first one stands, and is given back."""
    with engine.begin() as connection:
        known = _find(connection, acceptance.partition, acceptance.state_digest)
        if known is None:
            connection.execute(
                sa.insert(night_acceptances).values(
                    partition=acceptance.partition,
                    state_digest=acceptance.state_digest,
                    reason=acceptance.reason,
                    decided_by=acceptance.decided_by,
                )
            )
    return known or acceptance


def read_acceptance(
    engine: sa.Engine, partition: date, state_digest: str
) -> NightAcceptance | None:
    """Read the decision on a night's rejected result; None if nobody has accepted it."""
    with engine.connect() as connection:
        return _find(connection, partition, state_digest)


def _find(connection: sa.Connection, partition: date, state_digest: str) -> NightAcceptance | None:
    decision = night_acceptances.c
    # The oldest: a later one must not change the bytes of a night that is run again.
    query = (
        sa.select(decision.partition, decision.state_digest, decision.reason, decision.decided_by)
        .where(decision.partition == partition, decision.state_digest == state_digest)
        .order_by(decision.acceptance_id)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else NightAcceptance(*row)
