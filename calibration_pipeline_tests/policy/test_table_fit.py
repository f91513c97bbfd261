"""A single fit: published values, recovery, anchors, authors, and what is said of each item."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.policy.table_cases import (
    PRECISE,
    fitted,
    simulated,
    with_more_items,
)
from calibration_pipeline_tests.reference_data import read_responses, reference_file
from calibration_pipeline_tests.simulated import complete_data, make_bank


@pytest.mark.parametrize(
    ("model", "population", "log_likelihood", "n_parameters"),
    [
        ("Rasch", "standard-normal", -2473.054, 5),
        ("Rasch", None, -2466.938, 6),
        ("1PL", None, -2466.938, 6),
        ("2PL", None, -2466.653, 10),
    ],
)
def test_maximum_likelihood_is_the_published_one(model, population, log_likelihood, n_parameters):
    fit = fitted(read_responses("lsat6.csv"), model, population=population, uses_priors=False)
    assert fit.model_fit.log_likelihood == pytest.approx(log_likelihood, abs=0.01)
    assert fit.model_fit.n_parameters == n_parameters
    assert fit.prior_source == "none"


@pytest.mark.parametrize("name", ["LSAT6", "LSAT7"])
@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_parameters_are_the_published_ones(name, model):
    table = pd.read_csv(reference_file("reference/lsat_item_parameters.csv"))
    table = table[(table["data"] == name) & (table["model"] == model)]
    fit = fitted(read_responses(f"{name.lower()}.csv"), model, uses_priors=False, settings=PRECISE)
    np.testing.assert_allclose(fit.parameters[:, :2], table[["a", "b"]], atol=0.002)
    assert (fit.population_mean, fit.population_sd) == (0.0, 1.0)


def test_abilities_of_a_one_parameter_fit_are_the_published_ones():
    """On the scale N(0, 1), as the items are."""
    table = pd.read_csv(reference_file("reference/lsat_abilities.csv"), dtype={"pattern": str})
    table = table[(table["data"] == "LSAT6") & (table["model"] == "1PL")].set_index("pattern")
    data = read_responses("lsat6.csv")
    fit = fitted(data, "1PL", uses_priors=False, settings=PRECISE)
    patterns = ["".join(map(str, row)) for row in data.correct.reshape(-1, 5)]
    np.testing.assert_allclose(fit.theta, table.loc[patterns, "EAP"], atol=0.002)
    np.testing.assert_allclose(fit.theta_se, table.loc[patterns, "SE_EAP"], atol=0.002)


@pytest.mark.parametrize("model", ["Rasch", "1PL", "2PL", "3PL"])
def test_the_truth_is_recovered_under_learned_priors(model):
    truth, data = simulated(40, 2000, model)
    fit = fitted(data, model)
    assert fit.converged
    assert fit.prior_source == "learned"
    assert np.corrcoef(fit.parameters[:, 1], truth[:, 1])[0, 1] > 0.98
    z = (fit.parameters[:, 1] - truth[:, 1]) / fit.standard_errors[:, 1]
    assert np.mean(np.abs(z) < 1.96) > 0.85
    assert fit.population_sd == pytest.approx(1.0, abs=0.08)


def test_anchors_hold_the_scale_and_teach_the_priors():
    truth, data = simulated(60, 3000, mean=0.5, sd=1.2)
    bank = make_bank(60, parameters=truth)
    fit = fitted(data, "2PL", bank=bank, anchors=tuple(range(15)))
    assert (fit.scale_held_by, fit.prior_source) == ("anchors", "anchors")
    np.testing.assert_array_equal(fit.parameters[:15], truth[:15])
    assert np.isnan(fit.standard_errors[:15]).all()
    assert all("anchor" in flags for flags in fit.flags[:15])
    assert fit.population_mean == pytest.approx(0.5, abs=0.1)
    assert fit.population_sd == pytest.approx(1.2, abs=0.1)
    assert abs(np.mean(fit.parameters[15:, 1] - truth[15:, 1])) < 0.08


def test_few_anchors_hold_the_scale_but_priors_are_learned_with_the_items():
    truth, data = simulated(30, 2000, mean=1.0)
    fit = fitted(data, "2PL", bank=make_bank(30, parameters=truth), anchors=(0, 1, 2, 3))
    assert (fit.scale_held_by, fit.prior_source) == ("anchors", "learned")
    assert fit.population_mean == pytest.approx(1.0, abs=0.15)


def test_an_anchor_keeps_what_the_bank_says_whatever_the_model():
    truth, data = simulated(12, 500)
    fit = fitted(data, "3PL", bank=make_bank(12, parameters=truth), anchors=(0, 1))
    np.testing.assert_array_equal(fit.parameters[:2, 2], 0.0)
    assert (fit.parameters[2:, 2] > 0.0).all()


def test_a_3pl_item_is_never_fitted_as_a_2pl():
    truth, data = simulated(12, 500)
    assert (truth[:, 2] == 0.0).all()
    for uses_priors in (True, False):
        fit = fitted(data, "3PL", bank=make_bank(12, parameters=truth), uses_priors=uses_priors)
        assert fit.model_fit.n_parameters == 36
        assert (fit.parameters[:, 2] > 0.0).all()


def test_authors_inform_items_with_few_answers():
    """With a bias and a scale of their own, which the other items reveal."""
    truth, data = simulated(60, 800, seed=3)
    rare = np.arange(60) < 20
    keeps = ~rare[data.item] | (np.arange(data.n_responses) % (60 * 40) < 60)
    sparse = ResponseData(
        np.concatenate([[0], np.cumsum(keeps)])[data.session_offsets],
        data.item[keeps], data.correct[keeps], 60,
    )  # fmt: skip
    assert sparse.item_counts[:20].max() == 20
    author = 0.5 * truth[:, 1] - 1.0
    with_authors = fitted(sparse, "2PL", bank=make_bank(60, author_difficulty=author))
    without = fitted(sparse, "2PL")

    def rmse(fit):
        return np.sqrt(np.mean((fit.parameters[rare, 1] - truth[rare, 1]) ** 2))

    assert with_authors.prior_source == "learned with authors"
    assert rmse(with_authors) < 0.8 * rmse(without)


def test_items_without_answers_change_nothing_and_say_so():
    _, data = simulated(10, 400)
    known = np.full((13, 3), np.nan)
    known[10], known[11] = [1.4, 0.3, 0.0], [1.1, -0.2, 0.1]
    bank = make_bank(13, parameters=known)
    fit = fitted(with_more_items(data, 13), "2PL", bank=bank, anchors=(10,))
    alone = fitted(data, "2PL")
    np.testing.assert_array_equal(fit.parameters[:10], alone.parameters)
    assert fit.scale_held_by == "population"
    assert fit.response_counts[10:].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(fit.parameters[10:12], known[10:12])
    assert np.isfinite(fit.parameters[12]).all()
    assert np.isnan(fit.standard_errors[10:]).all()
    assert fit.flags[10:] == (("anchor", "no_answers"), ("no_answers",), ("no_answers",))
    unknown = fitted(with_more_items(data, 13), "2PL", bank=bank, uses_priors=False)
    assert np.isnan(unknown.parameters[12, :2]).all()


def test_answers_of_one_kind_and_few_answers_are_flagged():
    _, data = simulated(8, 300)
    correct = data.correct.reshape(300, 8).copy()
    correct[:, 0], correct[:, 1] = 1, 0
    short = complete_data(correct[:20])
    assert fitted(complete_data(correct), "2PL").flags[:2] == (("all_right",), ("all_wrong",))
    assert all("few_answers" in flags for flags in fitted(short, "2PL").flags)
    unbounded = fitted(complete_data(correct), "Rasch", uses_priors=False)
    assert unbounded.flags[0] == ("all_right", "difficulty_at_bound")
    assert np.isnan(unbounded.standard_errors[0, 1])


def test_a_misfitting_item_is_flagged():
    truth, data = simulated(30, 2000, "Rasch", seed=5)
    correct = data.correct.reshape(2000, 30).copy()
    easiest = int(np.argmin(np.abs(truth[:, 1])))
    correct[:, easiest] = np.random.default_rng(1).integers(0, 2, 2000)
    fit = fitted(complete_data(correct), "Rasch")
    assert "misfit_outfit" in fit.flags[easiest]
    assert sum("misfit_outfit" in flags for flags in fit.flags) == 1


DEGENERATE = {
    "all right": np.ones((30, 5)),
    "all wrong": np.zeros((30, 5)),
    "one session": np.array([[0, 1, 1, 0, 1]]),
    "one item": np.array([[0], [1], [1], [0]]),
    "one answer": np.array([[1]]),
}


@pytest.mark.parametrize("uses_priors", [True, False], ids=["priors", "likelihood"])
@pytest.mark.parametrize("model", ["Rasch", "1PL", "2PL", "3PL"])
@pytest.mark.parametrize("anchors", [(), (0,)], ids=["free", "anchored"])
@pytest.mark.parametrize("answers", DEGENERATE.values(), ids=list(DEGENERATE))
def test_degenerate_answers_give_a_result_that_says_so(answers, anchors, model, uses_priors):
    data = complete_data(answers)
    bank = make_bank(data.n_items, parameters=np.tile([1.2, 0.3, 0.0], (data.n_items, 1)))
    fit = fitted(data, model, bank=bank, anchors=anchors, uses_priors=uses_priors)
    assert np.isfinite(fit.parameters).all()
    assert np.isfinite(fit.theta).all()
    assert np.isfinite(fit.theta_se).all()
    assert np.isfinite([fit.population_mean, fit.population_sd, fit.model_fit.aic]).all()
    assert not np.isinf(fit.standard_errors).any()
    assert not np.isinf([fit.infit, fit.outfit]).any()
    assert all(fit.flags)


def test_a_row_given_twice_in_another_session_is_not_lost():
    _, data = simulated(6, 100)
    doubled = replace(
        data,
        session_offsets=np.concatenate([data.session_offsets, data.session_offsets[1:] + 600]),
        item=np.tile(data.item, 2),
        correct=np.tile(data.correct, 2),
    )
    once, twice = (fitted(d, "2PL", uses_priors=False, settings=PRECISE) for d in (data, doubled))
    np.testing.assert_allclose(twice.parameters, once.parameters, atol=1e-4)
    assert twice.model_fit.log_likelihood == pytest.approx(2 * once.model_fit.log_likelihood)
