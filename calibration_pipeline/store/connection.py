"""From an operator's settings to a database that can be worked with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import require_current_revision

Database = sa.Engine
"""What other layers call a connection that they don't look into."""

PASSING_DATABASE_ERRORS: tuple[type[Exception], ...] = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,  # every connection of the pool is in use
    psycopg.OperationalError,
)
"""What the database says when it is stopped, out of room, or busy: another try may succeed."""


def failure_of_another_driver(error: BaseException) -> str | None:
    """Say what a database said of its failure to somebody else who uses it, as Dagster does.

    What it says to us, through psycopg 3, is named where we connect (`store.engine`).

    Returns
    -------
    str or None
        The first line, without the statement and its parameters; None if that isn't the error.
    """
    if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return None
    if isinstance(error.orig, psycopg.Error):
        return None
    return str(error.orig).strip().partition("\n")[0]


def open_database(
    database_url: str | None,
    home: Path,
    *,
    check_revision: bool = True,
    read_only: bool = False,
    create: bool = True,
) -> Database:
    """Connect to the database that was named, or to the embedded one, started if need be.

    Parameters
    ----------
    database_url
        PostgreSQL of the operator's; None for the embedded server.
    home
        Folder of the embedded server's files.
    check_revision
        Refuse a schema that this version of the program doesn't know.
    read_only
        Let PostgreSQL refuse every change.
    create
        Make the embedded database if there is none yet.

    Raises
    ------
    DatabaseUnavailableError
        It can't be reached or started, or there is none yet and none is to be made.
    SchemaRevisionError
        Its schema isn't at the revision needed; the message names the command that mends it.
    """
    server = EmbeddedServer(home)
    if not (database_url or create or server.exists()):
        raise DatabaseUnavailableError(f"nothing here yet ({home}): run `calibrate migrate` first")
    engine = open_engine(database_url or server.start(), read_only=read_only)
    if check_revision:
        require_current_revision(engine)
    return engine


@contextmanager
def open_running_database(database_url: str | None, home: Path) -> Iterator[Database | None]:
    """Connect for a glance: read only, with little patience, and to a server that runs already.

    Parameters
    ----------
    database_url
        PostgreSQL of the operator's; None for the embedded server.
    home
        Folder of the embedded server's files.

    Yields
    ------
    Database or None
        None where the embedded server doesn't run.

    Raises
    ------
    DatabaseUnavailableError
        The database can't be reached soon.
    """
    server = EmbeddedServer(home)
    if not (database_url or server.is_running()):
        yield None
        return
    engine = open_engine(database_url or server.url(), read_only=True, is_hasty=True)
    try:
        yield engine
    finally:
        engine.dispose()
