import numpy as np
import pytest

from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline_tests.simulated import draw_items

RULE = SelectionRule(answers=15, pool_share=0.2)


def simulate(seed: int, rule: SelectionRule = RULE, n_items: int = 200, n_sessions: int = 300):
    generator = np.random.default_rng(seed)
    truth = draw_items(n_items, generator)
    abilities = generator.normal(size=n_sessions)
    return abilities, truth, simulate_sessions(abilities, truth, truth, rule, generator)


def test_the_seed_decides_everything():
    first, second, other = simulate(1)[2], simulate(1)[2], simulate(2)[2]
    assert first.item.tobytes() == second.item.tobytes()
    assert first.correct.tobytes() == second.correct.tobytes()
    assert first.estimate.tobytes() == second.estimate.tobytes()
    assert first.item.tobytes() != other.item.tobytes()


def test_no_session_sees_an_item_twice():
    sessions = simulate(0)[2]
    ordered = np.sort(sessions.item, axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()


def test_a_session_sees_only_its_share_of_the_pool():
    """As many answers as the share holds: every session uses its whole share, drawn at random."""
    rule = SelectionRule(answers=10, pool_share=0.05)
    item = simulate(0, rule, n_items=200, n_sessions=2000)[2].item
    rate = np.bincount(item.ravel(), minlength=200) / 2000
    assert rate.mean() == pytest.approx(0.05)
    assert np.abs(rate - 0.05).max() < 4.5 * np.sqrt(0.05 * 0.95 / 2000)


def test_the_share_never_holds_fewer_items_than_a_session_has_answers():
    rule = SelectionRule(answers=20, pool_share=0.001)
    assert simulate(0, rule, n_items=20)[2].item.shape == (300, 20)


def test_a_pool_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="pool of as many items"):
        simulate(0, SelectionRule(answers=30), n_items=20)


def test_estimates_approach_the_abilities():
    abilities, _, sessions = simulate(0, n_sessions=2000)
    assert np.corrcoef(abilities, sessions.estimate[:, -1])[0, 1] > 0.85
    np.testing.assert_allclose(sessions.estimate[:, 0], 0.0, atol=1e-12)


def test_items_are_near_the_ability_and_answers_follow_the_model():
    abilities, truth, sessions = simulate(0, n_sessions=3000)
    a, b, c = truth[sessions.item[:, -1]].T
    assert np.corrcoef(abilities, b)[0, 1] > 0.4
    p = c + (1 - c) / (1 + np.exp(-a * (abilities - b)))
    residual = (sessions.correct[:, -1] - p) / np.sqrt(p * (1 - p))
    assert abs(residual.mean()) < 3.5 / np.sqrt(3000)
