"""Agreement with published results: R mirt, ltm and BILOG on the same answers."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult, fit
from calibration_pipeline.irt.expectation import estimate_abilities
from calibration_pipeline.irt.item_fit import infit_outfit_at_abilities, summed_score_fit
from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.irt.model_fit import assess_model
from calibration_pipeline.irt.observed_information import (
    in_standard_population,
    observed_information,
    slope_intercept_standard_errors,
)
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import problem_of
from calibration_pipeline_tests.reference_data import read_responses, reference_file

PRECISE = EMConfiguration(tolerance=1e-6, maximum_cycles=3000)
LSAT = [(data, model) for data in ("LSAT6", "LSAT7") for model in ("1PL", "2PL", "3PL_priorN")]
NO_PRIOR = np.inf

PRIORS = {
    # R mirt maximises over a itself: the mode of a lognormal(0, .5) density there is that of a
    # normal on log a with its mean lowered by the variance.
    "3PL_priorN": ((-0.25, 0.0, -1.1), (0.5, NO_PRIOR, 0.5)),
    # BILOG's defaults. It maximises over log a, so the mean is 0.
    "2PL_bilog": ((0.0, 0.0, 0.0), (0.5, NO_PRIOR, 1.0)),
    # The density of beta(5, 17) by c has exponents 4 and 16: on logit c its mode is
    # log(4 / 16), with precision 4 · 16 / 20.
    "3PL_bilog": ((0.0, 0.0, np.log(4 / 16)), (0.5, NO_PRIOR, np.sqrt(20 / 64))),
}


@cache
def fitted(name: str, model: str) -> tuple[ResponseData, ItemProblem, EMResult]:
    """Maximum likelihood, or with the priors of `PRIORS`."""
    data = read_responses(f"{name.lower()}.csv")
    problem = problem_of(data.n_items, model.partition("_")[0], "none")
    if model in PRIORS:
        mean, sd = (np.array(values) for values in PRIORS[model])
        problem = replace(problem, priors=ItemPriors.normal(mean, sd, problem.free))
    population = Population(sd_is_estimated=model == "1PL")
    return data, problem, fit(data, problem, population, PRECISE)


def standardized(name: str, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and covariance with abilities N(0, 1)."""
    data, problem, result = fitted(name, model)
    joint = observed_information(data, problem, result, PRECISE)
    return in_standard_population(result.parameters, joint)


def reference(table: str, name: str, model: str) -> pd.DataFrame:
    rows = pd.read_csv(reference_file(f"reference/lsat_{table}.csv"), dtype={"pattern": str})
    return rows[(rows["data"] == name) & (rows["model"] == model)]


