"""Rates add up to the test; a maximum is reached or refused; independent candidates say which."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.exposure_control import (
    AdaptiveTest,
    ItemEligibility,
    SympsonHetter,
    UnreachableRateError,
    control_exposure,
)
from calibration_pipeline.irt.simulation import ContentAreas, SelectionRule
from calibration_pipeline_tests.simulated import draw_items

SHORT = ItemEligibility((250,) * 20 + (1000,) * 15 + (4000,) * 10)


def normal(n: int, generator: np.random.Generator) -> np.ndarray:
    return generator.normal(size=n)


def adaptive_test(n_items: int = 120, answers: int = 12, **options) -> AdaptiveTest:
    parameters = draw_items(n_items, np.random.default_rng(3))
    return AdaptiveTest(parameters, SelectionRule(answers, 1.0, 1), normal, **options)


def control(test: AdaptiveTest, method=SHORT, rate: float = 0.25, candidates: int = 40_000):
    return control_exposure(test, rate, method, np.random.default_rng(8), candidates)


def test_eligibility_reaches_the_maximum_where_sympson_hetter_does_not_yet():
    test = adaptive_test()
    found = control(test)
    assert found.uncontrolled.worst_rate == 1.0
    assert found.reached.worst_rate < 0.25 + 3.5 * np.sqrt(0.25 * 0.75 / 40_000)
    assert found.is_reached(0.05)
    hetter = control(test, SympsonHetter())
    assert not hetter.is_reached(0.05)
    assert hetter.reached.worst_rate < 0.5
    assert hetter.cycles[-1].worst_rate < hetter.cycles[1].worst_rate


@pytest.mark.parametrize("share", [2.0, 4.0])
def test_maxima_near_the_lowest_possible_are_reached(share):
    """Ranks of items have to be closed one after another; stale counts hold the next one open."""
    generator = np.random.default_rng(1)
    parameters = np.column_stack(
        [generator.uniform(0.7, 2.0, 200), generator.normal(0.0, 1.2, 200), np.full(200, 0.2)]
    )
    test = AdaptiveTest(parameters, SelectionRule(2, 1.0, 5), normal)
    rate = share * 2 / 200
    found = control(test, ItemEligibility(), rate, candidates=60_000)
    assert found.uncontrolled.worst_rate > 4.0 * rate
    assert found.reached.worst_rate < rate * 1.07
    assert found.is_reached(0.0)


def test_a_level_is_judged_by_its_own_candidates():
    """Of 1,000 about 23 lie above 2: no rate of theirs is known well enough."""
    test = adaptive_test(cuts=(2.0,))
    few, many = (control(test, ItemEligibility((200,) * 3), 0.3, n) for n in (1000, 40_000))
    assert few.reached.level_candidates.sum() == 1000
    assert few.reached.level_candidates[1] < 40
    calm = np.full_like(few.reached.rates, 0.1)
    assert not replace(few, reached=replace(few.reached, rates=calm)).is_reached(0.05)
    assert replace(many, reached=replace(many.reached, rates=calm)).is_reached(0.05)
    nobody = replace(many.reached, rates=calm, level_candidates=np.array([40_000.0, 0.0]))
    assert not replace(many, reached=nobody).is_reached(10.0)


def test_what_chance_explains_is_no_miss_and_more_is():
    found = control(adaptive_test(), ItemEligibility((200,) * 3), 0.25, 10_000)
    margin = 3.0 * np.sqrt(0.25 * 0.75 / 10_000)
    for rate, is_reached in ((0.25 + 0.99 * margin, True), (0.25 + 1.01 * margin, False)):
        reached = replace(found.reached, rates=np.full((1, 120), rate))
        assert replace(found, reached=reached).is_reached(0.0) is is_reached


def test_smaller_levels_aim_lower():
    test = adaptive_test(cuts=(1.0,))
    aimed = []

    class Recording(ItemEligibility):
        def search(self, test, maximum_rate, generator, tell):
            aimed.append(maximum_rate)
            return super().search(test, maximum_rate, generator, tell)

    control(test, Recording((50,)), 0.25, 20_000)
    below, above = 0.25 - aimed[0][:, 0]
    assert below == pytest.approx(3.0 * np.sqrt(0.25 * 0.75 / (20_000 * 0.841)), rel=0.05)
    assert above == pytest.approx(3.0 * np.sqrt(0.25 * 0.75 / (20_000 * 0.159)), rel=0.05)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (SympsonHetter, {"damping": float("nan")}),
        (SympsonHetter, {"floor": 0.5, "ceiling": 0.4}),
        (SympsonHetter, {"cycles": 0}),
        (ItemEligibility, {"candidates": ()}),
        (ItemEligibility, {"candidates": (100, 0)}),
        (SelectionRule, {"enough_sd": float("nan")}),
        (SelectionRule, {"top": 0}),
        (adaptive_test, {"cuts": (float("nan"),)}),
        (adaptive_test, {"cuts": (1.0, 0.0)}),
        (adaptive_test, {"scaling_constant": float("nan")}),
    ],
)
def test_what_cannot_be_simulated_is_refused(kind, changes):
    with pytest.raises(ValueError, match=r"must|needs"):
        kind(**changes)


def test_rates_sum_to_the_length_of_the_test():
    found = control(adaptive_test(), candidates=2000)
    for outcome in (found.reached, found.uncontrolled):
        assert outcome.mean_length == 12
        assert round(outcome.overall_rates.sum() * outcome.candidates) == 12 * outcome.candidates


@pytest.mark.slow
def test_control_costs_precision_and_the_more_the_lower_the_maximum():
    test = adaptive_test()
    lost = [control(test, rate=rate, candidates=5000).precision_lost for rate in (0.9, 0.4, 0.2)]
    assert -0.005 < lost[0] < 0.02 < lost[1] < lost[2]


def test_what_is_reached_is_said_by_other_candidates():
    """Probabilities that fit 100 candidates by heart don't reach the maximum with others."""
    hasty = control(adaptive_test(), ItemEligibility((100,) * 6))
    assert not hasty.is_reached(0.05)


