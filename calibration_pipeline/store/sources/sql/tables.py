"""Reading tables and views of other systems, whatever they are called there."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from psycopg import sql

from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase, reading
from calibration_pipeline.store.sources.sql.foreign_tables import FoundTable, find_table
from calibration_pipeline.store.sources.sql.names import Layout, Names
from calibration_pipeline.store.sources.sql.tables_view import (
    AnswerRows,
    TableView,
    TimeColumn,
    time_column,
)


class TableReader(ABC):
    """Reads answers from tables of a database; see `RawReader`.

    Attributes
    ----------
    kind
        Its name in the settings.
    layouts
        The documented tables.
    is_dated_by_session
        Whether rows are placed by their session's start.

    Parameters
    ----------
    configuration
        Names the database, and its tables and columns.

    Raises
    ------
    SourceError
        A name in the settings isn't one of the layouts', or can't be a name.
    """

    kind: ClassVar[str]
    layouts: ClassVar[tuple[Layout, ...]]
    is_dated_by_session: ClassVar[bool] = False

    def __init__(self, configuration: SourceConfiguration) -> None:
        self._configuration = configuration
        self._names = Names(self.layouts, configuration.names)
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `RawReader`."""
        return tuple(self._warnings)

    @contextmanager
    def view(self, store_url: str) -> Iterator[TableView]:
        """See `RawReader`. The tables are found, and tried, when the view is opened."""
        with reading(self._configuration, store_url) as database:
            yield TableView(
                database, self._answers(database), is_dated_by_session=self.is_dated_by_session
            )

    def examine(self, store_url: str) -> tuple[str, ...]:
        """See `RawReader`."""
        with reading(self._configuration, store_url) as database:
            return tuple(table for rows in self._answers(database) for table in rows.tables)

    @abstractmethod
    def _answers(self, database: ForeignDatabase) -> Sequence[AnswerRows]:
        """Find the tables, and say how answers are read from them."""

    def _find(self, database: ForeignDatabase, layout: Layout) -> FoundTable:
        found = find_table(database, self._names, layout)
        if found.hides_rows:
            self._warn(
                f"row-level security applies to {found.name} for this login: only rows that its "
                "policies show are read"
            )
        return found

    def _is_named(self, layout: Layout) -> bool:
        """Whether the settings name the table, or a column of it."""
        return any(name.partition(".")[0] == layout.table for name in self._configuration.names)

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


def plain_rows(found: FoundTable, layout: Layout, placed_by: str) -> AnswerRows:
    """Say how answers are read from a table that has a row for each.

    Parameters
    ----------
    found, layout
        The table, and what its columns are.
    placed_by
        Documented name of the column by which rows are placed in time.

    Raises
    ------
    SourceError
        A column that should hold times doesn't.
    """
    placed_at = time_of(found, placed_by)
    values = stated_values(found, layout)
    return AnswerRows(
        subject=str(found.name),
        source=from_table(found),
        values=values,
        placed_at=placed_at,
        logged_at=logged_at(found, layout),
        tables=(found.described,),
    )


def stated_values(found: FoundTable, layout: Layout) -> dict[str, sql.Composable]:
    """Give what a table's columns say of its rows, by `RAW_COLUMNS`."""
    return {
        column.gives: found.text(column.name)
        for column in layout.columns
        if column.gives and column.name in found.columns
    }


def from_table(found: FoundTable) -> sql.Composed:
    """Give what stands behind FROM; the table's alias is ``t``."""
    return sql.SQL("{} AS t").format(found.identifier)


def time_of(found: FoundTable, documented: str) -> TimeColumn:
    """Give a column of times by its documented name.

    Raises
    ------
    SourceError
        It is of another type.
    """
    return time_column(
        found.column(documented), found.type_oid(documented), f"{found.documented}.{documented}"
    )


def logged_at(found: FoundTable, layout: Layout) -> TimeColumn | None:
    """Give the column that says when rows came to be, if there is one.

    Raises
    ------
    SourceError
        It doesn't hold times.
    """
    for column in layout.columns:
        if column.gives == "logged_at" and column.name in found.columns:
            return time_of(found, column.name)
    return None
