"""Candidates' abilities by session: personal data, so replaced and deleted at need."""

from datetime import date

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.records import CandidateAbilities
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.suppression import suppressed
from calibration_pipeline.store.tables import candidate_abilities
from calibration_pipeline.store.transactions import Transactions

_COLUMNS = (
    "partition",
    "version",
    "scale",
    "session_pseudonym",
    "candidate_pseudonym",
    "theta",
    "theta_se",
    "response_count",
)


def write_abilities(
    database: Transactions, partition: date, version: int | None, abilities: CandidateAbilities
) -> None:
    """Store a night's abilities in place of those that it had before.

    Candidates who have been forgotten get none.

    Parameters
    ----------
    version
        The snapshot whose parameters they rest on; None if none was published.
    """
    columns = zip(
        abilities.scales,
        map(bytes, abilities.session_pseudonyms),
        map(bytes, abilities.candidate_pseudonyms),
        abilities.theta.tolist(),
        abilities.theta_se.tolist(),
        abilities.response_counts.tolist(),
        strict=True,
    )
    with database.begin() as connection:
        connection.execute(
            sa.delete(candidate_abilities).where(candidate_abilities.c.partition == partition)
        )
        people = suppressed(connection)
        forgotten = people.forgotten | people.erased
        copy_rows(
            connection,
            candidate_abilities,
            _COLUMNS,
            ([partition, version, *values] for values in columns if values[2] not in forgotten),
        )


def read_abilities(engine: sa.Engine, partition: date) -> CandidateAbilities:
    """Read a night's abilities, by scale and session pseudonym; empty if it has none."""
    table = candidate_abilities.c
    query = (
        sa.select(candidate_abilities)
        .where(table.partition == partition)
        .order_by(table.scale, table.session_pseudonym)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return CandidateAbilities(
        scales=tuple(row.scale for row in rows),
        session_pseudonyms=_pseudonyms([row.session_pseudonym for row in rows]),
        candidate_pseudonyms=_pseudonyms([row.candidate_pseudonym for row in rows]),
        theta=np.array([row.theta for row in rows], np.float64),
        theta_se=np.array([row.theta_se for row in rows], np.float64),
        response_counts=np.array([row.response_count for row in rows], np.int64),
    )


def _pseudonyms(values: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.frombuffer(b"".join(values), dtype="V16")
