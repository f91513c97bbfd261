"""How new what engines read is: three values, read in a moment."""

import sqlalchemy as sa

from calibration_pipeline.records import Freshness
from calibration_pipeline.store.aliases import CURRENT
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.tables import aliases, calibration_states, snapshots


def read_freshness(database: Database) -> Freshness:
    """Read the newest accepted night, and the version in force with its age."""
    newest = sa.select(sa.func.max(calibration_states.c.partition)).where(
        calibration_states.c.is_accepted
    )
    in_force = (
        sa.select(snapshots.c.version, snapshots.c.published_at)
        .join(aliases, aliases.c.version == snapshots.c.version)
        .where(aliases.c.alias == CURRENT)
    )
    with database.connect() as connection:
        accepted = connection.scalar(newest)
        row = connection.execute(in_force).one_or_none()
    return Freshness(accepted, row.version if row else None, row.published_at if row else None)
