"""Names that point at a version: by moving one, a version comes into force or goes out of it."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.errors import BadInputError, PublicationConflictError
from calibration_pipeline.store.tables import alias_moves, aliases, snapshots
from calibration_pipeline.store.turns import Turn, wait_for_turn

CURRENT = "current"
"""What the test engine reads."""


@dataclass(frozen=True)
class AliasMove:
    """One move of an alias. `run_id` is None where a person moved it."""

    alias: str
    from_version: int | None
    to_version: int
    moved_by: str
    reason: str
    run_id: str | None
    moved_at: datetime


def current_version(engine: sa.Engine, alias: str = CURRENT) -> int | None:
    """Give the version that an alias points at; None before the first publication."""
    with engine.connect() as connection:
        return version_of_alias(connection, alias)


def version_of_alias(connection: sa.Connection, alias: str) -> int | None:
    """Give the version that an alias points at, as the transaction sees it."""
    return connection.scalar(sa.select(aliases.c.version).where(aliases.c.alias == alias))


def take_turn(connection: sa.Connection) -> None:
    """Wait until nobody else moves or freezes an alias, and keep others out until the end.

    Publishing, promoting and freezing take turns; readers never wait for any of them.
    """
    wait_for_turn(connection, Turn.ALIAS_MOVE)


def move_alias(
    connection: sa.Connection,
    alias: str,
    version: int,
    *,
    expected: int | None,
    moved_by: str,
    reason: str,
    otherwise: str,
    run_id: str | None = None,
) -> None:
    """Compare and swap, and log the move; call `take_turn` first.

    Parameters
    ----------
    expected
        What the alias must point at; None: it must not be there yet.
    otherwise
        What follows from a conflict and what to do, for its message.

    Raises
    ------
    PublicationConflictError
        The alias points elsewhere; the transaction has to be rolled back.
    """
    if expected is None:
        new = postgresql.insert(aliases).values(alias=alias, version=version)
        statement: sa.Insert | sa.Update = new.on_conflict_do_nothing()
    else:
        at_expected = (aliases.c.alias == alias) & (aliases.c.version == expected)
        statement = sa.update(aliases).where(at_expected).values(version=version)
    if connection.scalar(statement.returning(aliases.c.version)) is None:
        raise _conflict(connection, alias, expected, otherwise)
    connection.execute(
        sa.insert(alias_moves).values(
            alias=alias,
            from_version=expected,
            to_version=version,
            run_id=run_id,
            moved_by=moved_by,
            reason=reason,
        )
    )


def _conflict(
    connection: sa.Connection, alias: str, expected: int | None, otherwise: str
) -> PublicationConflictError:
    """Say who moved the alias, where to, and why."""
    newest = next(iter(_moves(connection, alias, limit=1)), None)
    by = f" (moved by {newest.moved_by}: {newest.reason})" if newest else ""
    return PublicationConflictError(
        f"`{alias}` points at version {version_of_alias(connection, alias)}{by}, not at "
        f"{'none' if expected is None else expected}: {otherwise}"
    )


def promote(
    engine: sa.Engine,
    version: int,
    *,
    moved_by: str,
    reason: str,
    expected: int | None = None,
    alias: str = CURRENT,
) -> AliasMove | None:
    """Point an alias at a published version, back or forward, on a person's decision.

    Works while a calibration runs: that one finds the alias moved and publishes nothing.

    Parameters
    ----------
    expected
        The version that the alias must point at now; whatever it is if None.

    Returns
    -------
    AliasMove or None
        The move as logged; None if the alias points at the version already.

    Raises
    ------
    BadInputError
        There is no such version, or no reason was given.
    PublicationConflictError
        The alias points at another version than expected.
    """
    if not reason.strip():
        raise BadInputError("a move of an alias needs a reason: say why with --reason")
    with engine.begin() as connection:
        take_turn(connection)
        if not connection.scalar(sa.select(sa.exists().where(snapshots.c.version == version))):
            raise BadInputError(
                f"there is no version {version}: `calibrate snapshots list` shows those that "
                "there are"
            )
        found = version_of_alias(connection, alias)
        if found == version:
            return None
        move_alias(
            connection,
            alias,
            version,
            expected=found if expected is None else expected,
            moved_by=moved_by,
            reason=reason,
            otherwise="nothing was moved; `calibrate snapshots moves` shows what happened",
        )
        return _moves(connection, alias, limit=1)[0]


def list_moves(
    engine: sa.Engine, alias: str = CURRENT, limit: int | None = None
) -> tuple[AliasMove, ...]:
    """Read the log of an alias' moves, the newest first."""
    with engine.connect() as connection:
        return _moves(connection, alias, limit)


def _moves(connection: sa.Connection, alias: str, limit: int | None) -> tuple[AliasMove, ...]:
    move = alias_moves.c
    query = (
        sa.select(
            move.alias,
            move.from_version,
            move.to_version,
            move.moved_by,
            move.reason,
            move.run_id,
            move.moved_at,
        )
        .where(move.alias == alias)
        .order_by(move.move_id.desc())
        .limit(limit)
    )
    return tuple(AliasMove(*row) for row in connection.execute(query))
