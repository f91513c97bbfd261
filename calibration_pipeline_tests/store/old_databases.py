"""Databases as they were at an earlier schema revision, filled with a programme's real rows."""

from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql

from calibration_pipeline.store import schema
from calibration_pipeline.store.tables import SCHEMA, metadata

Columns = dict[str, list[str]]
"""Names of a database's tables, and of the columns of each."""


def earlier_revisions() -> list[str]:
    """Every revision before the newest one, oldest first."""
    scripts = ScriptDirectory.from_config(schema.alembic_configuration()).walk_revisions()
    return sorted(script.revision for script in scripts)[:-1]


def upgrade(engine: sa.Engine, revision: str) -> None:
    """Bring an empty database to a revision."""
    configuration = schema.alembic_configuration()
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)


def columns_of(engine: sa.Engine) -> Columns:
    """The tables of a database that the program still has, in order of dependence."""
    inspector = sa.inspect(engine)
    existing = set(inspector.get_table_names(SCHEMA))
    return {
        table.name: [column["name"] for column in inspector.get_columns(table.name, SCHEMA)]
        for table in metadata.sorted_tables
        if table.name in existing
    }


def rows_of(engine: sa.Engine, columns: Columns) -> dict[str, bytes]:
    """Every row of the tables, bit by bit: columns that are not named are left out."""
    with engine.connect() as connection:
        driver = _driver(connection)
        return {table: b"".join(_rows(driver, table, columns)) for table in columns}


def fill(source: sa.Engine, target: sa.Engine) -> None:
    """Copy the rows of a database at the newest revision into an earlier one's columns."""
    columns = columns_of(target)
    with source.connect() as reading, target.begin() as writing:
        for table, names in columns.items():
            if table == "publication_fence":  # the migration has put its only row in
                writing.execute(sa.delete(metadata.tables[f"{SCHEMA}.{table}"]))
            # COPY takes the numbers of identity columns as they are.
            into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
                sql.Identifier(SCHEMA, table), sql.SQL(", ").join(map(sql.Identifier, names))
            )
            with _driver(writing).cursor() as cursor, cursor.copy(into) as copy:
                for block in _rows(_driver(reading), table, columns):
                    copy.write(block)
            _go_on_counting(writing, table)


def _go_on_counting(connection: sa.Connection, table: str) -> None:
    for column in metadata.tables[f"{SCHEMA}.{table}"].c:
        if column.identity is not None:
            sequence = f"pg_get_serial_sequence('{SCHEMA}.{table}', '{column.name}')"
            highest = f"SELECT greatest(max({column.name}), 1) FROM {SCHEMA}.{table}"  # noqa: S608
            connection.execute(sa.text(f"SELECT setval({sequence}, ({highest}))"))


def _rows(driver: psycopg.Connection[Any], table: str, columns: Columns) -> Iterator[bytes]:
    names = columns[table]
    primary_key = metadata.tables[f"{SCHEMA}.{table}"].primary_key
    key = [c.name for c in primary_key if c.name in names] or names
    # Earlier revisions know no such lists, and refuse their rows here as well.
    no_lists = table == "state_evaluations" and "cold_start_items" not in columns
    condition = sql.SQL("WHERE kind <> 'cold start'" if no_lists else "")
    query = sql.SQL("COPY (SELECT {} FROM {} {} ORDER BY {}) TO STDOUT (FORMAT binary)").format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(SCHEMA, table),
        condition,
        sql.SQL(", ").join(map(sql.Identifier, key)),
    )
    with driver.cursor() as cursor, cursor.copy(query) as copy:
        yield from map(bytes, copy)


def _driver(connection: sa.Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
