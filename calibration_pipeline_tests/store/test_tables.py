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
    "snapshot_draft_audits",
    "snapshot_draft_items",
    "snapshot_drafts",
    "source_checks",
    "source_observations",
    "suppressions",
}
APPEND_ONLY = sorted(table.name for table in metadata.sorted_tables if table.name not in CHANGEABLE)


@pytest.mark.parametrize("name", APPEND_ONLY)
def test_an_append_only_table_refuses_every_change(untouched_engine: sa.Engine, name: str) -> None:
    table = metadata.tables[f"{SCHEMA}.{name}"]
    column = list(table.c)[-1]
    for statement in (
        sa.update(table).values({column: column}),
        sa.delete(table),
        sa.text(f"TRUNCATE {table.fullname} CASCADE"),
    ):
        with (
            pytest.raises(sa.exc.IntegrityError, match="append-only"),
            untouched_engine.begin() as connection,
        ):
            connection.execute(statement)


def test_the_other_tables_can_be_emptied(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for name in CHANGEABLE:
            connection.execute(sa.delete(metadata.tables[f"{SCHEMA}.{name}"]))


def test_every_table_says_what_it_holds() -> None:
    assert [table.name for table in metadata.sorted_tables if not table.comment] == []
