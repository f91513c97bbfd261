"""Errors of linking constants: derivatives, coverage by simulation, and published ones."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.configuration import LINKING_METHODS, EMConfiguration, LinkingMethod
from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.linking import (
    LinkingConstants,
    linked_covariances,
    transform_items,
)
from calibration_pipeline.irt.linking_chain import ChainedLink, join_links
from calibration_pipeline.irt.linking_curves import CurveSettings, Quadrature
from calibration_pipeline.irt.linking_errors import LinkingInfluence, linking_influence
from calibration_pipeline.irt.linking_estimates import CommonItems, link_plainly
from calibration_pipeline.irt.linking_methods import estimate_constants, mean_mean
from calibration_pipeline.irt.model import (
    FloatArray,
    from_internal,
    response_probabilities,
    to_internal,
)
from calibration_pipeline.irt.observed_information import observed_information
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.common_items import equateirt_pair, on_new_scale, with_errors
from calibration_pipeline_tests.reference_data import reference_file
from calibration_pipeline_tests.simulated import complete_data, draw_items

GRID, COARSE = Quadrature.equal(), Quadrature.equal(15)
HERMITE = CurveSettings(Quadrature.gauss_hermite(30))
CURVES = {
    "ahead": CurveSettings(GRID),
    "both": CurveSettings(GRID, Quadrature.normal(), 1.7),
    "back": CurveSettings(None, GRID),
}
CONSTANTS = LinkingConstants(1.15, -0.2)
TWO_SIDED_95 = 1.959964


def numerical_influence(
    method: LinkingMethod,
    pair: list[FloatArray],
    curves: CurveSettings,
    slope_is_free: bool,
    item_weights: FloatArray | None,
) -> LinkingInfluence:
    step, n = 2e-4, len(pair[0])
    sides = np.zeros((2, n, 2, 3))
    for side, item, coordinate in np.ndindex(2, n, 3):
        ends = []
        for sign in (1.0, -1.0):
            internal = to_internal(pair[side])
            internal[item, coordinate] += sign * step
            moved = list(pair)
            moved[side] = from_internal(internal, np.ones(n, bool))
            found = estimate_constants(
                method, *moved, curves, slope_is_free=slope_is_free, item_weights=item_weights
            )
            ends.append(np.array([found.slope, found.intercept]))
        sides[side, item, :, coordinate] = (ends[0] - ends[1]) / (2 * step)
    return LinkingInfluence(*sides)


@pytest.mark.parametrize("weights", [None, [0.2, 3.0, 1.0, 0.5]], ids=["alike", "weighted"])
@pytest.mark.parametrize("slope_is_free", [True, False], ids=["two constants", "one"])
@pytest.mark.parametrize("curves", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("method", LINKING_METHODS)
def test_constants_follow_the_items_as_differences_say(
    method: LinkingMethod, curves: CurveSettings, slope_is_free: bool, weights: list[float] | None
) -> None:
    """On items that fit each other badly, where second derivatives matter."""
    generator = np.random.default_rng(3)
    pair = [draw_items(4, generator), draw_items(4, generator)]
    item_weights = None if weights is None else np.array(weights)
    chosen = {"slope_is_free": slope_is_free, "item_weights": item_weights}
    found = estimate_constants(method, *pair, curves, **chosen)
    influence = linking_influence(method, *pair, found, curves, **chosen)
    expected = numerical_influence(method, pair, curves, slope_is_free, item_weights)
    np.testing.assert_allclose(influence.new, expected.new, atol=5e-5)
    np.testing.assert_allclose(influence.reference, expected.reference, atol=5e-5)


@pytest.mark.parametrize("slope_is_free", [True, False], ids=["3PL", "Rasch"])
@pytest.mark.parametrize("method", LINKING_METHODS)
def test_intervals_of_the_constants_hold_the_truth(
    method: LinkingMethod, slope_is_free: bool
) -> None:
    """Both sides have errors, those of an item's parameters hang together."""
    generator = np.random.default_rng(17)
    truth = draw_items(10, generator, "3PL" if slope_is_free else "Rasch")
    constants = CONSTANTS if slope_is_free else LinkingConstants(1.0, -0.2)
    pair = [on_new_scale(truth, constants), truth]
    root = np.array([[0.1, 0.0, 0.0], [0.04, 0.12, 0.0], [0.0, 0.05, 0.2]])
    root = root * (1.0 if slope_is_free else np.diag([0.0, 1.0, 0.0]))
    covariance = np.tile(root @ root.T, (10, 1, 1))
    curves = CurveSettings(COARSE, COARSE)
    covered = np.zeros(2)
    repeats = 400
    for _ in range(repeats):
        drawn = [
            from_internal(
                to_internal(side) + generator.normal(size=(10, 3)) @ root.T, side[:, 2] > 0
            )
            for side in pair
        ]
        found = estimate_constants(method, *drawn, curves, slope_is_free=slope_is_free)
        influence = linking_influence(method, *drawn, found, curves, slope_is_free=slope_is_free)
        errors = np.sqrt(np.diagonal(influence.covariance(covariance, covariance)))
        missed = [found.slope - constants.slope, found.intercept - constants.intercept]
        covered += np.abs(missed) <= TWO_SIDED_95 * errors
    share = covered / repeats
    assert 0.93 <= share[1] <= 0.97
    assert 0.93 <= share[0] <= 0.97 if slope_is_free else share[0] == 1.0


