"""A database that isn't ours, in one transaction that can't change it.

Everything is set for the transaction alone, not for the session: behind a pooler the same session
serves other programs afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from calibration_pipeline.errors import BadInputError, SourceError
from calibration_pipeline.store import urls
from calibration_pipeline.store.engine import CONNECT_TIMEOUT_SECONDS
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.foreign_errors import (
    connection_error,
    statement_error,
    unreadable_url,
)

_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_OLDEST_SERVER = 14
_LONGEST_TIMEOUT_MS = 2**31 - 1
_LOCK_TIMEOUT_MS = 60_000
_SECRETS = ("password", "sslpassword")

Row = tuple[Any, ...]


@dataclass
class ForeignDatabase:
    """A database as one read-only transaction sees it.

    Attributes
    ----------
    redacted
        Its URL without the password, for messages.
    naive_zone
        The zone of its times without an offset; UTC unless the settings say so.
    """

    _connection: psycopg.Connection[Row] = field(repr=False)
    redacted: str
    _timeout_seconds: int
    naive_zone: tzinfo

    @property
    def server_version(self) -> int:
        """PostgreSQL's major version."""
        return self._connection.info.server_version // 10_000

    def rows(self, statement: sql.Composed, subject: str) -> list[Row]:
        """Give the rows of a statement whose values are literals: it has no parameters.

        Parameters
        ----------
        statement
            A query.
        subject
            What it reads, for messages.

        Raises
        ------
        SourceError, SourceUnavailableError
            The statement failed.
        """
        with self._failures_named(subject), self._connection.cursor() as cursor:
            return cursor.execute(statement).fetchall()

    def column_types(self, statement: sql.Composed, subject: str) -> list[int]:
        """Try a query, and give its columns' types (oid); the transaction survives a failure.

        Raises
        ------
        TableUnreadableError
            A relation, column or privilege is missing.
        SourceError, SourceUnavailableError
            The statement failed in another way.
        """
        with (
            self._failures_named(subject),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return [column.type_code for column in cursor.description or ()]

    def copy(self, query: sql.Composed, subject: str) -> Iterator[bytes]:
        """Stream a query's rows as CSV; null is nothing at all, the empty text two quotes.

        Raises
        ------
        SourceError, SourceUnavailableError
            The statement failed, perhaps after it had given some rows.
        """
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
        with (
            self._failures_named(subject),
            self._connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            yield from copy  # type: ignore[misc]  # buffers, which files take like bytes

    @contextmanager
    def _failures_named(self, subject: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise statement_error(error, self.redacted, subject, self._timeout_seconds) from None


@contextmanager
def reading(configuration: SourceConfiguration, store_url: str) -> Iterator[ForeignDatabase]:
    """Open the database of the answers in one read-only transaction, and close it afterwards.

    Parameters
    ----------
    configuration
        Names it, and says how long statements may take.
    store_url
        Of the store, for a source that names no database of its own.

    Raises
    ------
    SourceError
        The URL or the login can't be used.
    SourceUnavailableError
        It can't be reached.
    """
    url = configuration.database_url or store_url
    zone = configuration.naive_timezone
    connection = _connect(url)
    try:
        foreign = ForeignDatabase(
            connection,
            urls.redacted(url),
            configuration.statement_timeout_seconds,
            ZoneInfo(zone) if zone else UTC,
        )
        _require_known_server(foreign)
        foreign.rows(_settings(configuration.statement_timeout_seconds), "the settings")
        yield foreign
    finally:
        connection.close()


def _connect(url: str) -> psycopg.Connection[Row]:
    try:
        parsed = make_url(urls.to_psycopg3(url))
    except BadInputError as error:
        raise unreadable_url(str(error)) from None
    arguments, options = parsed.get_dialect()().create_connect_args(parsed)
    secrets = [str(options[name]) for name in _SECRETS if options.get(name)]
    ours = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "calibration_pipeline",
        "client_encoding": "UTF8",
        **_KEEPALIVES,
    }
    try:
        # Prepared statements don't outlive a transaction behind a pooler.
        connection = psycopg.connect(*arguments, **{**options, **ours}, prepare_threshold=None)
    except (psycopg.Error, ValueError, OSError) as error:
        raise connection_error(error, urls.redacted(url), secrets) from None
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return connection


def _require_known_server(database: ForeignDatabase) -> None:
    if database.server_version < _OLDEST_SERVER:
        raise SourceError(
            f"{database.redacted} is PostgreSQL {database.server_version}, which can't tell that a "
            f"row has changed: read the answers from PostgreSQL {_OLDEST_SERVER} or newer"
        )


def _settings(timeout_seconds: int) -> sql.Composed:
    """What holds for the transaction, whatever the login's or the database's own settings say."""
    timeout = min(1000 * timeout_seconds, _LONGEST_TIMEOUT_MS)
    settings = {
        "statement_timeout": timeout,
        # A night's own work goes on between statements.
        "idle_in_transaction_session_timeout": timeout,
        "lock_timeout": _LOCK_TIMEOUT_MS,
        "search_path": "public",
        # How values are spelled as text.
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "extra_float_digits": 1,
        "bytea_output": "hex",
    }
    calls = [
        sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(str(value)))
        for name, value in settings.items()
    ]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))
