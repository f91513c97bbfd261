"""The source's own names of tables and columns, by the documented ones.

A name of the settings is never part of a statement's text. It is read here, looked for among the
database's tables and columns (`foreign_tables`), and only ever written by
`psycopg.sql.Identifier`, which quotes it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from calibration_pipeline.errors import SourceSettingError
from calibration_pipeline.store.sources.raw import OPTIONAL_COLUMNS
from calibration_pipeline.store.sources.spelling import asked, readable

SETTING = "CALIBRATION_SOURCE__NAMES"
LONGEST_NAME_BYTES = 63
"""PostgreSQL cuts longer names off, and then finds another table than the one that was named."""

Use = Literal["required", "where_present", "where_mapped"]

_QUOTED = r'"(?:[^"]|"")+"'
_TABLE = re.compile(rf'(?:({_QUOTED}|[^".]+)\.)?({_QUOTED}|[^".]+)', re.DOTALL)
_COLUMN = re.compile(_QUOTED, re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column of a documented table.

    Attributes
    ----------
    name
        Its documented name.
    gives
        Which of `RAW_COLUMNS` it holds; None for what only joins tables.
    alternatives
        Documented names that it has elsewhere: the first that the table has is taken.
    use
        Whether the table must have it; ``where_mapped``: it isn't read unless the settings say
        which column it is, because a column of that name may mean something else.
    """

    name: str
    gives: str | None = None
    alternatives: tuple[str, ...] = ()
    use: Use = "required"


@dataclass(frozen=True)
class Layout:
    """A documented table.

    Attributes
    ----------
    table
        Its documented name.
    columns
        What it has, and what it may have.
    place
        Where it is looked for unless the settings say so; None for its documented name.
    """

    table: str
    columns: tuple[Column, ...]
    place: str | None = None


@dataclass(frozen=True)
class TableName:
    """A table's schema and name, as the database spells them."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{readable(self.schema)}.{readable(self.name)}"


def mapped(*names: str) -> tuple[Column, ...]:
    """Give columns that are read where the settings say which they are."""
    return tuple(Column(name, gives=name, use="where_mapped") for name in names)


OPTIONAL = mapped(*OPTIONAL_COLUMNS)
"""What any table of answers may say of each of them."""


class Names:
    """The names of the settings, checked against a source's layouts.

    Parameters
    ----------
    layouts
        The source's documented tables.
    configured
        The source's own names, by documented ones: ``table`` or ``table.column``.

    Raises
    ------
    SourceSettingError
        A documented name isn't one of the layouts', or a name can't be one of PostgreSQL's.
    """

    def __init__(self, layouts: Sequence[Layout], configured: Mapping[str, str]) -> None:
        tables = [layout.table for layout in layouts]
        columns = [f"{each.table}.{column.name}" for each in layouts for column in each.columns]
        _require_known(configured, [*tables, *columns])
        self._tables = {
            layout.table: _table_name(
                layout.table, configured.get(layout.table, layout.place or layout.table)
            )
            for layout in layouts
        }
        self._columns = {
            name: _column_name(name, configured[name]) for name in columns if name in configured
        }

    def table(self, layout: Layout) -> TableName:
        """Give the table's name in the source; in schema ``public`` unless one is named."""
        return self._tables[layout.table]

    def column(self, layout: Layout, column: Column) -> str | None:
        """Give the column's name in the source, if the settings say it."""
        return self._columns.get(f"{layout.table}.{column.name}")


def _require_known(configured: Collection[str], known: Collection[str]) -> None:
    """Refuse the documented names that the source doesn't have, all of them at once."""
    unknown = [name for name in configured if name not in known]
    if not unknown:
        return
    hints = [asked(name, known) for name in unknown]
    told = ", ".join(f"{readable(name)}{hint}" for name, hint in zip(unknown, hints, strict=True))
    rest = "" if all(hints) else f": its names are {', '.join(known)}"
    raise SourceSettingError(f"{SETTING} names {told}, which this source doesn't have{rest}")


def _table_name(documented: str, text: str) -> TableName:
    found = _TABLE.fullmatch(text)
    if found is None:
        raise SourceSettingError(
            f"{SETTING} gives {readable(text)} for the table {documented}, which is no name of a "
            'table: write SCHEMA.TABLE, and "a name" in double quotes if it holds a dot or a quote'
        )
    schema, name = found.groups()
    return TableName(
        _checked(documented, _unquoted(schema or "public")), _checked(documented, _unquoted(name))
    )


def _column_name(documented: str, text: str) -> str:
    return _checked(documented, _unquoted(text) if _COLUMN.fullmatch(text) else text)


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _checked(documented: str, name: str) -> str:
    try:
        length = len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        length = 0
    if 0 < length <= LONGEST_NAME_BYTES and "\0" not in name:
        return name
    raise SourceSettingError(
        f"{SETTING} gives {readable(name)} for {documented}, which can't be a name in PostgreSQL: "
        f"names are text of 1 to {LONGEST_NAME_BYTES} bytes in UTF-8"
    )