@pytest.mark.parametrize("method", LINKING_METHODS)
def test_weights_by_precision_bring_errors_down_that_are_still_stated_right(
    method: LinkingMethod,
) -> None:
    """Half of the items are known eight times better than the others."""
    generator = np.random.default_rng(31)
    truth = draw_items(40, generator)
    errors = np.zeros((40, 3))
    errors[:, :2] = np.where(np.arange(40) % 2, 0.24, 0.03)[:, None]
    covariance = errors[:, :, None] ** 2 * np.eye(3)
    covered, repeats = np.zeros(2), 80
    for _ in range(repeats):
        new = with_errors(on_new_scale(truth, CONSTANTS), errors, generator)
        items = CommonItems(
            new, truth, covariance, np.zeros_like(covariance), method, CurveSettings(COARSE),
            corrects_attenuation=True, weighs_by_precision=True,
        )  # fmt: skip
        link = link_plainly(items)
        missed = [
            link.constants.slope - CONSTANTS.slope,
            link.constants.intercept - CONSTANTS.intercept,
        ]
        covered += np.abs(missed) <= TWO_SIDED_95 * link.standard_errors
    equal = link_plainly(replace(items, weighs_by_precision=False))
    assert (link.standard_errors < 0.45 * equal.standard_errors).all()
    assert (np.abs(covered / repeats - 0.95) <= 0.04).all()


@pytest.mark.parametrize("method", LINKING_METHODS)
def test_what_the_items_errors_bend_is_taken_off(method: LinkingMethod) -> None:
    """With many items the bias outweighs the errors: only the corrected constants are on target."""
    generator = np.random.default_rng(23)
    truth = draw_items(200, generator)
    errors = np.array([0.2, 0.2, 0.0])
    covariance = np.tile(np.diag(errors**2), (200, 1, 1))
    known = np.zeros_like(covariance)
    missed = np.zeros((2, 2))
    for _ in range(repeats := 30):
        new = with_errors(on_new_scale(truth, CONSTANTS), errors, generator)
        items = CommonItems(new, truth, covariance, known, method, CurveSettings(COARSE))
        for row, is_corrected in enumerate((False, True)):
            found = link_plainly(replace(items, corrects_attenuation=is_corrected)).constants
            missed[row] += [found.slope - CONSTANTS.slope, found.intercept - CONSTANTS.intercept]
    plain, corrected = np.abs(missed / repeats)
    assert plain[0] > 0.015
    assert corrected[0] < 0.008
    assert corrected[1] < 0.008


def test_linked_items_inherit_the_errors_of_the_constants() -> None:
    """Against many draws of everything; the items linked are among those that were linked by."""
    generator = np.random.default_rng(29)
    truth = draw_items(6, generator)
    new_truth = on_new_scale(truth, CONSTANTS)
    errors, n = np.array([0.08, 0.1, 0.1]), 2000
    covariance = np.tile(np.diag(errors**2), (6, 1, 1))
    linked = np.empty((n, 6, 3))
    for draw in range(n):
        new, reference = (with_errors(side, errors, generator) for side in (new_truth, truth))
        linked[draw] = to_internal(transform_items(new, mean_mean(new, reference)))
    observed = np.stack([np.cov(linked[:, j].T) for j in range(6)])
    influence = linking_influence("mean-mean", new_truth, truth, CONSTANTS)
    of_constants = influence.covariance(covariance, covariance)
    arguments = (new_truth, covariance, CONSTANTS, of_constants)
    found = linked_covariances(*arguments, influence.new)
    variances = np.diagonal(found, axis1=1, axis2=2)
    np.testing.assert_allclose(variances, np.diagonal(observed, axis1=1, axis2=2), rtol=0.12)
    np.testing.assert_allclose(found[:, 0, 1], observed[:, 0, 1], atol=6e-4)
    apart = linked_covariances(*arguments)  # as if they had not been linked by
    assert (np.diagonal(apart, axis1=1, axis2=2)[:, :2] > 1.2 * variances[:, :2]).any()


@pytest.fixture(scope="module")
def forms() -> dict[int, tuple[FloatArray, FloatArray]]:
    """The five forms behind equateIRT's chain, fitted here: items, and the covariance of all."""
    answers = pd.read_parquet(reference_file("equateIRT_data2pl.parquet"))
    order = pd.read_csv(reference_file("equateIRT_est2pl.csv")).groupby("form").row.apply(list)
    form_of = answers.person_id.str[1].astype(int)
    free = np.tile([True, True, False], (20, 1))
    problem = ItemProblem(np.tile([1.0, 0.0, 0.0], (20, 1)), free, ItemPriors.none(20))
    settings = EMConfiguration(tolerance=1e-6, maximum_cycles=500)
    found = {}
    for form in range(1, 6):
        rows = answers[form_of == form]
        item = rows.item_id.map({name: place for place, name in enumerate(order[form])})
        data = ResponseData.from_long(
            rows.person_id.to_numpy(), item.to_numpy(), rows.correct.to_numpy()
        )
        result = fit(data, problem, Population(), settings)
        covariance = np.zeros((60, 60))
        estimated = np.flatnonzero(free.ravel())
        joint = observed_information(data, problem, result, settings).covariance
        covariance[np.ix_(estimated, estimated)] = joint
        found[form] = result.parameters, covariance
    return found


