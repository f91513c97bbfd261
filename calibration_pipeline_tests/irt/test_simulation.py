import numpy as np
import pytest
from scipy.stats import kstest

from calibration_pipeline.irt.model import fisher_information
from calibration_pipeline.irt.simulation import (
    Acceptance,
    ContentAreas,
    RapidGuesses,
    SelectionRule,
    simulate_sessions,
)
from calibration_pipeline.irt.simulation_kernels import chance_of
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


def test_an_item_is_given_to_the_share_of_candidates_it_is_open_to():
    """One item that everybody wants: seen by those to whom it is open, and only by them."""
    truth = np.column_stack([np.full(50, 0.8), np.linspace(-2, 2, 50), np.full(50, 0.2)])
    truth[7] = [2.5, 0.0, 0.05]
    probability = np.ones((1, 50))
    probability[0, 7] = 0.3
    found = simulate_sessions(
        np.zeros(20_000), truth, truth, SelectionRule(10, 1.0, 1), np.random.default_rng(1),
        acceptance=Acceptance(probability, np.empty(0)),
    )  # fmt: skip
    assert found.exposure_rates(50)[7] == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 20_000))
    assert (found.item[:, 0] == 7).mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 20_000))


def test_acceptance_follows_the_level_of_the_estimate():
    truth = draw_items(60, np.random.default_rng(0))
    probability = np.ones((2, 60))
    probability[0, :30] = 0.0
    probability[1, 30:] = 0.0
    found = simulate_sessions(
        np.random.default_rng(1).normal(size=2000), truth, truth, SelectionRule(10, 1.0, 3),
        np.random.default_rng(2), acceptance=Acceptance(probability, np.array([0.1])),
    )  # fmt: skip
    assert np.array_equal(found.item < 30, found.estimate > 0.1)


def test_where_nothing_is_open_the_test_goes_on_with_the_best():
    abilities, truth, _ = simulate(3)
    shut, free = (
        simulate_like(abilities, truth, acceptance=Acceptance(probability, np.empty(0)))
        for probability in (np.zeros((1, 200)), np.ones((1, 200)))
    )
    assert shut.item.tobytes() == free.item.tobytes()


def test_content_areas_get_their_shares():
    truth = draw_items(200, np.random.default_rng(0))
    shares = np.array([0.5, 0.3, 0.2])
    areas = ContentAreas(np.arange(200) % 3, shares)
    found = simulate_sessions(
        np.random.default_rng(1).normal(size=500), truth, truth, SelectionRule(20, 1.0, 3),
        np.random.default_rng(2), content=areas,
    )  # fmt: skip
    for area, share in enumerate(shares):
        assert ((found.item % 3 == area).sum(axis=1) == 20 * share).all()


def test_an_area_without_items_left_gives_way():
    truth = draw_items(40, np.random.default_rng(0))
    areas = ContentAreas((np.arange(40) >= 4).astype(np.int64), np.array([0.5, 0.5]))
    found = simulate_sessions(
        np.zeros(50), truth, truth, SelectionRule(20, 1.0, 1), np.random.default_rng(2),
        content=areas,
    )  # fmt: skip
    assert ((found.item < 4).sum(axis=1) == 4).all()


def test_a_session_ends_when_the_ability_is_known_well_enough():
    abilities, truth, _ = simulate(0)
    rule = SelectionRule(30, 1.0, 1, least_answers=5, enough_sd=0.4)
    found = simulate_sessions(abilities, truth, truth, rule, np.random.default_rng(0))
    assert 5 <= found.length.min() < found.length.max() <= 30
    assert (found.final_sd[found.length < 30] <= 0.4).all()
    given = np.arange(30) < found.length[:, None]
    assert np.array_equal(found.item >= 0, given)
    assert np.array_equal(np.isnan(found.estimate), ~given)
    assert found.exposure_rates(200).sum() == pytest.approx(found.length.mean())
    assert np.sqrt(((found.final_estimate - abilities) ** 2).mean()) == pytest.approx(0.4, abs=0.06)


def test_a_weighted_draw_prefers_informative_items():
    generator = np.random.default_rng(0)
    truth = draw_items(200, generator)
    abilities = np.zeros(4000)
    alike, weighted = (
        simulate_sessions(
            abilities, truth, truth,
            SelectionRule(1, 1.0, 20, is_weighted=flag), np.random.default_rng(1),
        )
        for flag in (False, True)
    )  # fmt: skip
    information = fisher_information(np.zeros(1), truth)[:, 0]
    best = np.argsort(-information)[:20]
    expected = information[best] / information[best].sum()
    np.testing.assert_allclose(alike.exposure_rates(200)[best], 0.05, atol=0.015)
    np.testing.assert_allclose(weighted.exposure_rates(200)[best], expected, atol=0.02)


def test_numbers_of_sessions_and_items_are_uniform_and_unrelated():
    numbers = np.array([[chance_of(7, s, j) for j in range(100)] for s in range(200)])
    assert kstest(numbers.ravel(), "uniform").pvalue > 0.01
    correlations = np.corrcoef(numbers)[np.triu_indices(200, 1)]
    assert np.abs(correlations).max() < 6.0 / np.sqrt(100)
    assert chance_of(8, 0, 0) != chance_of(7, 0, 0)
