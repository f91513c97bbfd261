"""A leak that is found late gives an item back what it carried before."""

from dataclasses import replace

import numpy as np

from calibration_pipeline.policy.carrying import carry_over
from calibration_pipeline.policy.leak_carrying import without_leaked_days
from calibration_pipeline_tests.policy.leak_chain import (
    LEAKED,
    SETTINGS,
    LeakChain,
    leaky_days,
    leaky_pool,
)

HALF_LIFE = 2.0


def test_what_was_folded_since_the_onset_is_taken_out_of_that_item_alone():
    pool = leaky_pool()
    states = LeakChain(leaky_days(with_leak=False), SETTINGS).run_through(6).states
    before, parent = states[5], states[6]
    carried = carry_over(parent, {}, pool.bank, pool.anchors)
    key = pool.bank.keys[LEAKED]
    found = without_leaked_days(carried, {key: before}, pool.bank, HALF_LIFE)
    days = (parent.folded_through - before.folded_through).days
    assert days == 1
    np.testing.assert_allclose(
        found.information[LEAKED], before.carried_information[LEAKED] * 0.5 ** (days / HALF_LIFE)
    )
    np.testing.assert_allclose(
        found.linear[LEAKED], before.carried_linear[LEAKED] * 0.5 ** (days / HALF_LIFE)
    )
    assert found.folded_counts[LEAKED] < carried.folded_counts[LEAKED]
    others = np.arange(pool.bank.n_items) != LEAKED
    np.testing.assert_array_equal(found.information[others], carried.information[others])
    # What the change made the fit drop comes back, too.
    dropped = replace(carried, carried_from=np.full(pool.bank.n_items, np.datetime64("2026-01-07")))
    back = without_leaked_days(dropped, {key: before}, pool.bank, HALF_LIFE)
    assert np.isnat(back.carried_from[LEAKED])


def test_a_leak_from_before_the_first_state_leaves_nothing_carried():
    pool = leaky_pool()
    parent = LeakChain(leaky_days(with_leak=False), SETTINGS).run_through(6).states[-1]
    carried = carry_over(parent, {}, pool.bank, pool.anchors)
    assert carried.information[LEAKED].any()
    key = pool.bank.keys[LEAKED]
    found = without_leaked_days(carried, {key: None}, pool.bank, HALF_LIFE)
    assert not found.information[LEAKED].any()
    assert not found.linear[LEAKED].any()
    assert found.folded_counts[LEAKED] == 0
    assert without_leaked_days(carried, {}, pool.bank, HALF_LIFE) is carried
