"""Nights on which the anchor set changes: the scale stays, and every answer still counts once."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import AnchorSet, CalibrationState
from calibration_pipeline_tests.policy.chain import Chain
from calibration_pipeline_tests.simulated import (
    NO_ANCHORS,
    SimulatedPool,
    Traffic,
    make_anchors,
    make_pool,
    simulate_days,
)

SETTINGS = CalibrationConfiguration(window_days=8, maximum_moved_share=1.0)
CHANGE, NIGHTS = 16, 21
TRAFFIC = Traffic(sessions=120, answers=20, pool_share=0.5)
OLD, NEW = range(12), range(12, 42)
BOTH_FREE = slice(42, None)
WRONG_BY = 0.4


@pytest.fixture(scope="module")
def pool() -> SimulatedPool:
    found = make_pool(80, 0, np.random.default_rng(1))
    return replace(found, anchors=make_anchors(found.bank, OLD, found.truth))


@pytest.fixture(scope="module")
def days(pool: SimulatedPool) -> list:
    return simulate_days(pool, NIGHTS, np.random.default_rng(2), TRAFFIC)


def selected(pool: SimulatedPool, state: CalibrationState) -> AnchorSet:
    """Other items than before, at their estimates."""
    return replace(make_anchors(pool.bank, NEW, state.parameters), anchor_set_id=2)


def calibrated(pool: SimulatedPool, days: list, change: bool = True) -> list[CalibrationState]:
    """All nights; where the set changes, from the night number `CHANGE` on."""
    chain = Chain(pool, days, SETTINGS).run_all(range(CHANGE))
    if change:
        last = list(chain.stored.values())[-1]
        chain.pool = replace(pool, anchors=selected(pool, last))
    chain.run_all(range(CHANGE, NIGHTS))
    return list(chain.stored.values())


@pytest.fixture(scope="module")
def changed(pool: SimulatedPool, days: list) -> list[CalibrationState]:
    return calibrated(pool, days)


@pytest.fixture(scope="module")
def unchanged(pool: SimulatedPool, days: list) -> list[CalibrationState]:
    return calibrated(pool, days, change=False)


@pytest.fixture(scope="module")
def never_anchors(pool: SimulatedPool, days: list) -> list[CalibrationState]:
    """The same answers with other anchors, at true values: the old ones are always free."""
    others = make_anchors(pool.bank, NEW, pool.truth)
    return calibrated(replace(pool, anchors=others), days, change=False)


def test_the_scale_does_not_jump(
    pool: SimulatedPool, changed: list[CalibrationState], unchanged: list[CalibrationState]
) -> None:
    """Against the same answers under the old set: what differs is the set's doing alone."""
    for night in range(CHANGE, NIGHTS):
        moved = changed[night].parameters[BOTH_FREE, 1] - unchanged[night].parameters[BOTH_FREE, 1]
        error = changed[night].parameters[BOTH_FREE, 1] - pool.truth[BOTH_FREE, 1]
        # Thirty references with errors of .13 place the scale with an error of .024.
        assert abs(moved.mean()) < 0.03
        assert abs(error.mean()) < 0.08
    slope = np.polyfit(unchanged[-1].parameters[BOTH_FREE, 1],
                       changed[-1].parameters[BOTH_FREE, 1], 1)[0]  # fmt: skip
    assert slope == pytest.approx(1.0, abs=0.06)


def test_new_anchors_are_held_and_go_on_carrying(
    changed: list[CalibrationState], unchanged: list[CalibrationState]
) -> None:
    new = list(NEW)
    reference = changed[CHANGE - 1].parameters[new]
    for state in changed[CHANGE:]:
        np.testing.assert_array_equal(state.parameters[new], reference)
        assert state.is_anchor[new].all()
    # What leaves the window is folded in as before: as much, and each day once.
    ours, theirs = (
        states[-1].carried_information[new, 1, 1].sum() for states in (changed, unchanged)
    )
    assert ours == pytest.approx(theirs, rel=0.05)
    assert changed[-1].total_counts.tolist() == unchanged[-1].total_counts.tolist()


def test_what_ceases_to_be_an_anchor_is_estimated_from_its_own_answers(
    pool: SimulatedPool, days: list
) -> None:
    """Old anchors were held at wrong values; their answers say so once they are free."""
    wrong = pool.truth.copy()
    wrong[list(OLD), 1] += np.resize([WRONG_BY, -WRONG_BY], len(OLD))
    states = calibrated(replace(pool, anchors=make_anchors(pool.bank, OLD, wrong)), days)
    before, after = states[CHANGE - 1], states[CHANGE]
    old = list(OLD)
    np.testing.assert_array_equal(before.parameters[old], wrong[old])
    assert not after.is_anchor[old].any()
    error = after.parameters[old, 1] - pool.truth[old, 1]
    direction = np.sign(wrong[old, 1] - pool.truth[old, 1])
    left = (error * direction).mean()
    assert abs(left) < 0.3 * WRONG_BY


def test_released_anchors_carry_what_free_items_would(
    pool: SimulatedPool,
    changed: list[CalibrationState],
    never_anchors: list[CalibrationState],
) -> None:
    """Nothing counts twice, and nothing is lost."""
    old, state = list(OLD), changed[CHANGE]
    ours, theirs = (
        states[CHANGE].carried_information[old, 1, 1].sum() for states in (changed, never_anchors)
    )
    # Each answer tells as much as the discrimination that it was folded at says.
    assert ours == pytest.approx(theirs, rel=0.25)
    z = (state.parameters - pool.truth)[old, 1] / np.sqrt(state.covariance[old, 1, 1])
    assert np.sqrt(np.square(z).mean()) < 1.6


@pytest.mark.slow
def test_a_pool_without_anchors_gets_its_first_set_without_a_jump(
    pool: SimulatedPool, days: list
) -> None:
    free = replace(pool, anchors=NO_ANCHORS)
    changed, unchanged = calibrated(free, days), calibrated(free, days, change=False)
    for night in range(CHANGE, NIGHTS):
        ours, theirs = (states[night].parameters[BOTH_FREE, 1] for states in (changed, unchanged))
        assert abs((ours - theirs).mean()) < 0.03
