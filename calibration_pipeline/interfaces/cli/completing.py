"""What the shell offers where a command wants an item, a version or a flag.

Completion answers at once or not at all: it starts no server, and says no error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database

_MOST = 50
"""Names that are offered at most: more fill a screen and help nobody."""


def item_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the bank's items that begin so."""
    del context, parameter

    def read(database: Database) -> Sequence[str]:
        from calibration_pipeline.store.names import item_names

        return item_names(database, incomplete, _MOST)

    return _from_database(read)


def versions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer `current` and the newest published versions that begin so."""
    del context, parameter

    def read(database: Database) -> Sequence[str]:
        from calibration_pipeline.store.names import version_numbers

        return ["current", *map(str, version_numbers(database, _MOST))]

    return [name for name in _from_database(read) if name.startswith(incomplete)]


def flag_reasons(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the kinds of flags that begin so; no database is asked."""
    del context, parameter
    from calibration_pipeline.records import FLAG_REASONS

    return [reason for reason in FLAG_REASONS if reason.startswith(incomplete)]


def _from_database(read: Callable[[Database], Sequence[str]]) -> list[str]:
    """Ask a database that runs already; offer nothing where none does."""
    from calibration_pipeline.settings import load_settings
    from calibration_pipeline.store.connection import open_running_database

    try:
        settings = load_settings()
        url = settings.database_url
        with open_running_database(
            None if url is None else url.get_secret_value(), settings.home
        ) as database:
            return [] if database is None else list(read(database))
    except Exception:  # a traceback would land in the middle of somebody's command line
        return []
