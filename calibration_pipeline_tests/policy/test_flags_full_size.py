"""What flags of drift are worth at full size: the study of docs/flags.md, held to its promises."""

from dataclasses import replace

import pytest

from studies.flag_chains import DroppingChain, FlaggedNights, detection, false_flags
from studies.flags import DROPS, STABLE


@pytest.mark.slow
def test_a_stable_pool_of_full_size_raises_at_most_one_new_credible_drift_flag_a_night():
    """2,400 items, 288 anchors; twenty nights from the 55th on, when most have a reference."""
    plan = replace(STABLE, seed=11, nights=75)
    found = false_flags(FlaggedNights(DroppingChain(plan)).run(), 55)
    assert found["nights"] >= 20
    assert found["over a threshold"] > 100  # what a raw threshold would have raised
    assert found["new credible"] <= 1.0
    assert 0.9 < found["sd of z"] < 1.1


@pytest.mark.slow
def test_drops_are_flagged_once_there_are_the_answers_that_the_power_calculation_asks_for():
    found = [
        detection(FlaggedNights(DroppingChain(replace(DROPS, seed=seed))).run())
        for seed in (11, 12)
    ]
    able = sum(pool["able"] for pool in found)
    assert able >= 10
    assert sum(pool["able and flagged"] for pool in found) >= 0.8 * able
