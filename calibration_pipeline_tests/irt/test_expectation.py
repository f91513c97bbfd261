from collections.abc import Iterator

import numba
import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.expectation import estimate_abilities, expect, marginal_derivatives
from calibration_pipeline.irt.model import from_internal, response_probabilities, to_internal
from calibration_pipeline.irt.population import Population, normal_log_weights, quadrature_nodes
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.reference_data import reference_file
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items

SETTINGS = EMConfiguration()
POPULATION = Population(0.2, 1.1)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def small() -> tuple[np.ndarray, ResponseData]:
    generator = np.random.default_rng(0)
    truth = draw_items(30, generator)
    return truth, adaptive_data(truth, generator.normal(size=200), generator, answers=12)


def log_likelihood(data, internal) -> float:
    parameters = from_internal(internal, np.ones(len(internal), bool))
    return expect(data, parameters, POPULATION, SETTINGS).log_likelihood


def reordered(data: ResponseData, generator: np.random.Generator) -> ResponseData:
    """The same answers: sessions in another order, and the answers within each."""
    pieces = []
    for session in generator.permutation(data.n_sessions):
        begin, end = data.session_offsets[session : session + 2]
        pieces.append(begin + generator.permutation(end - begin))
    lengths = [len(piece) for piece in pieces]
    order = np.concatenate(pieces)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return ResponseData(offsets, data.item[order], data.correct[order], data.n_items)


def test_weights_are_a_normal_distribution():
    nodes = quadrature_nodes(SETTINGS)
    weights = np.exp(normal_log_weights(nodes, 0.4, 0.8))
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ nodes == pytest.approx(0.4, abs=1e-8)
    assert weights @ (nodes - 0.4) ** 2 == pytest.approx(0.64, abs=1e-8)


def test_log_likelihood_is_the_integral_over_ability():
    parameters = draw_items(4, np.random.default_rng(1))
    answers = np.array([[1, 0, 1, 1], [0, 0, 0, 1]])
    theta = np.linspace(-12, 12, 40_001)
    density = np.exp(-0.5 * ((theta - 0.2) / 1.1) ** 2) / (1.1 * np.sqrt(2 * np.pi))
    p = response_probabilities(theta, parameters)
    expected = sum(
        np.log(np.trapezoid(np.where(row[:, None] == 1, p, 1 - p).prod(axis=0) * density, theta))
        for row in answers
    )
    found = expect(complete_data(answers), parameters, POPULATION, SETTINGS)
    assert found.log_likelihood == pytest.approx(expected, abs=1e-6)


def test_every_answer_and_session_is_counted_once(small):
    truth, data = small
    found = expect(data, truth, POPULATION, SETTINGS)
    right = np.bincount(data.item, data.correct, data.n_items)
    np.testing.assert_allclose(found.counts[1::2].sum(axis=1), right, atol=1e-9)
    np.testing.assert_allclose(found.counts[0::2].sum(axis=1), data.item_counts - right, atol=1e-9)
    assert found.mass.sum() == pytest.approx(data.n_sessions)


def test_score_is_the_gradient_of_the_marginal_log_likelihood(small):
    truth, data = small
    internal = to_internal(truth)
    score = marginal_derivatives(data, truth, POPULATION, SETTINGS).score
    for item in (0, 7, 29):
        for coordinate in range(3):
            step = np.zeros_like(internal)
            step[item, coordinate] = 1e-4
            high, low = log_likelihood(data, internal + step), log_likelihood(data, internal - step)
            assert score[item, coordinate] == pytest.approx((high - low) / 2e-4, abs=1e-4)


