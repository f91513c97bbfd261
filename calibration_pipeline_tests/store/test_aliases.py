"""Aliases are moved by people, back and forth, and every move is logged."""

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, PublicationConflictError
from calibration_pipeline.store import states
from calibration_pipeline.store.aliases import current_version, list_moves, promote
from calibration_pipeline_tests.store.examples import snapshot_items, state
from calibration_pipeline_tests.store.publishing import published


@pytest.fixture(autouse=True)
def _three_versions(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(n_items=2), run_id)
    for n in (1, 2, 3):
        published(engine, run_id, snapshot_items(n))


def test_back_and_forth_is_logged(engine: sa.Engine) -> None:
    back = promote(engine, 1, moved_by="ada", reason="wrong key of item 7")
    assert back is not None
    assert (back.from_version, back.to_version, back.run_id) == (3, 1, None)
    assert (back.moved_by, back.reason) == ("ada", "wrong key of item 7")
    assert current_version(engine) == 1
    forth = promote(engine, 3, moved_by="bob", reason="mended", expected=1)
    assert current_version(engine) == 3
    assert list_moves(engine, limit=2) == (forth, back)
    assert len(list_moves(engine)) == 5
    assert list_moves(engine, alias="another") == ()


def test_readers_follow(engine: sa.Engine) -> None:
    promote(engine, 2, moved_by="ada", reason="a look")
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT version FROM calibration.current_items")).all()
    assert [row.version for row in rows] == [2, 2]


def test_to_where_it_points_is_no_move(engine: sa.Engine) -> None:
    assert promote(engine, 3, moved_by="ada", reason="make sure") is None
    assert len(list_moves(engine)) == 3


def test_somebody_else_was_faster(engine: sa.Engine) -> None:
    promote(engine, 2, moved_by="bob", reason="first")
    with pytest.raises(
        PublicationConflictError,
        match=r"`current` points at version 2 \(moved by bob: first\), not at 3: nothing was moved",
    ):
        promote(engine, 1, moved_by="ada", reason="second", expected=3)
    assert current_version(engine) == 2
    assert len(list_moves(engine)) == 4


def test_a_version_that_does_not_exist_is_named(engine: sa.Engine) -> None:
    with pytest.raises(BadInputError, match="no version 9"):
        promote(engine, 9, moved_by="ada", reason="typo")


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_moves(engine: sa.Engine, reason: str) -> None:
    with pytest.raises(BadInputError, match="needs a reason"):
        promote(engine, 1, moved_by="ada", reason=reason)
    assert current_version(engine) == 3


def test_a_new_alias_is_made(engine: sa.Engine) -> None:
    move = promote(engine, 2, moved_by="ada", reason="for the pilot school", alias="pilot")
    assert move is not None
    assert (move.alias, move.from_version) == ("pilot", None)
    assert (current_version(engine, "pilot"), current_version(engine)) == (2, 3)
