"""History can't be changed: the database refuses, whoever asks."""

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.tables import SCHEMA, metadata
from calibration_pipeline_tests.store.examples import state
from calibration_pipeline_tests.store.publishing import published

CHANGEABLE = {
    "aliases",
    "api_tokens",
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


@pytest.mark.parametrize("name", ["snapshot_items", "snapshot_audits"])
def test_a_published_version_takes_no_further_rows(
    engine: sa.Engine, run_id: str, name: str
) -> None:
    """What engines read under a number stays what was audited, whoever inserts."""
    states.write_state(engine, state(), run_id)
    published(engine, run_id)
    table = metadata.tables[f"{SCHEMA}.{name}"]
    key = "item_id" if name == "snapshot_items" else "rule"
    columns = [column.name for column in table.c]
    copied = [sa.literal("ghost") if column == key else table.c[column] for column in columns]
    ghost = sa.insert(table).from_select(columns, sa.select(*copied).limit(1))
    with (
        pytest.raises(sa.exc.IntegrityError, match="takes no further rows"),
        engine.begin() as connection,
    ):
        connection.execute(ghost)
