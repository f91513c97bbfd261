"""Priors that follow from a hierarchy, against the joint normal distribution written out."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.item_hierarchy import (
    HierarchyDraws,
    ItemFeatures,
    LikelihoodSummaries,
    OwnEvidence,
    PredictedItems,
    predict_items,
)
from calibration_pipeline.irt.prior_calibration import judge_calibration
from calibration_pipeline_tests.item_families import draw_family_pool, noisy_summaries

GENERATOR = np.random.default_rng(0)
POOL = draw_family_pool(400, 6, GENERATOR)
ORACLE = POOL.oracle()


def one(author: float = np.nan, family: int = 0, options: int = 4) -> ItemFeatures:
    return ItemFeatures(np.array([author]), np.array([family]), np.array([options]))


def test_an_author_is_one_noisy_measurement_of_b() -> None:
    """Conditioning (φ, stated) on what was stated, as any textbook does."""
    silent = predict_items(ORACLE, one())
    spoke = predict_items(ORACLE, one(author=1.5))
    bias, scale, noise = ORACLE.author[0]
    cross = scale * silent.covariance[0][:, 1]
    variance = scale * cross[1] + noise**2
    expected = silent.mean[0] + cross / variance * (1.5 - bias - scale * silent.mean[0, 1])
    np.testing.assert_allclose(spoke.mean[0], expected)
    np.testing.assert_allclose(
        spoke.covariance[0], silent.covariance[0] - np.outer(cross, cross) / variance
    )


def test_an_unseen_family_is_as_families_are() -> None:
    unseen = predict_items(ORACLE, one(family=-1))
    np.testing.assert_allclose(
        unseen.covariance[0], ORACLE.residual[0] + ORACLE.between[0], atol=1e-12
    )
    known = predict_items(ORACLE, one(family=2))
    np.testing.assert_allclose(known.mean - unseen.mean, POOL.effects[[2]], atol=1e-12)


def test_unknown_options_widen_the_prior() -> None:
    draws = replace(ORACLE, chance_center=-1.0, chance_sd=0.5)
    unknown, three = predict_items(draws, one(options=0)), predict_items(draws, one(options=3))
    np.testing.assert_allclose(unknown.mean[0, 2], draws.mean[0, 2] + POOL.effects[0, 2])
    assert unknown.covariance[0, 2, 2] == pytest.approx(three.covariance[0, 2, 2] + 1.0)


def test_a_prior_is_the_mixture_over_the_draws() -> None:
    moved = replace(ORACLE, mean=ORACLE.mean + np.array([[0.0, 2.0, 0.0]]))
    both = HierarchyDraws(
        **{
            name: np.concatenate([getattr(ORACLE, name), getattr(moved, name)])
            for name in vars(ORACLE)
            if not name.startswith("chance")
        },
        chance_center=0.0,
        chance_sd=1.0,
    )
    single, mixed = predict_items(ORACLE, one()), predict_items(both, one())
    np.testing.assert_allclose(mixed.mean - single.mean, [[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(mixed.covariance[0, 1, 1], single.covariance[0, 1, 1] + 1.0)


def test_what_an_item_taught_is_taken_out_of_its_own_prior() -> None:
    """With two items in a family, one's prior is as if the other had been alone."""
    curvature = np.array([np.diag([9.0, 4.0, 0.0]), np.diag([2.0, 1.0, 3.0])])
    gradient = np.array([[1.0, -2.0, 0.0], [0.5, 0.5, -1.0]])
    between = ORACLE.between[0]

    def knowing(rows: list[int]) -> HierarchyDraws:
        covariance = np.linalg.inv(np.linalg.inv(between) + curvature[rows].sum(axis=0))
        return replace(
            ORACLE,
            family_mean=(covariance @ gradient[rows].sum(axis=0))[None, None],
            family_covariance=covariance[None, None],
        )

    own = OwnEvidence(gradient[None, :1], curvature[None, :1])
    found, expected = predict_items(knowing([0, 1]), one(), own), predict_items(knowing([1]), one())
    np.testing.assert_allclose(found.mean, expected.mean)
    np.testing.assert_allclose(found.covariance, expected.covariance)
    assert predict_items(knowing([0, 1]), one()).covariance[0, 1, 1] < found.covariance[0, 1, 1]


@pytest.mark.parametrize(("stretch", "covered"), [(1.0, True), (0.5, False), (3.0, False)])
def test_priors_that_claim_too_much_or_too_little_are_seen(stretch: float, covered: bool) -> None:
    summaries = noisy_summaries(POOL.phi, np.random.default_rng(1), (0.1, 0.15, 0.2))
    predicted = predict_items(ORACLE, POOL.features)
    stretched = PredictedItems(predicted.mean, predicted.covariance * stretch**2)
    found = judge_calibration(summaries, stretched)
    assert (found.judged == 400).all()
    assert ((found.covered > 0.92) & (found.covered < 0.98)).all() == covered
    assert (np.abs(found.spread - 1.0) < 0.12).all() == covered


def test_items_whose_answers_say_nothing_judge_nothing() -> None:
    nothing = LikelihoodSummaries(np.zeros((400, 3, 3)), np.zeros((400, 3)))
    found = judge_calibration(nothing, predict_items(ORACLE, POOL.features))
    assert (found.judged == 0).all()
    assert np.isnan(found.covered).all()
