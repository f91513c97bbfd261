"""Advisory locks for work that is done by one at a time.

LOCK TABLE would do the same, but asks for a privilege to change rows, and the roles that extract
and import have none on tables that are append-only (docs/roles.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import sqlalchemy as sa

from calibration_pipeline.errors import DatabaseUnavailableError


class Turn(IntEnum):
    """What is done by one at a time. Advisory locks share one number space: ours begin "cali"."""

    EXTRACTION = 0x63616C69_00000001
    BANK_IMPORT = 0x63616C69_00000002
    RESPONSE_IMPORT = 0x63616C69_00000003
    ALIAS_MOVE = 0x63616C69_00000004
    EXPOSURE_CONTROL = 0x63616C69_00000005
    ITEM_PRIORS = 0x63616C69_00000006


def wait_for_turn(connection: sa.Connection, turn: Turn) -> None:
    """Wait until nobody else does this, and keep others out until the transaction ends.

    For transactions that are READ COMMITTED: their next statement sees what the others did.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int(turn))))


@contextmanager
def taking_turns(connection: sa.Connection, turn: Turn) -> Iterator[None]:
    """Wait until nobody else does this, and keep others out until the block ends.

    For REPEATABLE READ: such a transaction sees the database as of its first statement, which must
    not be the one that waits. So the lock is the session's, and transactions begin in the block.
    """
    connection.execute(sa.select(sa.func.pg_advisory_lock(int(turn))))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        # A connection that was cut has let go of the lock already.
        with suppress(sa.exc.DBAPIError, DatabaseUnavailableError):
            connection.execute(sa.select(sa.func.pg_advisory_unlock(int(turn))))
            connection.commit()
