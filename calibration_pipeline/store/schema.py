"""The schema's revision: bring the database to it, or refuse to work with another one."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from calibration_pipeline.errors import SchemaRevisionError
from calibration_pipeline.store.roles import SCHEMA_LOCK, renew_grants
from calibration_pipeline.store.tables import SCHEMA


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return configuration


def head_revision() -> str:
    """Give the revision that this version of the program needs."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    if head is None:  # pragma: no cover - a package without its migrations
        raise SchemaRevisionError("this installation has no migrations: install it again")
    return head


def database_revision(engine: sa.Engine) -> str | None:
    """Give the revision that the database is at; None before the first `migrate`."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
        heads = context.get_current_heads()
    # More heads than one are nobody's revision, and so never the one that is needed.
    return ", ".join(sorted(heads)) or None


def migrate(engine: sa.Engine) -> str:
    """Bring the database to the newest revision, in one transaction.

    Where the database's roles are in use, they get what is theirs of the new tables.

    Returns
    -------
    str
        The revision that the database is at now.

    Raises
    ------
    SchemaRevisionError
        If the database was migrated by a newer version of the program.
    """
    configuration = _configuration()
    _refuse_unknown_revision(engine, configuration)
    with engine.begin() as connection:
        # Two `calibrate migrate` at once: the second waits, then finds nothing left to do.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        renew_grants(connection)
    return head_revision()


def _refuse_unknown_revision(engine: sa.Engine, configuration: Config) -> None:
    found = database_revision(engine)
    known = {
        script.revision for script in ScriptDirectory.from_config(configuration).walk_revisions()
    }
    if found is not None and found not in known:
        raise SchemaRevisionError(
            f"the database's schema is at revision {found}, which this version of the program "
            "doesn't know: install the newer version that created it"
        )


def require_current_revision(engine: sa.Engine) -> None:
    """Refuse a database whose schema isn't the one that this program needs.

    Raises
    ------
    SchemaRevisionError
        If the schema is missing, older or newer.
    """
    found, needed = database_revision(engine), head_revision()
    if found == needed:
        return
    _refuse_unknown_revision(engine, _configuration())
    state = "has no schema yet" if found is None else f"is at schema revision {found}"
    raise SchemaRevisionError(
        f"the database {state}, this program needs revision {needed}: run `calibrate migrate`"
    )
