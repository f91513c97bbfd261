import numpy as np
import pytest

from calibration_pipeline.irt.simulation import RapidGuesses, SelectionRule, simulate_sessions
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


def test_without_starts_the_engine_knows_nothing():
    abilities, truth, sessions = simulate(3)
    unknown = np.full(len(abilities), np.nan)
    other = simulate_like(abilities, truth, starts=unknown)
    assert sessions.item.tobytes() == other.item.tobytes()
    assert sessions.estimate.tobytes() == other.estimate.tobytes()


def simulate_like(abilities, truth, **options):
    """The sessions of `simulate(3)`, with options."""
    generator = np.random.default_rng(3)
    draw_items(len(truth), generator)
    generator.normal(size=len(abilities))
    return simulate_sessions(abilities, truth, truth, RULE, generator, **options)


def test_a_session_starts_where_the_engine_says_and_with_items_for_it():
    abilities, truth, sessions = simulate(3)
    starts = np.where(np.arange(300) % 2 == 0, np.nan, np.linspace(-3.9, 3.9, 300))
    started = simulate_like(abilities, truth, starts=starts)
    known = ~np.isnan(starts)
    assert np.array_equal(started.estimate[known, 0], starts[known])
    assert started.item[~known].tobytes() == sessions.item[~known].tobytes()
    difficulty = truth[started.item[known, 0], 1]
    assert np.corrcoef(difficulty, starts[known])[0, 1] > 0.7


def test_answers_pull_away_from_a_start_the_less_the_surer_the_engine_is():
    abilities, truth, _ = simulate(3)
    starts = abilities + 1.0
    error = {}
    for spread in (0.1, 0.5, 2.0):
        rule = SelectionRule(answers=15, pool_share=0.2, start_sd=spread)
        generator = np.random.default_rng(0)
        found = simulate_sessions(abilities, truth, truth, rule, generator, starts=starts)
        error[spread] = (found.final_estimate - abilities).mean()
    assert 1.0 > error[0.1] > 0.8 > error[0.5] > error[2.0] > -0.1


def test_the_final_estimate_takes_in_the_last_answer():
    _, _, sessions = simulate(0)
    rose = sessions.final_estimate > sessions.estimate[:, -1]
    assert np.array_equal(rose, sessions.correct[:, -1] == 1)


def test_rapid_guesses_are_right_by_chance_whatever_the_ability():
    abilities, truth, honest = simulate(3, n_sessions=3000)
    given = np.random.default_rng(0).random((3000, 15)) < 0.3
    chance = np.where(np.arange(200) % 2 == 0, 0.25, 0.0)
    found = simulate_like(abilities, truth, guesses=RapidGuesses(given, chance))
    can_be_right = given & (chance[found.item] > 0)
    assert not found.correct[given & ~can_be_right].any()
    assert found.correct[can_be_right].mean() == pytest.approx(0.25, abs=0.02)
    untouched = ~given.any(axis=1)
    assert np.array_equal(found.correct[untouched], honest.correct[untouched])


@pytest.mark.parametrize(
    "options",
    [
        {"starts": np.zeros(299)},
        {"guesses": RapidGuesses(np.zeros((300, 14), bool), np.zeros(200))},
    ],
)
def test_one_row_per_session_is_wanted(options):
    abilities, truth, _ = simulate(3)
    with pytest.raises(ValueError, match="one row per session"):
        simulate_like(abilities, truth, **options)
