"""The map from pseudonyms to people: who is in a day is added, unless forgotten."""

from collections.abc import Mapping

import sqlalchemy as sa

from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.tables import candidate_map, suppressions


def remember_candidates(connection: sa.Connection, candidates: Mapping[bytes, str]) -> None:
    """Add to the map those that it lacks, but for those who have been forgotten.

    A quarantined row may name nobody. Extractions take turns, and nobody else adds to the map:
    that a row is not there is certain, and need not be found out once more when it is inserted.

    Parameters
    ----------
    candidates
        The source's id of each pseudonym.
    """
    staging = sa.Table(
        "seen_candidates",
        sa.MetaData(),
        sa.Column("pseudonym", sa.LargeBinary),
        sa.Column("candidate_id", sa.Text),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    staging.create(connection)
    names = ("pseudonym", "candidate_id")
    copy_rows(connection, staging, names, (row for row in candidates.items() if row[1]))
    is_left_out = [
        sa.exists().where(table.c.pseudonym == staging.c.pseudonym)
        for table in (suppressions, candidate_map)
    ]
    # In the order of the map's index, whose pages are then looked at once each. And all of them
    # before the first is inserted: a map that was empty may be read from end to end for each.
    lacking = sa.select(staging).where(*map(sa.not_, is_left_out)).order_by(staging.c.pseudonym)
    connection.execute(candidate_map.insert().from_select(names, lacking))
