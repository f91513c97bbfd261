"""States come back bit by bit, and the night starts from the right one."""

from dataclasses import fields
from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store import states
from calibration_pipeline.store.history import newest_accepted_key
from calibration_pipeline_tests.database import statements_of
from calibration_pipeline_tests.store.examples import NIGHT, state


def assert_same(left: CalibrationState, right: CalibrationState) -> None:
    for field in fields(CalibrationState):
        a, b = getattr(left, field.name), getattr(right, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            assert a.shape == b.shape, field.name
            assert a.tobytes() == b.tobytes(), field.name
        else:
            assert repr(a) == repr(b), field.name


@pytest.mark.parametrize("n_items", [0, 5])
def test_a_state_comes_back_bit_by_bit(engine: sa.Engine, run_id: str, n_items: int) -> None:
    stored = state(n_items=n_items)
    states.write_state(engine, stored, run_id)
    found = states.read_state(engine, NIGHT)
    assert found is not None
    assert_same(found, stored)


def test_attempts_are_counted_and_the_newest_is_read(engine: sa.Engine, run_id: str) -> None:
    assert states.next_attempt(engine, NIGHT) == 1
    states.write_state(engine, state(digest="first"), run_id)
    assert states.next_attempt(engine, NIGHT) == 2
    states.write_state(engine, state(attempt=2, digest="second"), run_id)
    newest, first = states.read_state(engine, NIGHT), states.read_state(engine, NIGHT, 1)
    assert newest is not None
    assert first is not None
    assert (newest.digest, first.digest) == ("second", "first")
    assert states.read_state(engine, NIGHT, 3) is None


def test_the_same_attempt_is_stored_once(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(), run_id)
    with pytest.raises(sa.exc.IntegrityError):
        states.write_state(engine, state(), run_id)


def test_a_night_starts_from_the_newest_accepted_earlier_one(
    engine: sa.Engine, run_id: str
) -> None:
    days = [NIGHT + timedelta(days=d) for d in range(3)]
    assert newest_accepted_key(engine, days[0]) is None
    states.write_state(engine, state(days[0], digest="a1"), run_id)
    states.write_state(engine, state(days[0], attempt=2, digest="a2"), run_id)
    states.write_state(
        engine, state(days[1], digest="b1", is_accepted=False, reasons=("diverged",)), run_id
    )
    states.write_state(engine, state(days[2], digest="c1", parent=(days[0], 2)), run_id)

    def start_of(night: date) -> str | None:
        key = newest_accepted_key(engine, night)
        found = states.read_state(engine, *key) if key else None
        return found and found.digest

    assert [start_of(day) for day in days] == [None, "a2", "a2"]
    assert start_of(days[2] + timedelta(days=9)) == "c1"
    rejected, child = states.read_state(engine, days[1]), states.read_state(engine, days[2])
    assert rejected is not None
    assert rejected.reasons == ("diverged",)
    assert child is not None
    assert child.parent == (days[0], 2)


def test_a_failed_write_leaves_nothing(engine: sa.Engine, run_id: str) -> None:
    broken = state(keys=(("same", 1),) * 5)
    with pytest.raises(Exception, match="duplicate key"):
        states.write_state(engine, broken, run_id)
    assert states.read_state(engine, NIGHT) is None


def test_a_pool_of_2400_items_is_written_in_as_many_statements_as_one_of_five(
    engine: sa.Engine, run_id: str
) -> None:
    with statements_of(engine) as few:
        states.write_state(engine, state(n_items=5), run_id)
    with statements_of(engine) as many:
        states.write_state(engine, state(attempt=2, n_items=2400), run_id)
    assert len(many) == len(few) > 0
