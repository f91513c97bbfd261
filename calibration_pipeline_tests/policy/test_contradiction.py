"""What an item carries and its window as two samples of its difficulty."""

import numpy as np
import pytest

from calibration_pipeline.irt.expectation import MarginalDerivatives
from calibration_pipeline.irt.model import from_internal
from calibration_pipeline.policy.contradiction import carried_shift, without_carried
from calibration_pipeline.policy.scale_items import ScaleItems

TRUTH = np.array([0.2, -0.4, -1.5])
BASE_MEAN, BASE_SD = np.array([0.1, 0.5, -1.4]), np.array([0.3, 0.6, 0.4])


def a_precision(generator, answers: float) -> np.ndarray:
    """Information of so many answers on φ, with the correlations that 3PL items have."""
    root = np.array([[0.5, 0.2, 0.1], [0.0, 0.5, 0.2], [0.0, 0.0, 0.1]])
    noise = generator.normal(1.0, 0.1, (3, 3))
    return answers * (root * noise).T @ (root * noise)


def nothing_at(phi) -> MarginalDerivatives:
    """No answers at all."""
    n = len(phi)
    return derivatives_at(phi, np.zeros((n, 3, 3)), phi)


def shift_of(items, phi, window, halves=None, loadings=None):
    """Compare; where no halves are given all of the window is new."""
    n = len(phi)
    loadings = np.zeros((n, 3, 2)) if loadings is None else loadings
    estimates = from_internal(phi, np.ones(n, bool))
    halves = halves or (nothing_at(phi), window)
    return carried_shift(items, estimates, window, halves, loadings)


def items_of(information, linear, free=True, prior_mean=BASE_MEAN) -> ScaleItems:
    n = len(information)
    return ScaleItems(
        start=np.ones((n, 3)),
        free=np.full((n, 3), free),
        is_anchor=np.zeros(n, bool),
        prior_mean=np.tile(prior_mean, (n, 1)),
        prior_precision=np.tile(BASE_SD**-2.0, (n, 1)),
        information=information,
        linear=linear,
        baseline=None,
    )


def derivatives_at(phi, precision, mode) -> MarginalDerivatives:
    """A quadratic window with its mode at `mode`, seen from `phi`."""
    score = np.einsum("jkm,jm->jk", precision, mode - phi)
    nothing = np.full(len(phi), np.nan)
    return MarginalDerivatives(score, precision, *[nothing] * 6)


def test_a_shift_is_found_whatever_the_estimate_it_is_seen_from():
    """Sharp samples: 0.7 harder in the window, same discrimination and guessing."""
    generator = np.random.default_rng(0)
    carried, window = a_precision(generator, 1e7)[None], a_precision(generator, 1e7)[None]
    items = items_of(carried, (carried[0] @ TRUTH)[None])
    for seen_from in ([0.0, 0.0, -1.0], TRUTH):
        phi = np.array(seen_from)[None]
        found = derivatives_at(phi, window, (TRUTH + np.array([0.0, 0.7, 0.0]))[None])
        shift = shift_of(items, phi, found)
        assert shift.shift[0] == pytest.approx(0.7, abs=1e-4)
        assert shift.is_credible(3.0)[0]


def test_a_change_within_the_window_shows_in_its_newer_half():
    """Half of the window is from before the step of 0.6: all of it together says half as much."""
    generator = np.random.default_rng(5)
    carried, half = a_precision(generator, 2000.0)[None], a_precision(generator, 600.0)[None]
    stepped = TRUTH + np.array([0.0, 0.6, 0.0])
    older, newer = (derivatives_at(TRUTH[None], half, mode[None]) for mode in (TRUTH, stepped))
    together = MarginalDerivatives(
        older.score + newer.score, older.information + newer.information,
        *(older.infit, older.outfit, older.infit_se, older.outfit_se),
        *(older.infit_slope, older.outfit_slope),
    )  # fmt: skip
    items = items_of(carried, (carried[0] @ TRUTH)[None])
    whole = shift_of(items, TRUTH[None], together)
    divided = shift_of(items, TRUTH[None], together, (older, newer))
    assert whole.shift[0] == pytest.approx(0.3, abs=0.02)
    assert divided.shift[0] == pytest.approx(0.6, abs=0.02)
    assert divided.z[0] > 1.3 * whole.z[0]


