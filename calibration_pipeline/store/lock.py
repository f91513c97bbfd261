"""One calibration at a time: an advisory lock, and a token that only its newest holder has."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from calibration_pipeline.errors import DatabaseUnavailableError, LockHeldError, LockLostError
from calibration_pipeline.store.tables import publication_fence

# Advisory locks share one number space per database: this is ours ("calibrat" in ASCII).
_LOCK_KEY = 0x63616C6962726174
# PostgreSQL lists the locks of all its databases, and a lock's 64-bit number in two halves.
_IS_HELD = sa.text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid::bigint = :high AND objid::bigint = :low)"
)


@dataclass(frozen=True)
class LockHolder:
    """Who holds the calibration lock, and since when."""

    name: str
    since: datetime


class CalibrationLock:
    """Hold the calibration lock for as long as the block runs.

    The lock belongs to a connection of its own: when its holder dies, the connection ends and the
    lock is free. A holder whose connection was cut may still be running, so each holder also gets
    a fencing token; `check_fence` refuses every token but the newest one. Whoever writes through
    `begin` has it checked in the transaction of each write.

    Parameters
    ----------
    holder
        Who holds it, for the message that others see: a run and what started it.
    """

    def __init__(self, engine: sa.Engine, holder: str) -> None:
        self._engine = engine
        self._holder = holder
        self._connection: sa.Connection | None = None
        self._token: int | None = None

    @property
    def token(self) -> int:
        """The fencing token, which every write of its holder is checked against."""
        if self._token is None:
            raise LockLostError("the calibration lock isn't held: enter its block first")
        return self._token

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Open a transaction that only the newest holder may have; successors wait for its end.

        Raises
        ------
        LockLostError
            Another calibration has taken the lock since, or it isn't held.
        """
        token = self.token
        with self._engine.begin() as connection:
            check_fence(connection, token)
            yield connection

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        LockHeldError
            Another calibration holds it.
        """
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            self._token = _acquire(connection, self._holder)
        except BaseException:
            _end(connection)
            raise
        self._connection = connection
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the lock by ending its connection, which works even when it was cut already."""
        connection, self._connection, self._token = self._connection, None, None
        if connection is not None:
            # Ending a connection frees its lock a moment later; asking first frees it now.
            with suppress(sa.exc.DBAPIError, DatabaseUnavailableError):
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK_KEY)))
            _end(connection)


def _acquire(connection: sa.Connection, holder: str) -> int:
    if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK_KEY))):
        raise _held_by(connection)
    raise_token = (
        sa.update(publication_fence)
        .values(token=publication_fence.c.token + 1, holder=holder, acquired_at=sa.func.now())
        .returning(publication_fence.c.token)
    )
    try:
        token: int = connection.execute(raise_token).scalar_one()
    except sa.exc.OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise LockHeldError(
                "a run that has lost the calibration lock is still writing: wait for it to end, or "
                "stop it"
            ) from error
        raise
    return token


def _end(connection: sa.Connection) -> None:
    """Close the connection for good: back in the pool, it would keep the lock."""
    connection.invalidate()
    connection.close()


def _held_by(connection: sa.Connection) -> LockHeldError:
    fence = connection.execute(sa.select(publication_fence)).one()
    since: datetime = fence.acquired_at
    return LockHeldError(
        f"another calibration is running: {fence.holder}, since {since:%Y-%m-%d %H:%M:%S %Z}: "
        "wait for it to end, or stop it"
    )


def current_holder(engine: sa.Engine) -> LockHolder | None:
    """Tell who holds the calibration lock, without touching it; None if it is free."""
    with engine.connect() as connection:
        if not connection.scalar(
            _IS_HELD, {"high": _LOCK_KEY >> 32, "low": _LOCK_KEY & 0xFFFFFFFF}
        ):
            return None
        fence = connection.execute(sa.select(publication_fence)).one()
    return LockHolder(fence.holder, fence.acquired_at)


def check_fence(connection: sa.Connection, token: int) -> None:
    """Refuse a holder that has been succeeded; keep successors out until the transaction ends.

    Raises
    ------
    LockLostError
        Another calibration has taken the lock since.
    """
    try:
        fence = connection.execute(sa.select(publication_fence).with_for_update()).one()
    except sa.exc.OperationalError as error:
        # Whoever changes the fence under this transaction, or holds it for long, is a successor.
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected | SerializationFailure):
            raise LockLostError(
                "this run lost the calibration lock to another one, which is writing: run the "
                "night again"
            ) from error
        raise
    if fence.token != token:
        raise LockLostError(
            f"this run lost the calibration lock, and {fence.holder} has taken it since: "
            "it can't write any more; run the night again"
        )
