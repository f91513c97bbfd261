"""The one way to a database connection."""

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import ExceptionContext

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store import urls
from calibration_pipeline.store.privileges import missing_privilege

CONNECT_TIMEOUT_SECONDS = 10
LOCK_TIMEOUT_MILLISECONDS = 60_000

# The search path is set because a user named like our schema would find it without asking, and
# Alembic then sees it as the default schema.
_SESSION_OPTIONS = (
    f"-c timezone=UTC -c search_path=public -c lock_timeout={LOCK_TIMEOUT_MILLISECONDS}"
)
HASTY_SECONDS = 2
_HASTY = f"-c statement_timeout={HASTY_SECONDS * 1000}"
_READ_ONLY = "-c default_transaction_read_only=on"
# A dead peer is noticed within a minute, so that a lock held over the network isn't held for hours.
_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def open_engine(url: str, *, read_only: bool = False, is_hasty: bool = False) -> sa.Engine:
    """Connect to PostgreSQL through psycopg 3, and make sure that it answers.

    Parameters
    ----------
    url
        ``postgresql://user:password@host/database``, with any driver or none named.
    read_only
        Let PostgreSQL refuse every change.
    is_hasty
        Give up after a moment: somebody's shell waits.

    Raises
    ------
    DatabaseUnavailableError
        Here, or later from any use of the engine, when no connection can be made or it is lost.
        The message holds the URL without its password.
    MissingPrivilegeError
        From any use of the engine, when the login may not do that.
    """
    options = [
        _SESSION_OPTIONS,
        *([_READ_ONLY] if read_only else []),
        *([_HASTY] if is_hasty else []),
    ]
    engine = sa.create_engine(
        urls.to_psycopg3(url),
        pool_pre_ping=True,
        hide_parameters=True,  # a person's id may be among them, and errors are logged
        connect_args={
            "connect_timeout": HASTY_SECONDS if is_hasty else CONNECT_TIMEOUT_SECONDS,
            "application_name": "calibration_pipeline",
            "options": " ".join(options),
            **_KEEPALIVES,
        },
    )
    redacted = urls.redacted(url)

    @sa.event.listens_for(engine, "handle_error")
    def _name_the_database(context: ExceptionContext) -> None:
        original = context.original_exception
        if isinstance(original, psycopg.errors.InsufficientPrivilege):
            statement = context.statement or ""
            raise missing_privilege(str(original), statement, redacted) from original
        if not isinstance(original, engine.dialect.loaded_dbapi.OperationalError):
            return
        if context.connection is not None and not context.is_disconnect:
            return
        if context.is_pre_ping:  # the pool replaces such a connection by itself
            return
        reason = str(original).strip().splitlines()[0]
        raise DatabaseUnavailableError(
            f"the database {redacted} can't be reached ({reason}): "
            "start it, or correct CALIBRATION_DATABASE_URL"
        ) from original

    with engine.connect():
        pass
    return engine