def test_the_older_half_counts_as_before():
    """Little is carried: the older half makes the comparison sharp."""
    generator = np.random.default_rng(6)
    carried, half = a_precision(generator, 60.0)[None], a_precision(generator, 600.0)[None]
    older, newer = (derivatives_at(TRUTH[None], half, TRUTH[None]) for _ in range(2))
    items = items_of(carried, (carried[0] @ TRUTH)[None])
    with_older = shift_of(items, TRUTH[None], newer, (older, newer))
    alone = shift_of(items, TRUTH[None], newer)
    # Neither says that the item changed: the sharper one is told by looking at a change.
    changed = derivatives_at(TRUTH[None], half, (TRUTH + np.array([0.0, 0.5, 0.0]))[None])
    sharp = shift_of(items, TRUTH[None], changed, (older, changed))
    blunt = shift_of(items, TRUTH[None], changed)
    assert np.abs([with_older.z[0], alone.z[0]]).max() < 1.0
    assert sharp.shift_se[0] < 0.7 * blunt.shift_se[0]


def test_z_is_standard_normal_for_items_that_did_not_change():
    """4,000 items, their parameters from the prior, both samples of the size of some months."""
    generator, n = np.random.default_rng(1), 4000
    phi = BASE_MEAN + BASE_SD * generator.normal(size=(n, 3))
    samples = []
    for answers in (900.0, 360.0):
        precision = np.array([a_precision(generator, answers) for _ in range(n)])
        noise = np.linalg.cholesky(np.linalg.inv(precision)) @ generator.normal(size=(n, 3, 1))
        samples.append((precision, phi + noise[..., 0]))
    (carried, carried_mode), (window, window_mode) = samples
    items = items_of(carried, np.einsum("jkm,jm->jk", carried, carried_mode))
    found = derivatives_at(phi, window, window_mode)
    shift = shift_of(items, phi, found)
    z = shift.shift / shift.shift_se
    assert z.mean() == pytest.approx(0.0, abs=0.05)
    assert z.std() == pytest.approx(1.0, abs=0.03)
    assert shift.is_credible(3.0).mean() < 0.006


def test_a_wrong_base_prior_is_no_evidence_of_a_change():
    """The prior's difficulty is ten of its standard deviations off; what is carried is little."""
    generator = np.random.default_rng(2)
    carried, window = a_precision(generator, 60.0)[None], a_precision(generator, 400.0)[None]
    wrong = TRUTH + np.array([0.0, 10.0 * BASE_SD[1], 0.0])
    items = items_of(carried, (carried[0] @ TRUTH)[None], prior_mean=wrong)
    found = derivatives_at(TRUTH[None], window, TRUTH[None])
    shift = shift_of(items, TRUTH[None], found)
    assert abs(shift.z[0]) < 0.1


def test_the_error_that_all_items_share_widens_it():
    generator = np.random.default_rng(3)
    carried, window = a_precision(generator, 500.0)[None], a_precision(generator, 500.0)[None]
    items = items_of(carried, (carried[0] @ TRUTH)[None])
    found = derivatives_at(TRUTH[None], window, TRUTH[None])
    alone = shift_of(items, TRUTH[None], found).shift_se
    loadings = np.zeros((1, 3, 2))
    loadings[0, 1] = [0.3, 0.4]
    together = shift_of(items, TRUTH[None], found, loadings=loadings).shift_se
    assert together**2 - alone**2 == pytest.approx(0.25)


@pytest.mark.parametrize("silent", ["carried", "window", "fixed"])
def test_nothing_is_said_where_one_of_the_two_says_nothing(silent):
    generator = np.random.default_rng(4)
    carried, window = a_precision(generator, 500.0)[None], a_precision(generator, 500.0)[None]
    carried, window = carried * (silent != "carried"), window * (silent != "window")
    items = items_of(carried, (carried[0] @ TRUTH)[None], free=silent != "fixed")
    found = derivatives_at(TRUTH[None], window, TRUTH[None])
    shift = shift_of(items, TRUTH[None], found)
    assert np.isnan(shift.shift).all()
    assert not shift.is_credible(0.0).any()


def test_what_is_contradicted_is_dropped_and_nothing_else():
    information, linear = np.ones((3, 3, 3)), np.ones((3, 3))
    items = items_of(information, linear)
    dropped = without_carried(items, np.array([False, True, False]), start=np.full((3, 3), 0.3))
    np.testing.assert_array_equal(dropped.information[1], 0.0)
    np.testing.assert_array_equal(dropped.linear[1], 0.0)
    np.testing.assert_array_equal(dropped.information[[0, 2]], information[[0, 2]])
    np.testing.assert_array_equal(dropped.linear[[0, 2]], linear[[0, 2]])
    np.testing.assert_array_equal(dropped.start, 0.3)
