"""Bins of ability, and the interval of a proportion, against figures worked out elsewhere."""

import numpy as np
import pytest

from calibration_pipeline.irt.item_posterior import ItemEvidence
from calibration_pipeline.irt.observed_proportions import ability_bins, wilson_interval


def test_wilson_intervals_are_those_of_the_literature() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857–872, table I: method 3.
    right, answers = np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29])
    low, high = wilson_interval(right, answers)
    assert low == pytest.approx([0.2553, 0.0624, 0.0000, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def evidence(abilities: list[int], correct: list[int]) -> ItemEvidence:
    """Answers of sessions whose ability is known: all weight on one node."""
    nodes = np.linspace(-2.0, 2.0, 5)
    weights = np.eye(5)[[ability + 2 for ability in abilities]]
    return ItemEvidence(nodes, weights, np.array(correct, np.uint8), np.ones(len(correct)), 1.0)


def test_bins_are_filled_from_the_least_able_on() -> None:
    found = ability_bins(
        evidence([2, -2, -2, 1, 2, -1], [1, 0, 1, 1, 0, 1]), np.array([1.0, 0.0, 0.2]), 3
    )
    assert found.ability == pytest.approx([-2.0, 0.0, 2.0])
    assert found.answers.tolist() == [2, 2, 2]
    assert found.right.tolist() == [1, 2, 1]
    curve = 0.2 + 0.8 / (1.0 + np.exp(-np.array([-2.0, -1.0, 1.0, 2.0])))
    assert found.expected == pytest.approx([curve[0], (curve[1] + curve[2]) / 2, curve[3]])


def test_there_are_no_more_bins_than_answers() -> None:
    found = ability_bins(evidence([0], [1]), np.array([1.0, 0.0, 0.0]), 8)
    assert found.answers.tolist() == [1]


def test_uncertain_abilities_give_the_curve_s_mean_and_not_its_value_at_the_mean() -> None:
    uncertain = ItemEvidence(
        np.array([-2.0, 2.0]), np.array([[0.5, 0.5]]), np.array([1], np.uint8), np.ones(1), 1.0
    )
    found = ability_bins(uncertain, np.array([3.0, 1.0, 0.0]), 1)
    assert found.ability == pytest.approx([0.0])
    assert found.expected[0] == pytest.approx(0.476, abs=1e-3)  # the curve at 0 is 0.047
