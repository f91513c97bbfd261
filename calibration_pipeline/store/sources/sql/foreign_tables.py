"""Finding a documented table in a database that isn't ours: is it there, what are its columns."""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from calibration_pipeline.store.sources.spelling import asked, nearest, readable
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.foreign_errors import (
    URL_SETTING,
    TableMissingError,
    TableUnreadableError,
)
from calibration_pipeline.store.sources.sql.names import (
    SETTING,
    Column,
    Layout,
    Names,
    TableName,
)

_MOST_NAMES_SHOWN = 20

_TABLES = """
SELECT c.relname::text, c.relname = {name}, c.oid::bigint,
       has_schema_privilege(n.oid, 'USAGE'), row_security_active(c.oid)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
ORDER BY c.relname = {name} DESC, c.relname
"""
_COLUMNS = """
SELECT attname::text FROM pg_catalog.pg_attribute
WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@dataclass(frozen=True)
class FoundColumn:
    """A column under its own name, with its type's oid; that of a domain is what it is made of."""

    name: str
    type_oid: int


@dataclass(frozen=True)
class FoundTable:
    """A documented table as it stands in the source.

    Attributes
    ----------
    documented
        Its documented name.
    name
        Its own.
    columns
        Those that are read, by documented names.
    hides_rows
        Whether row-level security decides which rows this login sees.
    """

    documented: str
    name: TableName
    columns: Mapping[str, FoundColumn]
    hides_rows: bool

    @property
    def identifier(self) -> sql.Identifier:
        """Its name, quoted."""
        return sql.Identifier(self.name.schema, self.name.name)

    @property
    def described(self) -> str:
        """Its name and the columns that are read, under their own names."""
        return f"{self.name} ({', '.join(readable(c.name) for c in self.columns.values())})"

    def column(self, documented: str, alias: str = "t") -> sql.Composable:
        """Give a column of the table under an alias, quoted."""
        return sql.Identifier(alias, self.columns[documented].name)

    def text(self, documented: str, alias: str = "t") -> sql.Composable:
        """Give a column as text."""
        return sql.SQL("{}::text").format(self.column(documented, alias))

    def type_oid(self, documented: str) -> int:
        """Give a column's type."""
        return self.columns[documented].type_oid


def find_table(database: ForeignDatabase, names: Names, layout: Layout) -> FoundTable:
    """Look a documented table up under the source's names, and try whether it can be read.

    Raises
    ------
    TableMissingError
        It isn't there.
    TableUnreadableError
        It lacks columns, or may not be read.
    SourceError, SourceUnavailableError
        The database failed in another way.
    """
    table = names.table(layout)
    oid, hides_rows = _look_up(database, layout, table)
    statement = sql.SQL(_COLUMNS).format(oid=sql.Literal(oid))
    present = [name for (name,) in database.rows(statement, str(table))]
    chosen, missing = {}, []
    for column in layout.columns:
        name = _choose(names, layout, column, present)
        if name is not None:
            chosen[column.name] = name
        elif names.column(layout, column) or column.use == "required":
            missing.append(column)
    if missing:
        raise _missing_columns(database, names, layout, missing, present)
    # Nothing is read, and everything is checked: privileges of a view's own tables, too.
    probe = sql.SQL("SELECT {} FROM {} LIMIT 0").format(
        sql.SQL(", ").join(map(sql.Identifier, chosen.values())),
        sql.Identifier(table.schema, table.name),
    )
    types = database.column_types(probe, str(table))
    columns = {
        documented: FoundColumn(name, type_oid)
        for (documented, name), type_oid in zip(chosen.items(), types, strict=True)
    }
    return FoundTable(layout.table, table, columns, hides_rows)


def _look_up(database: ForeignDatabase, layout: Layout, table: TableName) -> tuple[int, bool]:
    statement = sql.SQL(_TABLES).format(
        schema=sql.Literal(table.schema), name=sql.Literal(table.name)
    )
    found = database.rows(statement, str(table))
    if not found or not found[0][1]:
        hint = nearest(table.name, [name for name, *_ in found])
        raise TableMissingError(
            str(table),
            database.redacted,
            f"there is no such table or view{hint}",
            f"create it, or add {layout.table}=ITS_NAME to {SETTING}; "
            f"if it is in another database, name that in {URL_SETTING}",
        )
    _, _, oid, has_usage, hides_rows = found[0]
    if not has_usage:
        raise TableUnreadableError(
            str(table),
            database.redacted,
            "permission denied for its schema",
            "grant the login USAGE on the schema and SELECT on the table",
        )
    return oid, hides_rows


def _choose(names: Names, layout: Layout, column: Column, present: list[str]) -> str | None:
    """Give the column's name in the table; None if it has none, whether or not it must."""
    configured = names.column(layout, column)
    if configured is not None:
        candidates: tuple[str, ...] = (configured,)
    elif column.use == "where_mapped":
        candidates = ()
    else:
        candidates = (column.name, *column.alternatives)
    return next((name for name in candidates if name in present), None)


def _missing_columns(
    database: ForeignDatabase,
    names: Names,
    layout: Layout,
    missing: list[Column],
    present: list[str],
) -> TableUnreadableError:
    """Say all that a table lacks at once, with what may be meant for each."""
    told = []
    for column in missing:
        others = {
            n for each in layout.columns if each != column for n in (each.name, *each.alternatives)
        }
        unused = [name for name in present if name not in others]
        configured = names.column(layout, column)
        looked_for = configured or " or ".join([column.name, *column.alternatives])
        told.append(f"{looked_for!a}{asked(configured or column.name, unused)}")
    mapped = ",".join(f"{layout.table}.{column.name}=ITS_NAME" for column in missing)
    shown = ", ".join(present[:_MOST_NAMES_SHOWN])
    return TableUnreadableError(
        str(names.table(layout)),
        database.redacted,
        f"it has no column{'s'[: len(told) - 1]} {', '.join(told)}",
        f"add {mapped} to {SETTING}; its columns are {shown!a}",
    )
