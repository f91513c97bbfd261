"""COPY: the fast way for rows into PostgreSQL, in a SQLAlchemy connection's transaction."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from calibration_pipeline.store import urls
from calibration_pipeline.store.float_arrays import FloatArrayDumper
from calibration_pipeline.store.privileges import missing_privilege


def driver_connection(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Give psycopg's connection under a SQLAlchemy connection; both share one transaction."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):  # pragma: no cover - open_engine chooses the driver
        raise TypeError(f"the engine uses {type(raw)}, the store needs psycopg 3")
    return raw


@contextmanager
def copying(connection: sa.Connection, statement: sql.Composed) -> Iterator[psycopg.Copy]:
    """Run a COPY statement of psycopg's in a SQLAlchemy connection's transaction.

    Raises
    ------
    MissingPrivilegeError
        The login may not do that.
    """
    driver = driver_connection(connection)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy
    except psycopg.errors.InsufficientPrivilege as error:
        url = connection.engine.url.render_as_string(hide_password=False)
        text = statement.as_string(driver)
        raise missing_privilege(str(error), text, urls.redacted(url)) from error


def qualified(table: sa.Table) -> sql.Composed:
    """Give a table's name, quoted, with its schema."""
    return sql.Composed([sql.Identifier(*filter(None, (table.schema, table.name)))])


def copy_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Append rows to a table.

    Parameters
    ----------
    columns
        Names of the columns, in the order of the values of each row.
    rows
        Python values; lists for arrays, or NumPy's vectors for arrays of floats, which are much
        faster. They travel in PostgreSQL's binary format: floats arrive bit by bit as they are.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        qualified(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    types = [table.c[name].type.compile(connection.dialect).lower() for name in columns]
    with copying(connection, statement) as copy:
        copy.cursor.adapters.register_dumper(None, FloatArrayDumper)
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
