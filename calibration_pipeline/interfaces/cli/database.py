"""The operator's database, for as long as a command needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database
    from calibration_pipeline.store.sources.base import ResponseSource


@contextmanager
def configured_database(*, check_revision: bool = True, create: bool = True) -> Iterator[Database]:
    """Open the database that the settings name, or the embedded one; let go of it at the end.

    Parameters
    ----------
    check_revision
        Refuse a schema that this version of the program doesn't know.
    create
        Make the embedded database if there is none yet.

    Raises
    ------
    DatabaseUnavailableError, SchemaRevisionError
        It can't be used; the message says what to do.
    """
    # Here, and not above: SQLAlchemy takes longer to import than `--help` may.
    from calibration_pipeline.store.connection import open_database

    settings = load_settings()
    url = settings.database_url
    database = open_database(
        None if url is None else url.get_secret_value(),
        settings.home,
        check_revision=check_revision,
        create=create,
    )
    try:
        yield database
    finally:
        database.dispose()


def configured_source(*, keep: bool = True) -> ResponseSource:
    """Give the source of answers that the settings name; it isn't read yet.

    Parameters
    ----------
    keep
        Remember files for the next time; not so where a command writes nothing.

    Raises
    ------
    SourceError
        The settings name a source that can't be.
    """
    from calibration_pipeline.store.sources.choosing import choose_source

    settings = load_settings()
    return choose_source(settings.source, settings.home, keep=keep)
