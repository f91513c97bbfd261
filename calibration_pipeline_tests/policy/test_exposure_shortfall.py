"""A maximum that is missed is put down to the pool, the search or the levels, as it is."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.exposure_control import ControlledPool, control_pool
from calibration_pipeline.policy.exposure_shortfall import explain_shortfall
from calibration_pipeline.records import ScaleExposure
from calibration_pipeline_tests.simulated import draw_items

SMALL = ExposureConfiguration(
    method="eligibility", answers=6, top=1, candidates=500, verifying_candidates=10_000
)


def controlled(rate: float, n_items: int = 40, **changes: object) -> ScaleExposure:
    keys = tuple((f"i{j:03d}", 1) for j in range(n_items))
    parameters = draw_items(n_items, np.random.default_rng(3))
    pool = ControlledPool("main", keys, parameters, 1.0, 0.0, 1.0, 5)
    found = control_pool(pool, replace(SMALL, **changes), rate)
    assert not found.is_reached
    return found


def test_a_pool_that_is_too_small_for_random_tests():
    """All of seven items in a test of six: nothing open is left, and shut items are given."""
    said = explain_shortfall(controlled(0.86, n_items=7))
    assert "because nothing open is left: the pool can hardly" in said


def test_a_search_that_stopped_too_early():
    said = explain_shortfall(controlled(0.2, method="sympson-hetter", iterations=1))
    assert "the pool could do it; take more iterations, or the method eligibility" in said
    assert "nothing open" not in said
    short = explain_shortfall(controlled(0.16, candidates=10, tolerance=0.0))
    assert "the pool could do it; take more candidates" in short


def test_a_floor_above_the_maximum():
    said = explain_shortfall(controlled(0.2, method="sympson-hetter", floor=0.9, iterations=4))
    assert "the floor of 0.9 holds it open; lower that" in said


def test_a_level_known_by_estimates_alone_is_to_be_merged():
    said = explain_shortfall(controlled(0.3, cuts=(0.0, 1.7)))
    assert "of level 2 (θ above 1.7), about 446 of 10,000 candidates, not 0.3" in said
    assert "while their ability estimates lie in other levels" in said
    assert "merge it with the level below by leaving out the cut at 1.7" in said


@pytest.mark.parametrize(
    ("cuts", "level", "cut"), [((9.0,), 1, 9), ((-9.0,), 0, -9), ((-9.0, 0.0), 0, -9)]
)
def test_a_level_without_candidates_is_not_passed_over(cuts, level, cut):
    said = explain_shortfall(controlled(0.9, cuts=cuts))
    assert said.startswith(f"level {level} (θ ")
    assert "about 0 of 10,000 candidates, has too few of them to judge it by" in said
    assert f"leaving out the cut at {cut}, or simulate more" in said


def test_too_few_candidates_in_all():
    said = explain_shortfall(controlled(0.3, verifying_candidates=20))
    assert said.endswith("has too few of them to judge it by: simulate more verifying candidates")
