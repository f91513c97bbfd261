"""Differential functioning: nominal under impact, powerful and unbiased where there is some."""

from collections.abc import Iterator
from dataclasses import replace

import numba
import numpy as np
import pytest

from calibration_pipeline.irt.differential import FittedAnswers, differential_functioning
from calibration_pipeline.irt.expectation import expect
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.group_problems import IMPACT, TwoGroups, two_groups
from calibration_pipeline_tests.irt.problems import SETTINGS, fit_quietly, problem_of

SHIFTED = np.arange(60) < 6


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def shifted() -> TwoGroups:
    """Six of sixty items are harder by 0.5 for the focal group."""
    return two_groups(1, "2PL", n_sessions=8000, answers=20, difficulty_shift=0.5 * SHIFTED)


def fitted(problem: TwoGroups, model: str) -> TwoGroups:
    """Let the estimator find items and groups, the truth unseen; parameters replace the truth."""
    result = fit_quietly(
        problem.data,
        problem_of(problem.data.n_items, model, "learned"),
        Population([0.0, 0.0], [1.0, 1.0]),
    )
    return replace(problem, truth=result.parameters, population=result.population)


def subset(problem: TwoGroups, sessions: np.ndarray) -> ResponseData:
    """The answers of some sessions, in the order given."""
    data = problem.data
    answers = len(data.item) // data.n_sessions
    rows = (sessions[:, None] * answers + np.arange(answers)).ravel()
    cells = replace(data.cells, cell=data.cells.cell[sessions])
    offsets = np.arange(len(sessions) + 1, dtype=np.int64) * answers
    return ResponseData(offsets, data.item[rows], data.correct[rows], data.n_items, cells=cells)


@pytest.mark.parametrize("model", [pytest.param("Rasch", marks=pytest.mark.slow), "2PL", "3PL"])
def test_impact_alone_raises_no_more_alarms_than_chance(model):
    """Short adaptive sessions of groups that differ by 0.7; items and population estimated."""
    z, of_slope, discoveries = [], [], 0
    for seed in range(8):
        contrast = fitted(two_groups(seed, model), model).contrast()
        z.extend(contrast.difficulty.z[contrast.is_tested])
        of_slope.extend(contrast.discrimination.z[contrast.is_tested])
        discoveries += int((contrast.difficulty.adjusted_p_value < 0.05).sum())
        assert abs(contrast.common_shift) < 0.05
    assert len(z) > 400
    error = np.sqrt(0.05 * 0.95 / len(z))
    assert abs(np.mean(np.abs(z) > 1.96) - 0.05) < 3.0 * error
    assert np.std(z) == pytest.approx(1.0, abs=3.0 / np.sqrt(2 * len(z)))
    assert np.mean(np.abs(of_slope) > 1.96) < 0.05 + 3.0 * error
    assert discoveries <= 3


def test_a_population_without_groups_is_noticed_and_does_little_harm():
    """The average item takes out what the groups' means should have, and says how much."""
    z = []
    for seed in range(4):
        problem = fitted(two_groups(seed, "2PL"), "2PL")
        data = replace(problem.data, cells=None)
        found = replace(problem, data=data, population=Population(-IMPACT / 2, 1.06)).contrast()
        assert 0.05 < found.common_shift < IMPACT
        z.extend(found.difficulty.z[found.is_tested])
    assert np.mean(np.abs(z) > 1.96) < 0.08


@pytest.mark.parametrize("model", ["2PL", "3PL"])
def test_shifts_are_found_and_measured_without_bias(model):
    """Two thirds of the items are anchors, so that units are those of the truth."""
    shift, error, found, false = [], [], [], 0
    for seed, sign in ((0, 1.0), (1, -1.0), (2, 1.0), (3, -1.0)):
        problem = two_groups(
            seed, model, n_sessions=12_000, answers=20, difficulty_shift=0.5 * sign * SHIFTED
        )
        items = problem_of(60, model)
        anchor = (np.arange(60) >= 20)[:, None]
        items = replace(
            items, start=np.where(anchor, problem.truth, items.start), free=items.free & ~anchor
        )
        free = Population([0.0, 0.0], [1.0, 1.0], True, True)
        result = fit_quietly(problem.data, items, free)
        contrast = replace(problem, population=result.population).contrast(result.parameters)
        shift.extend(sign * contrast.difficulty.shift[SHIFTED])
        error.extend(contrast.difficulty.standard_error[SHIFTED])
        found.extend(contrast.difficulty.adjusted_p_value[SHIFTED] < 0.05)
        false += int((contrast.difficulty.adjusted_p_value[~SHIFTED] < 0.05).sum())
        assert (sign * contrast.mh_delta[SHIFTED] < 0.0).mean() > 0.9
    weight = np.array(error) ** -2.0
    mean, its_error = weight @ shift / weight.sum(), weight.sum() ** -0.5
    assert abs(mean - 0.5) < 2.5 * its_error
    assert its_error < 0.025
    precise = np.array(error) < 0.15
    assert precise.sum() >= 12
    assert np.mean(np.array(found)[precise]) > 0.9
    assert false <= 3


