"""A sample of the night, and two calibrations compared."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.cross_check_configuration import SecondOpinionConfiguration
from calibration_pipeline.policy.second_opinion import (
    agreement,
    agrees,
    ask_about,
    halfway_difficulty,
    sampled_sessions,
)
from calibration_pipeline_tests.policy.chain import Chain, day
from calibration_pipeline_tests.simulated import (
    adaptive_data,
    draw_items,
    make_pool,
    night_inputs,
    simulate_days,
)

GENERATOR = np.random.default_rng(8)
TRUTH = draw_items(60, GENERATOR)
DATA = adaptive_data(TRUTH, GENERATOR.normal(size=200), GENERATOR, pool_share=0.6)
SETTINGS = SecondOpinionConfiguration(answers=3000, least_answers=20, least_items=10)


def test_whole_sessions_are_sampled() -> None:
    sample = sampled_sessions(DATA, SETTINGS, seed=1)
    assert sample.n_responses == 3000  # of 30 answers each
    assert (np.diff(sample.session_offsets) == 30).all()
    assert sampled_sessions(DATA, SETTINGS, seed=1).item.tobytes() == sample.item.tobytes()
    assert sampled_sessions(DATA, SETTINGS, seed=2).item.tobytes() != sample.item.tobytes()
    assert sampled_sessions(DATA, replace(SETTINGS, answers=10**6), 1).n_responses == 6000


@pytest.mark.parametrize("scaling_constant", [1.0, 1.7])
def test_half_of_the_answers_are_right_halfway(scaling_constant: float) -> None:
    halfway = halfway_difficulty(TRUTH, scaling_constant)
    p = response_probabilities(halfway, TRUTH, scaling_constant).diagonal()
    np.testing.assert_allclose(p, 0.5)


def test_another_scale_is_brought_to_ours() -> None:
    halfway = halfway_difficulty(TRUTH, 1.0)
    found = agreement(DATA, TRUTH, 0.5 * TRUTH[:, 0], 2.0 * halfway + 3.0, SETTINGS, 1.0)
    assert found is not None
    assert (found.slope, found.intercept) == (pytest.approx(0.5), pytest.approx(-1.5))
    np.testing.assert_allclose(found.difference, 0.0, atol=1e-12)
    assert found.correlation == pytest.approx(1.0)
    assert found.rank_correlation == pytest.approx(1.0)
    assert agrees(found, SETTINGS)
    assert (found.answers >= 20).all()


def test_what_does_not_agree_is_said() -> None:
    noise = GENERATOR.normal(size=60)
    found = agreement(DATA, TRUTH, TRUTH[:, 0], TRUTH[:, 1] + 3.0 * noise, SETTINGS, 1.0)
    assert found is not None
    assert not agrees(found, SETTINGS)
    one_off = np.where(np.arange(60) == found.items[0], 80.0, halfway_difficulty(TRUTH, 1.0))
    off = agreement(DATA, TRUTH, TRUTH[:, 0], one_off, SETTINGS, 1.0)
    assert off is not None
    # One item far off hardly changes ranks, but the linear scale: both are needed.
    assert off.rank_correlation > 0.85 > off.correlation
    assert not agrees(off, SETTINGS)


def test_too_few_items_say_nothing() -> None:
    few = replace(SETTINGS, least_items=61)
    assert agreement(DATA, TRUTH, TRUTH[:, 0], TRUTH[:, 1], few, 1.0) is None


def test_the_sample_is_of_the_answers_that_were_fitted() -> None:
    configuration = CalibrationConfiguration(window_days=2, second_opinion=SETTINGS)
    pool = make_pool(60, 12, np.random.default_rng(3))
    days = simulate_days(pool, 2, np.random.default_rng(4))
    chain = Chain(pool, days, configuration)
    state = chain.run(1)
    inputs = night_inputs(day(1), days, pool.bank, pool.anchors, configuration)
    sample = ask_about(state, inputs, configuration, seed=1)
    assert sample is not None
    assert sample.keys == pool.bank.keys
    assert sample.data.n_responses == 2400
    np.testing.assert_array_equal(sample.data.item_counts, state.window_counts)
    np.testing.assert_array_equal(sample.parameters, state.parameters)
    assert sample.why_too_small(SETTINGS) == ""
    why = sample.why_too_small(replace(SETTINGS, least_answers=1000))
    assert why == "fewer than 10 items have 1000 answers in the sample"
    unfitted = replace(state, scales=(replace(state.scales[0], fitted=False),))
    assert ask_about(unfitted, inputs, configuration, seed=1) is None
