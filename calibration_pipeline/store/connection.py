"""From an operator's settings to a database that can be worked with."""

from pathlib import Path

import sqlalchemy as sa

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import require_current_revision

Database = sa.Engine
"""What other layers call a connection that they don't look into."""


def open_database(database_url: str | None, home: Path, *, check_revision: bool = True) -> Database:
    """Connect to the database that was named, or to the embedded one, started if need be.

    Parameters
    ----------
    database_url
        PostgreSQL of the operator's; None for the embedded server.
    home
        Folder of the embedded server's files.
    check_revision
        Refuse a schema that this version of the program doesn't know.

    Raises
    ------
    DatabaseUnavailableError
        It can't be reached, or can't be started.
    SchemaRevisionError
        Its schema isn't at the revision needed; the message names the command that mends it.
    """
    engine = open_engine(database_url or EmbeddedServer(home).start())
    if check_revision:
        require_current_revision(engine)
    return engine
