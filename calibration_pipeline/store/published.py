"""Published versions as a test engine reads them: whole, in one view of the database, verified.

Its own module because it must be light to import: a test engine has no use for the pipeline.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
import sqlalchemy as sa

from calibration_pipeline.errors import (
    BadInputError,
    DamagedVersionError,
    NothingPublishedError,
    SchemaRevisionError,
)
from calibration_pipeline.records import SnapshotItem
from calibration_pipeline.store.aliases import CURRENT, version_of_alias
from calibration_pipeline.store.snapshot_rows import content_digest, items_of_rows
from calibration_pipeline.store.tables import snapshot_items, snapshots

__all__ = ["CURRENT", "PublishedVersion", "find_version", "one_view", "read_version"]

_NO_SCHEMA = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)


@dataclass(frozen=True)
class PublishedVersion:
    """A version as it was published.

    Attributes
    ----------
    version
        Its number.
    scaling_constant
        D, which the discriminations are stated for.
    partition
        The night's local day.
    published_at
        When it was published.
    content_digest
        SHA-256 of D and the items; they have been found to match it.
    items
        Every item of the pool, by item id and content version.
    """

    version: int
    scaling_constant: float
    partition: date
    published_at: datetime
    content_digest: str
    items: tuple[SnapshotItem, ...]


def find_version(engine: sa.Engine, alias: str = CURRENT) -> int:
    """Give the version that an alias points at: one row, by its key.

    Raises
    ------
    NothingPublishedError
        Nothing has been published, or there is no such alias.
    """
    with one_view(engine) as connection:
        version = version_of_alias(connection, alias)
    if version is None:
        why = "no version has been published yet" if alias == CURRENT else "there is no such alias"
        raise NothingPublishedError(
            f"`{alias}` points at no version: {why}; `calibrate status` shows how the nights ended"
        )
    return version


def read_version(engine: sa.Engine, version: int) -> PublishedVersion:
    """Read a version whole, in one view of the database, and verify its digest.

    Raises
    ------
    BadInputError
        There is no such version.
    DamagedVersionError
        What is stored isn't what was published.
    """
    manifest = sa.select(
        snapshots.c.version,
        snapshots.c.scaling_constant,
        snapshots.c.partition,
        snapshots.c.published_at,
        snapshots.c.content_digest,
    ).where(snapshots.c.version == version)
    of_version = sa.select(snapshot_items).where(snapshot_items.c.version == version)
    with one_view(engine) as connection:
        stated = connection.execute(manifest).one_or_none()
        items = items_of_rows(connection.execute(of_version))
    if stated is None:
        raise BadInputError(
            f"there is no version {version}: `calibrate snapshots list` shows those that there are"
        )
    if content_digest(items, stated.scaling_constant) != stated.content_digest:
        raise DamagedVersionError(
            f"version {version} isn't what was published: its items don't give the digest of its "
            "manifest; go on with the version you have, and restore the database from a backup"
        )
    return PublishedVersion(**stated._mapping, items=items)


@contextmanager
def one_view(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a read-only transaction whose statements all see the same moment."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        with engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection
    except sa.exc.ProgrammingError as error:
        if not isinstance(error.orig, _NO_SCHEMA):
            raise
        raise SchemaRevisionError(
            "the database has no tables of published versions: is it the right database, and has "
            "`calibrate migrate` been run on it?"
        ) from error
