"""Base priors over many nights: what they are learned from must not make them run away."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    Traffic,
    make_pool,
    night_inputs,
    run_nights,
    simulate_days,
)

SETTINGS = replace(CalibrationConfiguration(), window_days=8)


def test_a_break_of_many_nights_leaves_priors_and_estimates_as_they_were():
    """No answers for thirty nights, the window empty for most of them; then traffic again."""
    generator = np.random.default_rng(0)
    pool = make_pool(80, 16, generator)
    days = simulate_days(pool, 50, generator, Traffic(60, 15, 0.4))
    open_days = days[:14] + days[44:]
    free, parent, states = ~pool.is_anchor, None, []
    for number in range(50):
        night = FIRST_DAY + timedelta(days=number)
        inputs = night_inputs(night, open_days, pool.bank, pool.anchors, SETTINGS, parent=parent)
        parent = calibrate_night(inputs, SETTINGS)
        assert parent.is_accepted, parent.reasons
        states.append(parent)
    before, after = states[13], states[-1]
    assert not states[30].scales[0].fitted
    assert after.scales[0].fitted
    np.testing.assert_array_equal(states[43].parameters, states[30].parameters)
    np.testing.assert_array_equal(states[43].prior_mean, states[30].prior_mean)
    assert after.prior_mean[free, 0] == pytest.approx(before.prior_mean[free, 0], abs=0.1)
    errors = [
        np.sqrt(np.square(np.log(s.parameters[free, 0] / pool.truth[free, 0])).mean())
        for s in (before, after)
    ]
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.parametrize("anchors", [4, 8])
def test_few_anchors_and_talkative_authors_are_no_reason_to_reject(anchors):
    """The second night takes its prior from items and authors, the first had the textbook's."""
    generator = np.random.default_rng(1)
    pool = make_pool(80, anchors, generator)
    days = simulate_days(pool, 12, generator, Traffic(60, 15, 0.4))
    states = run_nights(pool, days, SETTINGS, first=7)
    assert [state.reasons for state in states] == [()] * 5
    assert np.ptp(states[0].prior_mean[:, 1]) == 0.0
    assert np.ptp(states[1].prior_mean[:, 1]) > 1.0