@pytest.mark.parametrize(("answers", "rate", "least"), [(30, 0.2, "0.353"), (17, 0.199, "0.200")])
def test_an_unreachable_maximum_is_refused_with_the_arithmetic(answers, rate, least):
    with pytest.raises(UnreachableRateError, match=rf"{answers}/85 = {least}"):
        control(adaptive_test(85, answers), rate=rate)


def test_the_lowest_maximum_that_can_be_reached_is_not_refused():
    found = control(adaptive_test(40, 10), rate=0.25, candidates=500)
    assert found.reached.overall_rates.mean() == pytest.approx(0.25)


def test_a_content_area_that_is_too_small_is_refused():
    areas = ContentAreas((np.arange(120) < 6).astype(np.int64), np.array([0.7, 0.3]))
    with pytest.raises(UnreachableRateError, match=r"3\.6 items .* 6 of content area 1"):
        control(adaptive_test(content=areas))


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.2, float("nan")])
def test_a_maximum_is_a_share(rate):
    with pytest.raises(ValueError, match="maximum rate"):
        control(adaptive_test(), rate=rate)


def test_several_levels_each_have_their_own_rates():
    test = adaptive_test(240, cuts=(-0.7, 0.7))
    one = control(replace(test, cuts=()), rate=0.3)
    three = control(test, rate=0.3)
    assert three.probability.shape == (3, 240)
    # One level lets able candidates all see the same hard items: few of all, but most of them.
    generator = np.random.default_rng(2)
    abilities, sessions = replace(test, cuts=()).simulate(40_000, one.probability, generator)
    by_level = test.seen(abilities, sessions) / test.taken(abilities)[:, None]
    assert by_level.max() > 0.6
    assert three.reached.worst_rate < 0.42


def test_the_seed_decides_everything():
    first, second = (control(adaptive_test(), candidates=500) for _ in range(2))
    assert first.probability.tobytes() == second.probability.tobytes()
    assert first.reached.rates.tobytes() == second.reached.rates.tobytes()


def test_the_bounds_of_sympson_hetter():
    method = SympsonHetter(cycles=12, candidates=500, damping=1.0, floor=0.4, ceiling=0.8)
    probability = control(adaptive_test(), method, candidates=500).probability
    assert probability.min() == 0.4
    assert probability.max() == 0.8
