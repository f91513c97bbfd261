"""Who teaches priors and who is given them, and which fits may be used."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from calibration_pipeline.irt.item_hierarchy import predict_items
from calibration_pipeline.irt.model import from_internal, to_internal
from calibration_pipeline.policy.digests import digest_of, with_digest
from calibration_pipeline.policy.item_prior_configuration import ItemPriorConfiguration
from calibration_pipeline.policy.item_priors import (
    draws_of,
    features_of,
    find_teachers,
    predicted_since,
    reasons_against,
    with_item_priors,
)
from calibration_pipeline.records import (
    CalibrationState,
    ItemBank,
    ItemPriorFit,
    ScaleItemPriors,
)
from calibration_pipeline_tests.item_families import draw_family_pool, noisy_summaries
from calibration_pipeline_tests.policy.states import make_scale, make_state
from calibration_pipeline_tests.simulated import make_anchors, make_bank

N, FAMILIES = 60, 4
POOL = draw_family_pool(N, FAMILIES, np.random.default_rng(5))
TRUTH = from_internal(POOL.phi, np.ones(N, bool))
PRIOR_MEAN, PRIOR_PRECISION = np.array([0.1, 0.2, -1.5]), np.array([9.0, 1.0, 8.0])
SETTINGS = ItemPriorConfiguration()
GOOD: dict[str, Any] = {
    "pareto_k": 0.4,
    "effective_draws": 300.0,
    "judged": [100, 100, 10],
    "covered": [0.95, 0.94, 0.5],
    "new_items": {"judged": [20, 60, 0], "covered": [0.5, 0.95, None]},
}


def bank() -> ItemBank:
    plain = make_bank(N, author_difficulty=POOL.features.author_difficulty)
    families = tuple(f"family {number}" for number in POOL.features.family)
    return replace(
        plain, content_families=families, option_counts=POOL.features.option_counts.copy()
    )


def posteriors(slope: float = 1.0, intercept: float = 0.0) -> CalibrationState:
    """Likelihood × prior, exactly, stated on a scale that a link moved."""
    known = noisy_summaries(POOL.phi, np.random.default_rng(6), (0.2, 0.2, 0.4))
    covariance = np.linalg.inv(known.precision + np.diag(PRIOR_PRECISION))
    phi = np.einsum("jkm,jm->jk", covariance, known.linear + PRIOR_PRECISION * PRIOR_MEAN)
    moved = np.diag([1.0, slope, 1.0])
    stated = phi @ moved + [-np.log(slope), intercept, 0.0]
    return replace(
        make_state(bank(), from_internal(stated, np.ones(N, bool))),
        covariance=moved @ covariance @ moved,
        prior_mean=np.tile(PRIOR_MEAN, (N, 1)),
        prior_precision=np.tile(PRIOR_PRECISION, (N, 1)),
        total_counts=np.where(np.arange(N) < 10, 50, 400),
        scales=(replace(make_scale(), linking_slope=slope, linking_intercept=intercept),),
    )


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (1.2, -0.4)])
def test_teachers_teach_what_their_answers_say_alone(slope: float, intercept: float) -> None:
    anchors = make_anchors(bank(), [], TRUTH)
    found = find_teachers(posteriors(slope, intercept), bank(), anchors, 0, SETTINGS)
    assert found.teaches.tolist() == [False] * 10 + [True] * 50
    assert found.witnesses.tolist() == [True] * 10 + [False] * 50
    back = np.diag([1.0, 1.0 / slope, 1.0])
    known = noisy_summaries(POOL.phi, np.random.default_rng(6), (0.2, 0.2, 0.4))
    np.testing.assert_allclose(
        found.witnessed.precision, back @ known.precision[:10] @ back, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(
        found.summaries.precision, back @ known.precision[10:] @ back, rtol=1e-6, atol=1e-6
    )
    estimate = np.linalg.solve(found.summaries.precision, found.summaries.linear[..., None])[..., 0]
    expected = np.linalg.solve(known.precision, known.linear[..., None])[10:, :, 0]
    moved = expected * [1.0, slope, 1.0] + [-np.log(slope), intercept, 0.0]
    np.testing.assert_allclose(estimate, moved, rtol=1e-5, atol=1e-5)


def test_anchors_teach_their_references_with_the_errors_these_have() -> None:
    anchors = make_anchors(bank(), [3, 4], TRUTH)
    errors = np.array([np.zeros((3, 3)), np.diag([0.04, 0.09, 0.0])])
    state = posteriors()
    found = find_teachers(state, bank(), replace(anchors, covariance=errors), 0, SETTINGS)
    assert np.flatnonzero(found.teaches).tolist() == [3, 4, *range(10, N)]
    sds = np.linalg.inv(found.summaries.precision)[:2, [0, 1, 2], [0, 1, 2]] ** 0.5
    np.testing.assert_allclose(sds, [[0.01] * 3, [0.2002, 0.3002, 0.01]], rtol=1e-3)
    estimate = np.linalg.solve(found.summaries.precision[0], found.summaries.linear[0])
    np.testing.assert_allclose(estimate, to_internal(TRUTH)[3])


def test_a_scale_that_was_not_fitted_teaches_its_anchors_alone() -> None:
    state = posteriors()
    state = replace(state, scales=(replace(make_scale(), fitted=False),))
    found = find_teachers(state, bank(), make_anchors(bank(), [3], TRUTH), 0, SETTINGS)
    assert np.flatnonzero(found.teaches).tolist() == [3]
    assert found.families == (f"family {POOL.features.family[3]}",)


def a_fit(keys: slice = slice(0, 40)) -> ItemPriorFit:
    features = features_of(bank(), np.arange(40), ("family 0", "family 1", "family 2", "family 3"))
    draws = POOL.oracle()
    predicted = predict_items(draws, features)
    scale = ScaleItemPriors(
        scale="main",
        families=("family 0", "family 1", "family 2", "family 3"),
        draws={name: np.asarray(value) for name, value in vars(draws).items()},
        keys=bank().keys[keys],
        mean=predicted.mean + 0.5,  # so that it shows whether they are read or predicted anew
        covariance=predicted.covariance,
        teaches=np.zeros(40, bool),
        diagnostics=GOOD,
    )
    return ItemPriorFit((date(2026, 1, 1), 1), date(2026, 1, 2), True, (), (scale,), 1, {}, "d", 7)


def test_items_without_enough_answers_are_given_their_priors() -> None:
    """Known ones as stated, those imported since from the draws; others keep what they have."""
    mean, sd = np.zeros((N, 3)), np.ones((N, 3))
    is_taught = np.arange(N) % 2 == 0
    with_item_priors(a_fit(), bank(), is_taught, mean, sd)
    stated = a_fit().scales[0]
    assert (mean[1::2] == 0.0).all()
    assert (sd[1::2] == 1.0).all()
    np.testing.assert_array_equal(mean[0:40:2], stated.mean[::2])
    variances = np.diagonal(stated.covariance, axis1=1, axis2=2)[::2]
    np.testing.assert_allclose(sd[0:40:2], np.sqrt(variances))
    new = predict_items(draws_of(stated), features_of(bank(), np.arange(40, N, 2), stated.families))
    np.testing.assert_allclose(mean[40::2], new.mean)
    np.testing.assert_allclose(sd[40::2], new.sd)


def test_a_new_items_prior_can_be_read_before_its_first_night() -> None:
    wanted = {bank().keys[row][0] for row in (45, 50)}
    found = predicted_since(a_fit().scales[0], bank(), wanted)
    mean, sd = np.zeros((N, 3)), np.ones((N, 3))
    with_item_priors(a_fit(), bank(), np.ones(N, bool), mean, sd)
    assert found.keys == (bank().keys[45], bank().keys[50])
    np.testing.assert_array_equal(found.mean, mean[[45, 50]])
    np.testing.assert_allclose(np.sqrt(found.covariance[:, [0, 1, 2], [0, 1, 2]]), sd[[45, 50]])
    elsewhere = replace(a_fit().scales[0], scale="another")
    assert predicted_since(elsewhere, bank(), wanted).keys == ()


def test_no_fit_and_an_unknown_scale_change_nothing() -> None:
    mean, sd = np.zeros((N, 3)), np.ones((N, 3))
    other = replace(a_fit(), scales=(replace(a_fit().scales[0], scale="another"),))
    for fit in (None, other):
        with_item_priors(fit, bank(), np.ones(N, bool), mean, sd)
        assert (mean == 0.0).all()
        assert (sd == 1.0).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"pareto_k": 0.71}, "Pareto k is 0.71"),
        ({"pareto_k": float("nan")}, "Pareto k"),
        ({"effective_draws": 49.0}, "worth 49"),
        ({"covered": [0.95, 0.85, 0.5]}, "85.0% of 100 teachers"),
        ({"judged": [400, 100, 10], "covered": [0.999, 0.94, 0.5]}, "log discrimination"),
        ({"covered": [1.0, 0.94, 0.5]}, None),  # of 100 items, by chance
        ({"judged": [100, 100, 50]}, "50.0% of 50 teachers lie within their 95% interval of logit"),
        (
            {"new_items": {"judged": [0, 60, 0], "covered": [None, 0.8, None]}},
            "80.0% of 60 new items",
        ),
        (
            {"judged": [100, 20, 10], "new_items": {"judged": [0, 20, 0], "covered": [None] * 3}},
            "40 items have answers that say more of difficulty than the priors claim",
        ),
    ],
)
def test_a_bad_fit_says_why_it_may_not_be_used(changes: dict[str, Any], said: str | None) -> None:
    found = reasons_against("main", GOOD | changes, SETTINGS)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_the_number_of_a_fit_is_not_in_a_states_digest() -> None:
    state = posteriors()
    assert digest_of(1) != digest_of(2)
    with_number = replace(state, item_prior_fit=3)
    assert with_digest(state).digest == with_digest(with_number).digest


@pytest.mark.parametrize(
    "wrong",
    [
        {"enough_responses": -1},
        {"teaching_responses": 0},
        {"minimum_teachers": 0},
        {"maximum_pareto_k": 0.0},
        {"minimum_effective_draws": 0},
        {"coverage_range": (0.9, 0.8)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ItemPriorConfiguration(**wrong)
