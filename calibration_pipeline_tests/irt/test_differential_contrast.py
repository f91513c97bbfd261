"""Size and significance: against Mantel–Haenszel on true abilities, SciPy, and ETS's table."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from calibration_pipeline.irt.differential_contrast import adjusted_p_values, ets_classes
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline_tests.irt.group_problems import IMPACT, TwoGroups
from calibration_pipeline_tests.simulated import complete_data, draw_items


def mantel_haenszel(correct: np.ndarray, group: np.ndarray, abilities: np.ndarray) -> float:
    """Δ_MH of one item, candidates matched on true ability."""
    stratum = np.digitize(abilities, np.linspace(-3.0, 3.0, 61))
    right, wrong = np.zeros((2, 62)), np.zeros((2, 62))
    np.add.at(right, (group, stratum), correct)
    np.add.at(wrong, (group, stratum), 1 - correct)
    n = np.maximum((right + wrong).sum(axis=0), 1)
    return -2.35 * np.log((right[0] * wrong[1] / n).sum() / (wrong[0] * right[1] / n).sum())


@pytest.mark.parametrize("model", ["Rasch", "2PL", "3PL"])
def test_the_size_is_that_of_the_mantel_haenszel_statistic(model):
    generator = np.random.default_rng(5)
    truth = draw_items(40, generator, model)
    group = np.arange(10_000) % 2
    abilities = generator.normal(size=10_000) - IMPACT * group
    shift = np.where(np.arange(40) < 10, 0.5, 0.0) * (1 - 2 * (np.arange(40) % 2))
    a, b, c = truth.T
    difficulty = b + group[:, None] * shift
    p = c + (1 - c) / (1 + np.exp(-a * (abilities[:, None] - difficulty)))
    correct = (generator.random(p.shape) < p).astype(np.uint8)
    data = complete_data(correct)
    cells = PopulationCells(group.astype(np.int32), np.arange(2), np.zeros(2))
    problem = TwoGroups(
        truth, group, replace(data, cells=cells), Population([0.0, -IMPACT], [1.0, 1.0])
    )
    contrast = problem.contrast()
    expected = np.array([mantel_haenszel(correct[:, j], group, abilities) for j in range(40)])
    rows = np.arange(40) < 10
    slope = (contrast.mh_delta[rows] @ expected[rows]) / np.square(expected[rows]).sum()
    assert slope == pytest.approx(1.0, abs=0.05)
    assert np.abs(contrast.mh_delta - expected).mean() < 0.1
    without_guessing = -2.35 * truth[rows, 0] * contrast.difficulty.shift[rows]
    if model != "3PL":
        np.testing.assert_allclose(contrast.mh_delta[rows], without_guessing, rtol=1e-9)
    else:
        assert (np.abs(contrast.mh_delta[rows]) < np.abs(without_guessing)).all()


def test_adjusted_p_values_are_those_of_scipy():
    p_values = np.random.default_rng(0).uniform(size=200) ** 3
    np.testing.assert_allclose(adjusted_p_values(p_values), false_discovery_control(p_values))
    assert adjusted_p_values(np.empty(0)).shape == (0,)


@pytest.mark.parametrize(
    ("mh_delta", "error", "expected"),
    [
        (0.9, 0.1, "A"),
        (-0.9, 0.1, "A"),
        (1.2, 0.7, "A"),
        (-1.2, 0.3, "B"),
        (1.7, 0.5, "B"),
        (-1.7, 0.4, "C"),
        (1.4, 0.1, "B"),
        (1.6, 0.1, "C"),
    ],
)
def test_classes_need_size_and_significance(mh_delta, error, expected):
    assert ets_classes(np.array([mh_delta]), np.array([error])).tolist() == [expected]
