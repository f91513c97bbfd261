"""The CUSUM against its definition, its state, and its rate of false alarms."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.stats import norm

from calibration_pipeline.irt.leak_detection import DetectorState, WatchedAnswers, advance
from calibration_pipeline.irt.leak_model import (
    ItemKnowledge,
    LeakModel,
    knowledge_nodes,
    node_weights,
)
from calibration_pipeline.irt.leak_thresholds import (
    alarm_thresholds,
    false_alarm_constants,
    simulated_constants,
)
from calibration_pipeline_tests.irt.leak_items import (
    EXACT,
    ONE_SHARE,
    draw_answers,
    estimated_items,
    known_items,
)

NEVER = 1e9


def _answers(correct, pace=None, speed_variance=0.0225):
    n = len(correct)
    return WatchedAnswers(
        np.zeros(n, int),
        np.asarray(correct),
        np.zeros(n),
        np.zeros(n),
        np.full(n, np.nan) if pace is None else np.asarray(pace, float),
        np.full(n, speed_variance),
    )


def _run(answers, knowledge, model, thresholds=NEVER, state=None, day=0):
    n_items = len(knowledge.time_mean)
    state = state or DetectorState.at_zero(n_items, model)
    limits = np.full((n_items, len(model.shares)), thresholds)
    return advance(state, day, answers, knowledge, limits, model)


def _assert_same_bytes(one, other):
    for field in fields(one):
        mine, others = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, ItemKnowledge):
            _assert_same_bytes(mine, others)
        else:
            assert mine.tobytes() == others.tobytes(), field.name


def test_the_cusum_of_accuracy_is_pages():
    correct = np.array([1, 1, 0, 0, 1, 1, 1, 0, 1])
    p = 0.2 + 0.8 / 2  # ability at the difficulty, known exactly
    steps = np.where(correct == 1, np.log(0.5 + 0.475 / p), np.log(0.5 + 0.025 / (1 - p)))
    height, since = 0.0, 0
    for step in steps:
        height, since = (height + step, since + 1) if height + step > 0 else (0.0, 0)
    state, _ = _run(_answers(correct), known_items(1), ONE_SHARE)
    assert state.log_ratio[0, 0] == pytest.approx(height, rel=1e-12)
    assert state.answers[0, 0] == since
    assert 0 < since < len(correct)


def test_the_ratio_of_times_is_that_of_normal_densities_capped_and_made_a_density_again():
    variance, shift, cap = 0.16 + 0.0225, np.log(0.6), 3.0
    pace = np.array([3.6, 4.1])
    model = replace(ONE_SHARE, maximum_time_ratio=cap)
    sd = np.sqrt(variance)
    grid = np.linspace(-3, 3, 600_001)
    density = norm.pdf(grid, 0, sd)
    ratio = np.minimum(norm.pdf(grid, shift, sd) / density, cap)
    mass = (ratio * density).sum() * (grid[1] - grid[0])
    own = np.minimum(norm.pdf(pace - 4, shift, sd) / norm.pdf(pace - 4, 0, sd), cap) / mass
    expected = np.log(0.5 + 0.5 * (0.95 / 0.6) * own)
    state, _ = _run(_answers([1, 1], pace), known_items(1, timed=True), model)
    assert state.log_ratio[0, 0] == pytest.approx(expected.sum(), rel=1e-6)


def test_the_item_is_integrated_under_both_hypotheses():
    knowledge = replace(known_items(1), covariance=np.diag([0.04, 0.03, 0.1])[None])
    model = LeakModel(shares=(0.3,), budgets=(1.0,), time_nodes=1)
    correct = np.array([1, 1, 1, 1, 1, 0])
    a, b, c = knowledge_nodes(knowledge, model).parameters[0].T
    right = c + (1 - c) / (1 + np.exp(a * b))
    null = np.where(correct[:, None] == 1, right, 1 - right)
    leaked = 0.7 * null + 0.3 * np.where(correct[:, None] == 1, 0.95, 0.05)
    weights = node_weights(model)
    expected = np.log((weights * leaked.prod(axis=0)).sum() / (weights * null.prod(axis=0)).sum())
    state, _ = _run(_answers(correct), knowledge, model)
    assert state.answers[0, 0] == len(correct)  # it never was at zero
    assert state.log_ratio[0, 0] == pytest.approx(expected, rel=1e-10)


def test_the_nodes_have_the_posteriors_moments_where_two_directions_are_all():
    knowledge = replace(known_items(1), covariance=np.diag([0.04, 0.02, 0.0])[None])
    model = LeakModel(time_nodes=1)
    phi = knowledge_nodes(knowledge, model).parameters[0] * 1.0
    values = np.column_stack([np.log(phi[:, 0]), phi[:, 1]])
    weights = node_weights(model)
    mean = weights @ values
    np.testing.assert_allclose(mean, [np.log(1.2), 0.0], atol=1e-12)
    np.testing.assert_allclose(
        (values - mean).T @ ((values - mean) * weights[:, None]), np.diag([0.04, 0.02]), atol=1e-12
    )


def test_days_one_by_one_are_one_pass_and_a_restart_changes_no_byte():
    generator = np.random.default_rng(5)
    truth, knowledge = estimated_items(20, generator, timed=True)
    days = [draw_answers(truth, 25, 0.3, generator, timed=True) for _ in range(4)]
    model = LeakModel()
    straight = restarted = DetectorState.at_zero(20, model)
    for day, answers in enumerate(days):
        straight, _ = _run(answers, knowledge, model, state=straight, day=day)
        stored = {f.name: np.array(getattr(restarted, f.name)) for f in fields(restarted)
                  if f.name != "knowledge"}  # fmt: skip
        parts = {f.name: np.array(getattr(restarted.knowledge, f.name))
                 for f in fields(ItemKnowledge)}  # fmt: skip
        restarted = DetectorState(**stored, knowledge=ItemKnowledge(**parts))
        restarted, _ = _run(answers, knowledge, model, state=restarted, day=day)
    _assert_same_bytes(straight, restarted)
    exact = replace(knowledge, covariance=np.zeros((20, 3, 3)), time_mean_se=np.zeros(20))
    by_day = DetectorState.at_zero(20, EXACT)
    for answers in days:
        by_day, _ = _run(answers, exact, EXACT, state=by_day)
    joined = WatchedAnswers(
        *(np.concatenate([getattr(day, f.name) for day in days]) for f in fields(WatchedAnswers))
    )
    _assert_same_bytes(by_day, _run(joined, exact, EXACT)[0])


def test_what_is_known_stands_still_while_the_cusum_is_above_zero():
    first, later = known_items(1), replace(known_items(1), parameters=np.array([[1.2, -1.0, 0.2]]))
    state, _ = _run(_answers([1, 1]), first, ONE_SHARE, day=3)
    assert state.onset[0, 0] == 3
    state, _ = _run(_answers([1]), later, ONE_SHARE, state=state, day=4)
    assert state.knowledge.parameters[0, 0].tolist() == [1.2, 0.0, 0.2]
    state, _ = _run(_answers([0, 0, 0]), later, ONE_SHARE, state=state, day=5)
    assert state.log_ratio[0, 0] == 0.0
    assert state.onset[0, 0] == -1
    state, _ = _run(_answers([0, 1, 1]), later, ONE_SHARE, state=state, day=6)
    assert state.knowledge.parameters[0, 0].tolist() == [1.2, -1.0, 0.2]
    assert (state.onset[0, 0], state.answers[0, 0]) == (6, 2)


def test_back_at_zero_the_cusum_goes_on_from_what_is_known_today():
    uncertain = np.diag([0.04, 0.03, 0.1])[None]
    yesterday = replace(known_items(1), covariance=uncertain)
    today = replace(yesterday, parameters=np.array([[0.8, -0.5, 0.2]]))
    model = LeakModel(time_nodes=1)
    running, _ = _run(_answers([1, 1, 1]), yesterday, model)
    assert (running.log_ratio > 0).all()
    answers = _answers([1, 0, 0, 0, 0, 1, 1])
    carried_on, _ = _run(answers, today, model, state=running, day=1)
    _assert_same_bytes(carried_on, _run(answers, today, model, day=1)[0])


def test_an_alarm_stops_the_item_until_it_is_reset():
    state, alarm = _run(_answers([0, 1, 1, 1, 1, 1]), known_items(1), ONE_SHARE, thresholds=0.6)
    assert alarm[0] == 3  # log 1.29 = .26 an answer: the third right one after the zero
    again, _ = _run(_answers([0] * 20), known_items(1), ONE_SHARE, state=state, day=1)
    _assert_same_bytes(state, again)
    cleared = state.reset(np.array([True]), ONE_SHARE)
    _assert_same_bytes(cleared, DetectorState.at_zero(1, ONE_SHARE))


def test_no_single_time_raises_an_alarm():
    model = LeakModel()
    thresholds = alarm_thresholds(model, np.array([5_000.0]), np.array([True]))
    knowledge = replace(known_items(1, timed=True), time_mean_se=np.full(1, 0.03))
    answers = _answers([1], pace=[np.log(0.01)])
    _, alarm = advance(DetectorState.at_zero(1, model), 0, answers, knowledge, thresholds, model)
    assert alarm[0] == -1


def _false_alarms(*, timed, integrates):
    """300 healthy items, 500 answers each, one false alarm in 5,000 set: 30 at most are due."""
    generator = np.random.default_rng(11)
    truth, knowledge = estimated_items(300, generator, timed=timed)
    answers = draw_answers(truth, 500, 0.0, generator, timed=timed)
    if not integrates:
        knowledge = replace(knowledge, covariance=np.zeros((300, 3, 3)))
    model = LeakModel()
    thresholds = alarm_thresholds(model, np.full(300, 5_000.0), np.full(300, timed))
    state, _ = advance(DetectorState.at_zero(300, model), 0, answers, knowledge, thresholds, model)
    return int(state.is_alarmed.sum())


def test_false_alarms_come_as_often_as_was_set_with_times():
    assert 14 <= _false_alarms(timed=True, integrates=True) <= 44


def test_from_accuracy_they_come_no_more_often_and_plugging_estimates_in_would_break_that():
    assert 5 <= _false_alarms(timed=False, integrates=True) <= 44
    assert _false_alarms(timed=False, integrates=False) > 60


def test_thresholds_grow_with_traffic_and_with_what_is_asked_for():
    model = LeakModel()
    timed = np.array([True, True, False])
    low = alarm_thresholds(model, np.array([1e5, 1e6, 1e6]), timed)
    np.testing.assert_allclose(low[1] - low[0], np.log(10), rtol=1e-12)
    assert (low[2] < low[1]).all()  # accuracy's ratio moves in smaller steps


@pytest.mark.parametrize("is_timed", [False, True])
def test_the_usual_models_constants_are_the_simulated_ones(is_timed):
    tabulated = false_alarm_constants(LeakModel(budgets=(0.5, 0.5)), is_timed)
    np.testing.assert_allclose(tabulated, simulated_constants(LeakModel(), is_timed), rtol=1e-6)


def test_another_models_constants_are_simulated():
    other = LeakModel(shares=(0.3,), budgets=(1.0,))
    (constant,) = false_alarm_constants(other, False)
    usual = false_alarm_constants(LeakModel(), False)
    assert usual[0] < constant < usual[1]  # larger shares move in larger steps


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": (0.0, 0.5)},
        {"budgets": (1.0,)},
        {"budgets": (0.5, 0.4)},
        {"success": 1.0},
        {"time_factor": 1.2},
        {"maximum_time_ratio": 1.0},
        {"parameter_nodes": (0, 3)},
    ],
)
def test_a_model_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).removeprefix("parameter_")):
        LeakModel(**wrong)