def test_a_steeper_slope_is_found_where_difficulties_agree():
    factor = np.where(SHIFTED, 1.8, 1.0)
    problem = fitted(
        two_groups(0, "2PL", n_sessions=16_000, answers=20, slope_factor=factor), "2PL"
    )
    test = problem.contrast().discrimination
    weight = test.standard_error[SHIFTED] ** -2.0
    mean = weight @ test.shift[SHIFTED] / weight.sum()
    assert mean == pytest.approx(np.log(1.8), abs=0.15)
    assert (test.adjusted_p_value[SHIFTED] < 0.05).mean() > 0.6
    assert (test.adjusted_p_value[~SHIFTED] < 0.05).sum() <= 2


def test_the_score_is_the_derivative_of_the_marginal_likelihood():
    problem = two_groups(2, n_sessions=400)
    focal = subset(problem, np.flatnonzero(problem.group == 1))
    step, item = 1e-4, int(problem.data.item_counts.argmax())

    def log_likelihood(shift: float) -> float:
        parameters = problem.truth.copy()
        parameters[item, 1] += shift
        return expect(focal, parameters, problem.population, SETTINGS).log_likelihood

    derivative = (log_likelihood(step) - log_likelihood(-step)) / (2.0 * step)
    labelled = replace(problem.data, label=np.asarray(problem.group, np.int64))
    everything = FittedAnswers(labelled, problem.truth, problem.population, SETTINGS)
    sums = everything.sums((0, 1))[1]
    assert sums.score[item, 1] == pytest.approx(derivative, rel=1e-6)


def test_the_scaling_constant_is_part_of_the_slope(shifted):
    normal_ogive = replace(SETTINGS, scaling_constant=1.702)
    parameters = shifted.truth / np.array([1.702, 1.0, 1.0])
    parameters[:, 2] = shifted.truth[:, 2]
    found = differential_functioning(
        shifted.data, parameters, shifted.population, shifted.group, normal_ogive, reference=0
    ).contrasts[0]
    np.testing.assert_allclose(found.mh_delta, shifted.contrast().mh_delta, rtol=1e-6, atol=1e-9)


def test_the_order_of_rows_does_not_matter(shifted):
    generator = np.random.default_rng(0)
    order = generator.permutation(shifted.data.n_sessions)
    data = subset(shifted, order)
    within = np.concatenate([s * 20 + generator.permutation(20) for s in range(data.n_sessions)])
    data = replace(data, item=data.item[within], correct=data.correct[within])
    other = replace(shifted, data=data, group=shifted.group[order]).contrast()
    for name in ("difficulty", "discrimination"):
        one, two = getattr(shifted.contrast(), name), getattr(other, name)
        np.testing.assert_allclose(one.shift, two.shift, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(one.standard_error, two.standard_error, rtol=1e-9)


def test_bytes_do_not_depend_on_the_number_of_threads(shifted, restored_threads):
    assert len(shifted.data.shard_sessions) > 2
    found = set()
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        contrast = shifted.contrast()
        found.add(contrast.difficulty.shift.tobytes() + contrast.discrimination.shift.tobytes())
    assert len(found) == 1


def test_a_weight_of_two_is_a_row_given_twice():
    problem = two_groups(3, n_sessions=600)
    data = problem.data
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 3, data.n_responses)
    lengths = np.add.reduceat(counts, data.session_offsets[:-1])
    twice = ResponseData(
        np.concatenate([[0], np.cumsum(lengths)]),
        np.repeat(data.item, counts),
        np.repeat(data.correct, counts),
        data.n_items,
        cells=data.cells,
    )
    weighted = replace(problem, data=replace(data, weights=counts.astype(float))).contrast()
    repeated = replace(problem, data=twice).contrast()
    np.testing.assert_allclose(weighted.difficulty.shift, repeated.difficulty.shift, atol=1e-9)


def test_an_answer_of_weight_zero_leaves_no_trace():
    problem = two_groups(3, n_sessions=600)
    kept = np.arange(problem.data.n_responses) % 12 != 5
    without = ResponseData(
        np.arange(601, dtype=np.int64) * 11,
        problem.data.item[kept],
        problem.data.correct[kept],
        60,
        cells=problem.data.cells,
    )
    weighted = replace(problem, data=replace(problem.data, weights=kept.astype(float)))
    np.testing.assert_allclose(
        weighted.contrast().difficulty.shift,
        replace(problem, data=without).contrast().difficulty.shift,
        atol=1e-9,
    )


def test_the_largest_group_is_the_reference_and_the_signs_turn_with_it(shifted):
    unknown = np.where(np.arange(8000) % 4 == 0, -1, shifted.group)
    found = replace(shifted, group=unknown).test()
    assert found.reference == 1
    assert found.contrasts[0].focal == 0
    assert (found.contrasts[0].difficulty.shift[SHIFTED] < 0.0).all()


def test_an_answer_of_half_weight_lies_between():
    """A weight below 1 is taken out of the prediction as far as it was in it."""
    problem = two_groups(3, n_sessions=600)
    found = {}
    for weight in (0.999, 0.5, 0.001, 0.0):
        weights = np.where(np.arange(problem.data.n_responses) % 12 == 5, weight, 1.0)
        data = replace(problem.data, weights=weights)
        found[weight] = replace(problem, data=data).contrast().difficulty.shift
    once = problem.contrast().difficulty.shift
    np.testing.assert_allclose(found[0.999], once, atol=0.01)
    np.testing.assert_allclose(found[0.001], found[0.0], atol=0.01)
    assert np.abs(found[0.5] - once).max() < np.abs(found[0.0] - once).max()
