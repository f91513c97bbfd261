"""Names that a person may type: items and versions. Light to import, for shells complete by it."""

from difflib import get_close_matches

import sqlalchemy as sa

from calibration_pipeline.store.tables import items, snapshots

_NEAR = 3


def item_names(engine: sa.Engine, beginning: str = "", limit: int | None = None) -> list[str]:
    """List the ids of the bank that begin so, in alphabetical order."""
    i = items.c.item_id
    query = sa.select(i).distinct().where(i.startswith(beginning, autoescape=True)).order_by(i)
    with engine.connect() as connection:
        return list(connection.scalars(query.limit(limit)))


def near_names(engine: sa.Engine, name: str) -> list[str]:
    """List the ids of the bank that are spelled most like a name, the nearest first."""
    by_folded = {known.casefold(): known for known in item_names(engine)}
    return [by_folded[near] for near in get_close_matches(name.casefold(), by_folded, _NEAR)]


def version_numbers(engine: sa.Engine, limit: int) -> list[int]:
    """List the newest published versions, the newest first."""
    query = sa.select(snapshots.c.version).order_by(snapshots.c.version.desc()).limit(limit)
    with engine.connect() as connection:
        return list(connection.scalars(query))
