"""Paces from the session's other answers, and usual times that are learned."""

import numpy as np
import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.leak_abilities import abilities_from_other_answers
from calibration_pipeline.irt.leak_times import TimeStatistics, learned_paces, paces
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData


def test_a_pace_takes_the_speed_from_the_other_answers():
    mean, variance = np.array([4.0, 3.0, 3.5, 4.5]), np.array([0.2, 0.1, 0.2, 0.4])
    log_seconds = np.array([3.5, 2.8, 3.0, 4.4])
    pace, speed_variance = paces(np.array([0, 4]), np.arange(4), log_seconds, mean, variance)
    weights = 1 / variance[1:]
    speed = ((mean - log_seconds)[1:] * weights).sum() / weights.sum()
    assert pace[0] == pytest.approx(3.5 + speed)
    assert speed_variance[0] == pytest.approx(1 / weights.sum())


def test_too_few_other_times_give_no_pace():
    mean, variance = np.array([4.0, 4.0, 4.0, np.nan]), np.full(4, 0.2)
    pace, _ = paces(np.array([0, 4]), np.arange(4), np.full(4, 4.0), mean, variance)
    assert np.isnan(pace[:3]).all()  # two others
    assert pace[3] == pytest.approx(4.0)  # three


def test_usual_times_are_learned_from_nothing():
    generator = np.random.default_rng(2)
    n_items, sessions, answers = 60, 400, 20
    usual = generator.normal(4.0, 0.4, n_items)
    statistics = TimeStatistics.empty(n_items)
    offsets = np.arange(sessions + 1) * answers
    for _ in range(4):
        item = np.argsort(generator.random((sessions, n_items)), axis=1)[:, :answers]
        speed = generator.normal(0, 0.3, (sessions, 1))
        log_seconds = (usual[item] - speed + generator.normal(0, 0.4, item.shape)).ravel()
        found = learned_paces(offsets, item.ravel(), log_seconds, statistics)
        statistics = statistics.with_paces(item.ravel(), *found, decay=0.99)
    error = statistics.mean - usual
    assert np.std(error) < 0.03  # .4 / √530 = .017, and what the first day lacked
    assert np.median(statistics.variance) == pytest.approx(0.16, rel=0.1)
    assert 0.01 < np.median(statistics.mean_se) < 0.03


def test_an_ability_is_told_by_the_other_answers_alone():
    generator = np.random.default_rng(4)
    parameters = np.column_stack([np.full(6, 1.3), np.linspace(-1, 1, 6), np.full(6, 0.2)])
    parameters[5] = np.nan  # nothing known: passed over
    correct = generator.integers(0, 2, 6).astype(np.uint8)
    data = ResponseData(np.array([0, 6]), np.arange(6, dtype=np.int32), correct, 6)
    mean, sd = abilities_from_other_answers(data, parameters, Population(), EMConfiguration())
    nodes = np.linspace(-6, 6, 61)
    for left_out in range(6):
        density = np.exp(-0.5 * nodes**2)
        for j in set(range(5)) - {left_out}:
            a, b, c = parameters[j]
            p = c + (1 - c) / (1 + np.exp(-a * (nodes - b)))
            density = density * (p if correct[j] else 1 - p)
        density /= density.sum()
        expected = density @ nodes
        assert mean[left_out] == pytest.approx(expected, abs=1e-10)
        assert sd[left_out] == pytest.approx(np.sqrt(density @ (nodes - expected) ** 2), abs=1e-10)