def chained(
    forms: dict[int, tuple[FloatArray, FloatArray]], new: int, reference: int, method: LinkingMethod
) -> ChainedLink:
    *_, here, there = equateirt_pair("est2pl", new, reference)
    pair = forms[new][0][here], forms[reference][0][there]
    constants = estimate_constants(method, *pair, HERMITE)
    influence = linking_influence(method, *pair, constants, HERMITE)
    return ChainedLink(constants, influence, np.array(here), np.array(there))


def errors_of(forms: dict[int, tuple[FloatArray, FloatArray]], path: list[int]) -> FloatArray:
    links = [chained(forms, *pair, "haebara") for pair in pairwise(path)]
    _, covariance = join_links(links, [forms[form][1] for form in path])
    return np.sqrt(np.diagonal(covariance))


def test_standard_errors_of_equateirt_are_reproduced(forms) -> None:
    """From our own fits, which differ from its in the third or fourth decimal.

    Its errors of mean/sigma slopes are (n − 1)/n of ours: differences and simulation, above, say
    the same as ours.
    """
    table = pd.read_csv(reference_file("reference/equateirt_est2pl_links.csv"))
    names = {"mean-mean": "mean-mean", "Haebara": "haebara", "Stocking-Lord": "stocking-lord"}
    for row in table[table.method.isin(names)].itertuples():
        link = chained(forms, row._2, row.to, names[row.method])
        _, covariance = join_links([link], [forms[row._2][1], forms[row.to][1]])
        expected = pytest.approx([row.seA, row.seB], rel=2e-3)
        assert np.sqrt(np.diagonal(covariance)) == expected, row


def test_the_ends_of_equateirts_chain_have_its_standard_errors(forms) -> None:
    assert errors_of(forms, [1, 5]) == pytest.approx([0.021344, 0.023886], abs=5e-5)


def test_a_chain_has_the_errors_that_differences_say(forms) -> None:
    """Forms in the middle take part in two links: step every parameter, and join again."""
    path = [1, 2, 3]
    links = [chained(forms, 1, 2, "mean-mean"), chained(forms, 2, 3, "mean-mean")]
    joined, covariance = join_links(links, [forms[form][1] for form in path])
    numerical, step = np.zeros((2, 2)), 1e-5
    for form in path:
        gradient = np.zeros((2, 60))
        for place in np.flatnonzero(np.tile([True, True, False], 20)):
            internal = to_internal(forms[form][0])
            internal[place // 3, place % 3] += step
            moved = forms | {form: (from_internal(internal, np.zeros(20, bool)), forms[form][1])}
            after = chained(moved, 2, 3, "mean-mean").constants.after(
                chained(moved, 1, 2, "mean-mean").constants
            )
            gradient[:, place] = [after.slope - joined.slope, after.intercept - joined.intercept]
        numerical += gradient @ forms[form][1] @ gradient.T / step**2
    np.testing.assert_allclose(covariance, numerical, rtol=1e-3)


@pytest.mark.slow
def test_intervals_hold_the_truth_where_items_are_fitted_to_answers() -> None:
    """Two tests of 20 items and 1500 persons each, 200 times, fitted without priors."""
    generator = np.random.default_rng(31)
    truth = draw_items(20, generator, "2PL")
    free = np.tile([True, True, False], (20, 1))
    problem = ItemProblem(np.tile([1.0, 0.0, 0.0], (20, 1)), free, ItemPriors.none(20))
    settings, estimated = EMConfiguration(tolerance=1e-4), np.flatnonzero(free.ravel())
    covered, repeats = np.zeros(2), 200
    for _ in range(repeats):
        sides = []
        for items in (on_new_scale(truth, CONSTANTS), truth):
            chance = response_probabilities(generator.normal(size=1500), items)
            data = complete_data(generator.random(chance.T.shape) < chance.T)
            result = fit(data, problem, Population(), settings)
            covariance = np.zeros((60, 60))
            joint = observed_information(data, problem, result, settings).covariance
            covariance[np.ix_(estimated, estimated)] = joint
            sides.append((result.parameters, covariance))
        (new, of_new), (reference, of_reference) = sides
        found = estimate_constants("stocking-lord", new, reference)
        influence = linking_influence("stocking-lord", new, reference, found)
        errors = np.sqrt(np.diagonal(influence.covariance(of_new, of_reference)))
        missed = [found.slope - CONSTANTS.slope, found.intercept - CONSTANTS.intercept]
        covered += np.abs(missed) <= TWO_SIDED_95 * errors
    coverage = covered / repeats
    assert coverage == pytest.approx([0.95, 0.95], abs=0.031)
