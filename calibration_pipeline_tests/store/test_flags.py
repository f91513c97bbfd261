"""The history of flags: accepted nights, the newest try of each, and what they could judge."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.records import Flag
from calibration_pipeline.store import results, states
from calibration_pipeline.store.flags import newest_flagged_night, read_flag_history
from calibration_pipeline_tests.store.examples import NIGHT, state

FLAG = Flag(
    ("i00001", 2), "reference_drift", 0.4, 0.1, 0.15, 5.0, True, "moved", "all answers", NIGHT
)
NOISE = replace(FLAG, key=("i00000", 1), z=1.0, is_credible=False, compared_on=None)

Night = Callable[..., None]


def night(number: int) -> date:
    return NIGHT + timedelta(days=number)


@pytest.fixture
def add(engine: sa.Engine, run_id: str) -> Night:
    """Store a night's state, and its flags unless they are None."""

    def add(number: int, *flags: Flag, attempt: int = 1, **changes: object) -> None:
        states.write_state(engine, state(night(number), attempt, **changes), run_id)
        if changes.get("is_accepted", True):
            results.write_flags(engine, night(number), attempt, run_id, flags)

    return add


def test_nights_stand_in_order_with_their_flags_and_what_they_judged_by(
    engine: sa.Engine, add: Night
) -> None:
    add(1, FLAG)
    add(0)
    add(2, replace(FLAG, z=4.0))
    found = read_flag_history(engine, night(2))
    assert [n.partition for n in found] == [night(0), night(1), night(2)]
    assert [n.flags for n in found] == [(), (FLAG,), (replace(FLAG, z=4.0),)]
    stored = state()
    j = stored.keys.index(FLAG.key)
    for each in found:
        (judged,) = each.items.values()
        assert judged.window_count == stored.window_counts[j]
        assert (judged.is_updated, judged.is_anchor) == (stored.is_updated[j], stored.is_anchor[j])
        assert judged.is_compared


def test_an_item_that_no_group_saw_enough_of_was_not_compared(
    engine: sa.Engine, add: Night
) -> None:
    add(0, FLAG, differences=())
    (found,) = read_flag_history(engine, NIGHT)
    assert not found.items[FLAG.key].is_compared


def test_later_nights_and_rejected_ones_do_not_exist(engine: sa.Engine, add: Night) -> None:
    add(0, FLAG)
    add(1, is_accepted=False)
    add(2, FLAG)
    assert [n.partition for n in read_flag_history(engine, night(1))] == [night(0)]
    assert [n.partition for n in read_flag_history(engine, night(2))] == [night(0), night(2)]
    assert newest_flagged_night(engine) == night(2)


def test_of_a_night_run_again_the_newest_accepted_try_counts_in_its_newest_computation(
    engine: sa.Engine, run_id: str, add: Night
) -> None:
    add(0, FLAG)
    add(0, FLAG, attempt=2, window_counts=np.full(5, 7))
    results.write_flags(engine, NIGHT, 2, run_id, [replace(FLAG, z=9.0)])
    add(0, attempt=3, is_accepted=False)
    (found,) = read_flag_history(engine, NIGHT)
    assert [flag.z for flag in found.flags] == [9.0]
    assert found.items[FLAG.key].window_count == 7


def test_a_night_whose_flags_were_never_computed_says_nothing(
    engine: sa.Engine, run_id: str
) -> None:
    states.write_state(engine, state(), run_id)
    assert read_flag_history(engine, NIGHT) == ()
    assert newest_flagged_night(engine) is None


def test_noise_is_left_out_unless_it_is_asked_for(engine: sa.Engine, add: Night) -> None:
    """Of what was ever credible, the nights on which it wasn't are part of the history."""
    weak = replace(FLAG, z=2.0, is_credible=False)
    add(0, weak, NOISE)
    add(1, FLAG)
    found = read_flag_history(engine, night(1))
    assert [n.flags for n in found] == [(weak,), (FLAG,)]
    assert NOISE.key not in found[0].items
    whole = read_flag_history(engine, night(1), only_credible=False)
    assert whole[0].flags == (NOISE, weak)
    one = read_flag_history(engine, night(1), only_credible=False, item_id=NOISE.key[0])
    assert [n.flags for n in one] == [(NOISE,), ()]