def packaged(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (a, b, c) that irtoys packages, and their standard errors."""
    table = pd.read_csv(reference_file(f"irtoys_ref_{name}.csv"))
    return table[["a", "b", "c"]].to_numpy(), table[["se_a", "se_b", "se_c"]].to_numpy()


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("LSAT6", "Rasch", -2473.054),
        ("LSAT6", "1PL", -2466.938),
        ("LSAT6", "2PL", -2466.653),
        ("LSAT7", "1PL", -2664.901),
        ("LSAT7", "2PL", -2658.805),
        ("irtoys_scored", "1PL", -4948.813),
        ("irtoys_scored", "2PL", -4842.904),
    ],
)
def test_log_likelihood_without_priors_is_the_published_one(name, model, expected):
    *_, result = fitted(name, model)
    assert result.log_likelihood == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(("name", "model"), LSAT)
def test_parameters_agree_with_mirt(name, model):
    published = reference("item_parameters", name, model)[["a", "b", "c"]]
    parameters, _ = standardized(name, model)
    np.testing.assert_allclose(parameters, published, atol=0.002)


@pytest.mark.parametrize(("name", "model"), [case for case in LSAT if case[1] != "3PL_priorN"])
def test_joint_standard_errors_agree_with_mirt(name, model):
    published = reference("standard_errors_oakes", name, model)[["se_a", "se_d"]]
    errors = slope_intercept_standard_errors(*standardized(name, model))
    np.testing.assert_allclose(errors, published, rtol=0.001)


@pytest.mark.parametrize(("name", "model"), LSAT)
def test_information_criteria_agree_with_mirt(name, model):
    published = reference("model_summary", name, model).iloc[0]
    data, problem, result = fitted(name, model)
    found = assess_model(problem, result, data.n_sessions)
    assert found.n_parameters == published["npar"]
    assert found.log_likelihood == pytest.approx(published["logLik"], abs=0.001)
    assert found.aic == pytest.approx(published["AIC"], abs=0.002)
    assert found.bic == pytest.approx(published["BIC"], abs=0.002)


@pytest.mark.parametrize(("name", "model"), LSAT)
def test_mean_squares_agree_with_mirt(name, model):
    published = reference("item_fit", name, model)
    data, _, result = fitted(name, model)
    infit, outfit = infit_outfit_at_abilities(data, result.parameters, result.population, PRECISE)
    np.testing.assert_allclose(infit, published["infit"], atol=0.001)
    np.testing.assert_allclose(outfit, published["outfit"], atol=0.001)


@pytest.mark.parametrize(("name", "model"), LSAT)
def test_summed_score_fit_agrees_with_mirt(name, model):
    published = reference("item_fit", name, model)
    data, problem, result = fitted(name, model)
    found = summed_score_fit(data, result.parameters, result.population, PRECISE, free=problem.free)
    np.testing.assert_array_equal(found.degrees_of_freedom, published["df.S_X2"])
    np.testing.assert_allclose(found.statistic, published["S_X2"], atol=0.002)
    np.testing.assert_allclose(found.p_value, published["p.S_X2"], atol=0.002)


@pytest.mark.parametrize(("name", "model"), LSAT)
def test_abilities_agree_with_mirt(name, model):
    published = reference("abilities", name, model).set_index("pattern")
    data, _, result = fitted(name, model)
    theta, theta_se = estimate_abilities(data, result.parameters, result.population, PRECISE)
    answers = data.correct.reshape(data.n_sessions, data.n_items)
    published = published.loc[["".join(map(str, row)) for row in answers]]
    sd = result.population.sd[0]
    np.testing.assert_allclose(theta / sd, published["EAP"], atol=0.001)
    np.testing.assert_allclose(theta_se / sd, published["SE_EAP"], atol=0.001)


def test_2pl_agrees_with_ltm():
    """`Scored2pl` is maximum likelihood by ltm: parameters and joint standard errors."""
    published, published_se = packaged("Scored2pl")
    parameters, covariance = standardized("irtoys_scored", "2PL")
    np.testing.assert_allclose(parameters, published, atol=0.01)
    np.testing.assert_allclose(standard_errors(parameters, covariance), published_se, rtol=0.01)


def test_2pl_with_priors_agrees_with_bilog():
    """`b2` has a lognormal(0, .5) prior on a: it differs from maximum likelihood by up to .13."""
    published, _ = packaged("b2")
    parameters, _ = standardized("irtoys_scored", "2PL_bilog")
    np.testing.assert_allclose(parameters, published, atol=0.01)


def test_3pl_with_priors_agrees_with_bilog():
    """`b3` has the prior of `b2` on a and beta(5, 17), for five options, on c."""
    published, published_se = packaged("b3")
    parameters, _ = standardized("irtoys_scored", "3PL_bilog")
    assert np.abs((parameters - published) / published_se).max() < 0.5


def test_1pl_agrees_with_bilog():
    """`b1`; BILOG stops at a likelihood .015 lower."""
    published, published_se = packaged("b1")
    parameters, _ = standardized("irtoys_scored", "1PL")
    assert np.abs((parameters - published)[:, :2] / published_se[:, :2]).max() < 0.5
