"""What a database that isn't ours says when it can't be read, in one line that a person can use.

Its texts are not repeated where they may hold data: a value that a cast stumbled over may be a
person's id, and errors are logged.
"""

import re

import psycopg
from psycopg import errors

from calibration_pipeline.errors import SourceError, SourceUnavailableError

URL_SETTING = "CALIBRATION_SOURCE__DATABASE_URL"
TIMEOUT_SETTING = "CALIBRATION_SOURCE__STATEMENT_TIMEOUT_SECONDS"


class TableUnreadableError(SourceError):
    """A table isn't there, lacks a column, or may not be read.

    Parameters
    ----------
    subject
        The table.
    database
        The URL without its password.
    reason, remedy
        What the database says, and what mends it.
    """

    def __init__(self, subject: str, database: str, reason: str, remedy: str) -> None:
        super().__init__(f"{subject} can't be read in {database} ({reason}): {remedy}")
        self.subject = subject
        self.reason = reason


class TableMissingError(TableUnreadableError):
    """A table isn't there at all."""


# What no waiting mends. libpq gives no code for why a connection failed.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|permission denied|pg_hba\.conf"
    r"|not permitted to log in|invalid connection option|invalid .* value|certificate"
)
# The server is stopping, starting, full, or in the middle of something; the next try may do.
_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")
# Their texts name tables, columns and settings, never values.
_CLASSES_WITHOUT_VALUES = ("0A", "25", "2F", "42", "54")


def unreadable_url(reason: str) -> SourceError:
    """Say that the setting holds no usable URL."""
    return SourceError(f"{URL_SETTING} can't be used: {reason}")


def connection_error(error: BaseException, database: str, secrets: list[str]) -> SourceError:
    """Say why no connection could be made.

    Parameters
    ----------
    error
        As the driver raised it.
    database
        The URL without its password.
    secrets
        What must not be repeated, if the driver's text holds it.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = lines[0].strip().rstrip(":")
    is_refused = _REFUSED.search(reason) or not isinstance(error, psycopg.OperationalError)
    if any(secret in reason for secret in secrets):
        reason = "the driver's text repeats the password"
    if is_refused:
        return SourceError(
            f"the database of the answers, {database}, refuses the login ({reason}): "
            f"correct {URL_SETTING}"
        )
    return SourceUnavailableError(
        f"the database of the answers, {database}, can't be reached ({reason}): "
        f"start it, or correct {URL_SETTING}"
    )


def statement_error(
    error: psycopg.Error, database: str, subject: str, timeout_seconds: int
) -> SourceError:
    """Say why a statement on the source failed.

    Parameters
    ----------
    error
        As the driver raised it.
    database
        The URL without its password.
    subject
        The table that was read, or what else was done.
    timeout_seconds
        Longest that a statement may take.
    """
    state = error.sqlstate or ""
    if not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _lost(database, "it was cut")
    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return _lost(database, "the server ended it")
    if isinstance(error, errors.IdleInTransactionSessionTimeout):
        return _lost(database, "it was idle for too long")
    if isinstance(error, errors.QueryCanceled):
        return SourceUnavailableError(
            f"reading {subject} in {database} was stopped ({_primary(error)}; the limit is "
            f"{timeout_seconds} seconds): add an index on the column of its times, or raise "
            f"{TIMEOUT_SETTING}"
        )
    if isinstance(error, errors.InsufficientPrivilege):
        remedy = "grant the login USAGE on its schema and SELECT on it"
        return TableUnreadableError(subject, database, _primary(error), remedy)
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.UndefinedFunction):
        remedy = "mend the view, or name another in CALIBRATION_SOURCE__NAMES"
        return TableUnreadableError(subject, database, _primary(error), remedy)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return SourceError(
            f"{subject} in {database} writes when it is read ({_primary(error)}), and a source is "
            "only ever read: name a table or a view without such functions"
        )
    if state.startswith(_PASSING_CLASSES):
        return SourceUnavailableError(
            f"{database} couldn't give {subject} just now ({_named(error)}): try again"
        )
    reason = _primary(error) if state.startswith(_CLASSES_WITHOUT_VALUES) else _named(error)
    return SourceError(
        f"{subject} in {database} can't be read ({reason}): select from it by hand to see which "
        "row it is, and mend the view or the column"
    )


def _lost(database: str, how: str) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"the connection to the database of the answers, {database}, was lost ({how}): "
        "nothing was recorded; see that the server runs, and try again"
    )


def _primary(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or _named(error)).split())


def _named(error: psycopg.Error) -> str:
    """The condition's name, for example ``invalid text representation, 22P02``."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{words}, {error.sqlstate}" if error.sqlstate else words
