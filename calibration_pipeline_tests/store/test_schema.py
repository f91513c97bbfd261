"""Migrations: they build what the tables say, and a wrong revision is refused."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from calibration_pipeline.errors import SchemaRevisionError
from calibration_pipeline.store import schema
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.tables import SCHEMA, metadata


def test_the_migrations_build_what_the_tables_say(engine: sa.Engine) -> None:
    options = {
        "include_schemas": True,
        "version_table_schema": SCHEMA,
        "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
        "compare_server_default": True,
    }
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_files_are_named_as_the_chain_of_revisions_goes() -> None:
    chain = ScriptDirectory.from_config(schema.alembic_configuration()).walk_revisions()
    assert schema.known_revisions() == [script.revision for script in chain][::-1]


def test_migrating_twice_changes_nothing(engine: sa.Engine) -> None:
    assert schema.migrate(engine) == schema.head_revision()
    schema.require_current_revision(engine)


def test_an_empty_database_is_refused_with_the_command_to_run(database_url: str) -> None:
    with pytest.raises(SchemaRevisionError, match=r"has no schema yet.*calibrate migrate"):
        schema.require_current_revision(open_engine(database_url))


def test_an_older_revision_is_refused_with_the_command_to_run(engine: sa.Engine) -> None:
    _set_revision(engine, "0001")
    with pytest.raises(SchemaRevisionError, match=r"at schema revision 0001.*calibrate migrate"):
        schema.require_current_revision(engine)


def test_a_revision_from_the_future_is_refused(engine: sa.Engine) -> None:
    _set_revision(engine, "9999")
    with pytest.raises(SchemaRevisionError, match=r"revision 9999.*newer version"):
        schema.require_current_revision(engine)
    with pytest.raises(SchemaRevisionError, match=r"revision 9999.*newer version"):
        schema.migrate(engine)


def test_a_downgrade_is_refused_and_changes_nothing(engine: sa.Engine) -> None:
    with pytest.raises(SchemaRevisionError, match="restore a backup"):
        _downgrade(engine)
    schema.require_current_revision(engine)


def _downgrade(engine: sa.Engine) -> None:
    configuration = schema.alembic_configuration()
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "base")


def _set_revision(engine: sa.Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE calibration.alembic_version SET version_num = :revision"),
            {"revision": revision},
        )
