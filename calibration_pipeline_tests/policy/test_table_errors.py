"""Standard errors of a single fit, against other programs and each other."""

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.table_errors import MAXIMUM_PARAMETERS
from calibration_pipeline_tests.policy.table_cases import PRECISE, fitted, simulated
from calibration_pipeline_tests.reference_data import read_responses, reference_file


def reference(model: str) -> pd.DataFrame:
    table = pd.read_csv(reference_file("reference/lsat_standard_errors_oakes.csv"))
    return table[(table["data"] == "LSAT6") & (table["model"] == model)]


@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_oakes_errors_are_the_published_ones(model):
    fit = fitted(
        read_responses("lsat6.csv"), model, uses_priors=False, settings=PRECISE,
        standard_errors="oakes",
    )  # fmt: skip
    np.testing.assert_allclose(fit.standard_errors[:, 0], reference(model)["se_a"], rtol=0.01)


def test_the_error_of_a_common_slope_is_that_of_the_profile():
    """The profile of the likelihood knows what the joint information knows."""
    fit = fitted(read_responses("lsat6.csv"), "1PL", uses_priors=False, settings=PRECISE)
    np.testing.assert_allclose(fit.standard_errors[:, 0], reference("1PL")["se_a"], rtol=0.01)


@pytest.mark.parametrize("model", ["Rasch", "1PL"])
def test_both_methods_agree_where_the_spread_is_common_to_all(model):
    data = read_responses("irtoys_scored.csv")
    quick, joint = (
        fitted(data, model, standard_errors=method, settings=PRECISE)
        for method in ("information", "oakes")
    )
    ratio = quick.standard_errors[:, 1] / joint.standard_errors[:, 1]
    assert np.abs(ratio - 1.0).max() < 0.12
    if model == "Rasch":
        assert quick.population_sd_se == pytest.approx(joint.population_sd_se, rel=0.05)


def test_too_many_parameters_for_a_joint_covariance_are_refused():
    n_items = MAXIMUM_PARAMETERS // 2 + 1
    _, data = simulated(n_items, 20)
    with pytest.raises(BadInputError, match="use --standard-errors information"):
        fitted(data, "2PL", standard_errors="oakes")


def test_what_answers_do_not_determine_has_no_joint_covariance():
    _, data = simulated(1, 200)
    with pytest.raises(BadInputError, match="don't determine all parameters"):
        fitted(data, "2PL", uses_priors=False, standard_errors="oakes")
    alone = fitted(data, "2PL", uses_priors=False)
    assert "not_determined" in alone.flags[0]
    assert np.isnan(alone.standard_errors).all()
