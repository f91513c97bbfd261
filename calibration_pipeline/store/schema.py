"""The schema's revision: bring the database to it, or refuse to work with another one."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from calibration_pipeline.errors import SchemaRevisionError
from calibration_pipeline.store.roles import SCHEMA_LOCK, renew_grants
from calibration_pipeline.store.tables import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION_TABLE = f"{SCHEMA}.alembic_version"


def alembic_configuration() -> "Config":
    """Say where Alembic finds the migrations."""
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    return configuration


def known_revisions() -> list[str]:
    """Give the revisions that this version of the program knows, oldest first.

    Every migration's file begins with its revision (a test compares with Alembic). Alembic itself
    takes a second to import and to read them all, and every command asks.

    Raises
    ------
    SchemaRevisionError
        The migrations are missing.
    """
    files = (_MIGRATIONS / "versions").glob("[0-9]*_*.py")
    revisions = sorted(path.name.split("_", 1)[0] for path in files)
    if not revisions:  # pragma: no cover - a package without its migrations
        raise SchemaRevisionError("this installation has no migrations: install it again")
    return revisions


def head_revision() -> str:
    """Give the revision that this version of the program needs."""
    return known_revisions()[-1]


def database_revision(engine: sa.Engine) -> str | None:
    """Give the revision that the database is at; None before the first `migrate`."""
    with engine.connect() as connection:
        if connection.scalar(sa.select(sa.func.to_regclass(_VERSION_TABLE))) is None:
            return None
        heads = connection.scalars(sa.text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608 - a constant
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
    from alembic import command

    _refuse_unknown_revision(database_revision(engine))
    configuration = alembic_configuration()
    with engine.begin() as connection:
        # Two `calibrate migrate` at once: the second waits, then finds nothing left to do.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        renew_grants(connection)
    return head_revision()


def _refuse_unknown_revision(found: str | None) -> None:
    if found is not None and found not in known_revisions():
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
    _refuse_unknown_revision(found)
    state = "has no schema yet" if found is None else f"is at schema revision {found}"
    raise SchemaRevisionError(
        f"the database {state}, this program needs revision {needed}: run `calibrate migrate`"
    )
