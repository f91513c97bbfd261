"""Which items are audited, and that what is audited is what the night computed."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.cross_check_configuration import AuditConfiguration
from calibration_pipeline.policy.posterior_audit import audited_items, chosen_items
from calibration_pipeline.policy.posterior_comparison import compare_posterior, judge_audit
from calibration_pipeline.records import Flag
from calibration_pipeline_tests.policy.chain import Chain, day
from calibration_pipeline_tests.simulated import make_pool, night_inputs, simulate_days

SETTINGS = CalibrationConfiguration(
    window_days=3, minimum_responses=10, audit=AuditConfiguration(items=12, least_answers=10)
)


@pytest.fixture(scope="module")
def chain() -> Chain:
    pool = make_pool(60, 12, np.random.default_rng(3))
    days = simulate_days(pool, 5, np.random.default_rng(4))
    chain = Chain(pool, days, SETTINGS)
    for number in range(5):
        chain.run(number)
    return chain


def flag(key: tuple[str, int], z: float, *, is_credible: bool = True) -> Flag:
    return Flag(key, "difficulty drift", 0.3, 0.0, 0.15, z, is_credible, "moved")


def inputs_of(chain: Chain, number: int):
    state, parent = chain.accepted[day(number)], chain.accepted[day(number - 1)]
    inputs = night_inputs(
        state.partition, chain.days, chain.pool.bank, chain.pool.anchors, SETTINGS, parent=parent
    )
    return state, replace(inputs, leaving=())


def test_flagged_items_come_first_and_leave_half_to_the_sample(chain: Chain) -> None:
    state = chain.accepted[day(4)]
    free = [key for j, key in enumerate(state.keys) if not state.is_anchor[j]]
    flags = [flag(key, z=4.0 + n) for n, key in enumerate(free[:9])]
    flags.append(flag(free[20], z=50.0, is_credible=False))
    chosen, is_flagged = chosen_items(state, flags, SETTINGS)
    assert len(chosen) == 12
    clearest = {f.key for f in sorted(flags[:9], key=lambda f: -f.z)[:6]}
    assert {state.keys[j] for j in chosen[is_flagged]} == clearest
    assert not state.is_anchor[chosen].any()
    assert (state.window_counts[chosen] >= 10).all()
    again, _ = chosen_items(state, flags, SETTINGS)
    assert (again == chosen).all()
    other, _ = chosen_items(chain.accepted[day(3)], [], SETTINGS)
    assert set(other) != set(chosen_items(state, [], SETTINGS)[0])


def test_the_posterior_is_that_of_the_night(chain: Chain) -> None:
    """Its curvature is the covariance that the night stored, less what all items share."""
    state, inputs = inputs_of(chain, 4)
    items = audited_items(state, inputs, [], SETTINGS)
    assert len(items) == 12
    for item in items:
        j = state.keys.index(item.key)
        assert item.posterior.evidence.n_answers == state.window_counts[j]
        shared = np.diagonal(item.covariance - item.own_covariance)
        assert (shared > -1e-9).all()
        assert (shared < 0.5 * np.diagonal(item.own_covariance)).all()
        # At its mode in (log a, a·b, logit c), which the estimator takes, the slope is (1, 0, 0).
        step = 1e-4 * np.eye(3)
        density = item.posterior.log_density
        slope = (density(item.mean + step) - density(item.mean - step)) / 2e-4
        sd = np.sqrt(np.diagonal(item.own_covariance))
        np.testing.assert_allclose(slope * sd, [sd[0], 0.0, 0.0], atol=0.05)


def test_a_pool_or_answers_that_have_changed_are_refused(chain: Chain) -> None:
    state, inputs = inputs_of(chain, 4)
    with pytest.raises(ValueError, match="the pool has changed"):
        audited_items(replace(state, keys=state.keys[::-1]), inputs, [], SETTINGS)
    with pytest.raises(ValueError, match="the answers have changed"):
        audited_items(state, replace(inputs, window=inputs.window[1:]), [], SETTINGS)


def test_an_approximation_is_judged_by_the_settings(chain: Chain) -> None:
    state, inputs = inputs_of(chain, 4)
    item = audited_items(state, inputs, [], SETTINGS)[0]
    generator = np.random.default_rng(1)
    exact = generator.multivariate_normal(item.mean, item.own_covariance, (4, 500))
    fine, enough = np.ones(3), np.full(3, 900.0)

    def judged(draws: np.ndarray, r_hat: np.ndarray = fine):
        return compare_posterior(item, draws, r_hat, enough, SETTINGS.audit)

    assert not judged(exact).is_poor
    np.testing.assert_allclose(judged(exact).sd_ratio, 1.0, atol=0.08)
    sd = np.sqrt(np.diagonal(item.own_covariance))
    moved = judged(exact + np.array([0.0, 0.8, 0.0]) * sd)
    assert moved.is_poor
    assert all("of b" in reason for reason in moved.reasons)
    wider = judged(item.mean + (exact - item.mean) * np.array([1.0, 1.0, 2.0]))
    assert wider.is_poor
    unsure = judged(exact + np.array([0.0, 0.8, 0.0]) * sd, np.array([1.0, 1.2, 1.0]))
    assert not unsure.is_judged
    assert not unsure.is_poor
    good = judged(exact)
    assert judge_audit([good] * 10, SETTINGS.audit).passed
    assert not judge_audit([good] * 8 + [moved] * 2, SETTINGS.audit).passed
    assert not judge_audit([good] * 8 + [unsure] * 2, SETTINGS.audit).passed
    nothing = judge_audit([], SETTINGS.audit)
    assert nothing.passed
    assert "too few to judge" in nothing.detail
    # A flagged item is no sample of the pool.
    assert judge_audit([good] * 8 + [replace(moved, is_flagged=True)], SETTINGS.audit).passed
