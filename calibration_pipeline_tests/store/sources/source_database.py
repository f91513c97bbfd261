"""Databases of other systems, as the tests make them: owned by one role, read by another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from sqlalchemy.engine import make_url

from calibration_pipeline.store.sources.raw import RAW_SCHEMA
from calibration_pipeline.store.sources.sql.tables import TableReader
from calibration_pipeline.store.sources.sql.tables_view import TableView
from calibration_pipeline_tests.database import connect

OWNER = "answers_owner"
READER = "answers_reader"
DAY = (datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))
LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_CREATE_ROLE = """
DO $$ BEGIN CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""
_GRANT = """
GRANT USAGE ON SCHEMA {schema} TO {reader};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader};
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}
"""


def reader_url(url: str) -> str:
    """A database's URL for a login that may read, and nothing else."""
    parsed = make_url(url).update_query_dict({"options": f"-crole={READER}"})
    return parsed.render_as_string(hide_password=False)


@contextmanager
def owning(url: str, schema: str = "public") -> Iterator[psycopg.Connection[Any]]:
    """A connection as the owner, whose tables of a schema the reader may read from then on."""
    names = {
        "schema": sql.Identifier(schema),
        "owner": sql.Identifier(OWNER),
        "reader": sql.Identifier(READER),
    }
    with connect(url) as connection:
        for role in (OWNER, READER):
            connection.execute(sql.SQL(_CREATE_ROLE).format(role=sql.Identifier(role)))
        create = "CREATE SCHEMA IF NOT EXISTS {schema}; GRANT ALL ON SCHEMA {schema} TO {owner}"
        connection.execute(sql.SQL(create).format(**names))
        connection.execute(sql.SQL("ALTER SCHEMA {schema} OWNER TO {owner}").format(**names))
        connection.execute(sql.SQL("SET ROLE {owner}").format(**names))
        connection.execute(sql.SQL(_GRANT).format(**names))
        yield connection


def execute(url: str, *statements: str) -> None:
    """Run statements as the owner."""
    with owning(url) as connection:
        for statement in statements:
            connection.execute(statement)


def rows_of(
    view: TableView, first: datetime = LONG_AGO, last: datetime = FAR_AHEAD
) -> list[dict[str, str | None]]:
    """All rows of a span, without what is null."""
    tables = list(view.stream(first, last))
    assert all(table.schema == RAW_SCHEMA for table in tables)
    rows: Sequence[dict[str, Any]] = pa.concat_tables(
        tables or [RAW_SCHEMA.empty_table()]
    ).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def read(reader: TableReader, first: datetime = LONG_AGO, last: datetime = FAR_AHEAD) -> Any:
    """All rows of a source that names its database."""
    with reader.view("") as view:
        return rows_of(view, first, last)
