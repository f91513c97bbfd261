"""History can't be changed: the database refuses, whoever asks."""

import pytest
import sqlalchemy as sa

from calibration_pipeline.store.tables import SCHEMA, metadata

CHANGEABLE = {
    "aliases",
    "candidate_abilities",
    "candidate_map",
    "import_batches",
    "publication_fence",
    "response_log",
    "source_observations",
}
APPEND_ONLY = sorted(table.name for table in metadata.sorted_tables if table.name not in CHANGEABLE)


@pytest.mark.parametrize("name", APPEND_ONLY)
def test_an_append_only_table_refuses_every_change(engine: sa.Engine, name: str) -> None:
    column = list(metadata.tables[f"{SCHEMA}.{name}"].c)[-1].name
    for statement in (
        f"UPDATE {SCHEMA}.{name} SET {column} = {column}",
        f"DELETE FROM {SCHEMA}.{name}",
        f"TRUNCATE {SCHEMA}.{name} CASCADE",
    ):
        with (
            pytest.raises(sa.exc.IntegrityError, match="append-only"),
            engine.begin() as connection,
        ):
            connection.execute(sa.text(statement))


@pytest.mark.parametrize("name", sorted(CHANGEABLE))
def test_the_other_tables_can_be_emptied(engine: sa.Engine, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(f"DELETE FROM {SCHEMA}.{name}"))


def test_every_table_says_what_it_holds() -> None:
    assert [table.name for table in metadata.sorted_tables if not table.comment] == []
