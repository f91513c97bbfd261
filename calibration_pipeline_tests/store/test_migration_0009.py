"""States from before 0009: nothing found to have changed, and folded days as they were folded."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command

from calibration_pipeline.store import schema
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.states import read_state
from calibration_pipeline.store.tables import SCHEMA

RUN = "00000000-0000-0000-0000-000000000001"


def march(day: int) -> date:
    return date(2026, 3, day)


@pytest.fixture
def old(database_url: str) -> Iterator[sa.Engine]:
    """A database at revision 0008."""
    engine = open_engine(database_url)
    configuration = schema.alembic_configuration()
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(SCHEMA))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0008")
    yield engine
    engine.dispose()


def insert(engine: sa.Engine, table: str, **values: Any) -> None:
    with engine.begin() as connection:
        old_table = sa.Table(table, sa.MetaData(), schema=SCHEMA, autoload_with=connection)
        connection.execute(sa.insert(old_table).values(**values))


def insert_state(engine: sa.Engine, night: int, folded_through: int, parent: int | None) -> None:
    insert(
        engine,
        "calibration_states",
        partition=march(night),
        attempt=1,
        run_id=RUN,
        is_accepted=True,
        reasons=[],
        folded_through=march(folded_through),
        parent_partition=parent and march(parent),
        parent_attempt=parent and 1,
        bank_digest="bank",
        anchor_digest="anchors",
        configuration_digest="configuration",
        digest=f"state {night}",
        recorded_at=f"{march(night)}T23:00:00Z",
    )


def insert_revision(engine: sa.Engine, day: int, revision: int, recorded: int) -> None:
    insert(
        engine,
        "archive_revisions",
        day=march(day),
        revision=revision,
        digest=f"day {day}.{revision}",
        file_name=f"{day}.{revision}",
        response_count=0,
        session_count=0,
        quarantine_counts={},
        timezone="UTC",
        recorded_at=f"{march(recorded)}T00:00:00Z",
    )


def insert_item(engine: sa.Engine, night: int) -> None:
    vectors = {name: [0.0] * 3 for name in ("parameters", "prior_mean", "prior_precision")}
    vectors |= {name: [0.0] * 3 for name in ("carried_linear", "shadow_parameters")}
    matrices = {name: [0.0] * 9 for name in ("covariance", "carried_information")}
    scalars = dict.fromkeys(("infit", "outfit", "infit_se", "outfit_se"), 1.0)
    insert(
        engine,
        "state_items",
        partition=march(night),
        attempt=1,
        position=0,
        item_id="i1",
        content_version=1,
        **vectors,
        **matrices,
        **scalars,
        window_count=1,
        total_count=2,
        is_anchor=False,
        is_updated=True,
    )


def test_earlier_states_say_that_nothing_was_found_to_have_changed(old: sa.Engine) -> None:
    insert(
        old, "runs", run_id=RUN, partition=march(9), triggered_by="a test",
        configuration={}, package_versions={},
    )  # fmt: skip
    insert_state(old, night=9, folded_through=5, parent=None)
    insert_item(old, night=9)
    schema.migrate(old)
    state = read_state(old, march(9))
    assert state is not None
    assert np.isnan([state.carried_shift, state.carried_shift_se]).all()
    assert not state.is_contradicted.any()
    assert np.isnat(state.carried_from).all()
    assert state.carried_from.dtype == np.dtype("datetime64[D]")
    assert state.folded == ()


def test_earlier_states_folded_the_revisions_of_their_parents_window(old: sa.Engine) -> None:
    """And the newest one there was of a day that it lacked; without, a re-run would fold others."""
    insert(
        old, "runs", run_id=RUN, partition=march(9), triggered_by="a test",
        configuration={}, package_versions={},
    )  # fmt: skip
    insert_state(old, night=9, folded_through=5, parent=None)
    insert_state(old, night=12, folded_through=8, parent=9)
    for day, revision, recorded in ((5, 1, 6), (6, 1, 7), (6, 2, 12), (7, 1, 8), (7, 2, 9),
                                    (7, 3, 13), (9, 1, 10)):  # fmt: skip
        insert_revision(old, day, revision, recorded)
    insert(
        old, "state_windows", partition=march(9), attempt=1, day=march(6), revision=1,
        digest="day 6.1",
    )  # fmt: skip
    schema.migrate(old)
    first, second = read_state(old, march(9)), read_state(old, march(12))
    assert first is not None
    assert second is not None
    assert first.folded == ()
    assert second.folded == ((march(6), 1, "day 6.1"), (march(7), 2, "day 7.2"))


def test_a_new_state_has_to_say_what_it_found(old: sa.Engine) -> None:
    schema.migrate(old)
    with pytest.raises(sa.exc.IntegrityError, match="carried_shift"):
        insert_item(old, night=9)