def test_information_is_symmetric_and_positive_semidefinite(small):
    truth, data = small
    information = marginal_derivatives(data, truth, POPULATION, SETTINGS).information
    np.testing.assert_array_equal(information, information.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(information).min() > -1e-9


def test_information_is_the_variance_of_the_score():
    """Over repeated samples, as the information identity says; its mean is then zero."""
    generator = np.random.default_rng(5)
    truth = draw_items(4, generator)
    scores = []
    for _ in range(400):
        theta = generator.normal(0.2, 1.1, 100)
        answers = generator.random((100, 4)) < response_probabilities(theta, truth).T
        found = marginal_derivatives(complete_data(answers), truth, POPULATION, SETTINGS)
        scores.append(found.score)
    information = found.information
    spread = np.var(scores, axis=0)
    expected = np.diagonal(information, axis1=1, axis2=2)
    np.testing.assert_allclose(spread, expected, rtol=0.3)
    standard_error = np.sqrt(spread / len(scores))
    assert (np.abs(np.mean(scores, axis=0)) < 4 * standard_error).all()


def test_fit_statistics_are_one_on_average_for_adaptive_answers():
    generator = np.random.default_rng(2)
    truth = draw_items(300, generator)
    data = adaptive_data(truth, generator.normal(size=4000), generator, pool_share=0.15)
    found = marginal_derivatives(data, truth, Population(), SETTINGS)
    seen = data.item_counts >= 50
    assert seen.sum() > 200
    assert found.infit[seen].mean() == pytest.approx(1.0, abs=0.01)
    assert found.outfit[seen].mean() == pytest.approx(1.0, abs=0.01)
    infit_z = (found.infit - 1) / found.infit_se
    outfit_z = (found.outfit - 1) / found.outfit_se
    assert infit_z[seen].std() == pytest.approx(1.0, abs=0.15)
    assert outfit_z[seen].std() == pytest.approx(1.0, abs=0.15)


def test_estimates_take_up_most_of_the_noise_of_the_fit_statistics():
    """Parameters fitted to these very answers: z as of known ones would hardly ever reach 1."""
    generator = np.random.default_rng(3)
    truth, n = draw_items(120, generator), 120
    data = adaptive_data(truth, generator.normal(size=3000), generator, pool_share=0.3)
    free, mean, sd = np.ones((n, 3), bool), to_internal(truth).mean(axis=0), np.array([0.4, 1.5, 1])
    priors = ItemPriors.normal(mean, sd, free)
    start = from_internal(np.tile(mean, (n, 1)), np.ones(n, bool))
    fitted = fit(data, ItemProblem(start, free, priors), Population(), SETTINGS)
    found = marginal_derivatives(data, fitted.parameters, fitted.population, SETTINGS)
    seen = data.item_counts >= 100
    assert seen.sum() > 80
    own = priors.posterior_covariance(free, found.information)
    for statistic, known, error in zip(
        (found.infit, found.outfit), (found.infit_se, found.outfit_se), found.fit_errors(own),
        strict=True,
    ):  # fmt: skip
        deviation = (statistic - 1)[seen]
        assert (deviation / known[seen]).std() < 0.6
        assert 0.8 < (deviation / error[seen]).std() < 1.2
        assert (error[seen] < known[seen]).all()
    held = found.fit_errors(np.zeros_like(own))
    np.testing.assert_array_equal(held, [found.infit_se, found.outfit_se])


def test_an_item_without_answers_has_no_fit_and_no_information(small):
    truth, data = small
    wider = ResponseData(data.session_offsets, data.item, data.correct, data.n_items + 1)
    found = marginal_derivatives(wider, np.vstack([truth, truth[:1]]), POPULATION, SETTINGS)
    assert np.isnan([found.infit[-1], found.outfit[-1], found.infit_se[-1]]).all()
    assert not found.information[-1].any()
    assert not found.score[-1].any()


def test_answers_without_a_session_sum_to_nothing():
    nothing = ResponseData(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), 2)
    parameters = draw_items(2, np.random.default_rng(0))
    assert expect(nothing, parameters, POPULATION, SETTINGS).log_likelihood == 0.0
    assert not marginal_derivatives(nothing, parameters, POPULATION, SETTINGS).information.any()


def test_bytes_do_not_depend_on_the_number_of_threads(restored_threads):
    generator = np.random.default_rng(3)
    truth = draw_items(50, generator)
    data = adaptive_data(truth, generator.normal(size=13_000), generator, answers=25, pool_share=1)
    assert len(data.shard_sessions) > 4
    found = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        expectation = expect(data, truth, POPULATION, SETTINGS)
        derivatives = marginal_derivatives(data, truth, POPULATION, SETTINGS)
        abilities = estimate_abilities(data, truth, POPULATION, SETTINGS)
        found.append(
            [
                expectation.counts.tobytes(),
                expectation.mass.tobytes(),
                np.float64(expectation.log_likelihood).tobytes(),
                derivatives.score.tobytes(),
                derivatives.information.tobytes(),
                derivatives.infit.tobytes(),
                abilities[0].tobytes(),
            ]
        )
    assert found[0] == found[1]


def test_order_of_sessions_and_answers_changes_rounding_only(small):
    truth, data = small
    other = reordered(data, np.random.default_rng(9))
    first, second = (expect(d, truth, POPULATION, SETTINGS) for d in (data, other))
    assert second.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(second.counts, first.counts, atol=1e-10)


def test_a_session_given_twice_counts_twice(small):
    truth, data = small
    twice = ResponseData(
        np.concatenate([data.session_offsets, data.session_offsets[1:] + data.n_responses]),
        np.tile(data.item, 2),
        np.tile(data.correct, 2),
        data.n_items,
    )
    first, second = (expect(d, truth, POPULATION, SETTINGS) for d in (data, twice))
    assert second.log_likelihood == pytest.approx(2 * first.log_likelihood)
    np.testing.assert_allclose(second.counts, 2 * first.counts, atol=1e-9)


@pytest.mark.parametrize("name", ["LSAT6", "LSAT7"])
@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_abilities_agree_with_a_published_program(name, model):
    items = pd.read_csv(reference_file("reference/lsat_item_parameters.csv"))
    items = items[(items["data"] == name) & (items["model"] == model)]
    table = pd.read_csv(reference_file("reference/lsat_abilities.csv"), dtype={"pattern": str})
    table = table[(table["data"] == name) & (table["model"] == model)]
    answers = np.array([[int(digit) for digit in pattern] for pattern in table["pattern"]])
    means, sds = estimate_abilities(
        complete_data(answers), items[["a", "b", "c"]].to_numpy(), Population(), SETTINGS
    )
    np.testing.assert_allclose(means, table["EAP"], atol=1e-4)
    np.testing.assert_allclose(sds, table["SE_EAP"], atol=1e-4)
