"""Linking constants against other programs' results, and on scales with a known change."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration_pipeline.irt.configuration import LINKING_METHODS, LinkingMethod
from calibration_pipeline.irt.linking import LinkingConstants, transform_items
from calibration_pipeline.irt.linking_curves import CurveSettings, Quadrature
from calibration_pipeline.irt.linking_methods import CURVE_METHODS, estimate_constants
from calibration_pipeline_tests.irt.common_items import equateirt_pair, kolen_brennan
from calibration_pipeline_tests.reference_data import reference_file
from calibration_pipeline_tests.simulated import draw_items

NAMES = {
    "MM": "mean-mean", "MS": "mean-sigma", "HB": "haebara", "SL": "stocking-lord",
    "mean-mean": "mean-mean", "mean-sigma": "mean-sigma", "Haebara": "haebara",
    "Stocking-Lord": "stocking-lord",
}  # fmt: skip
PLINK_GRIDS = {
    "40 equally spaced points on [-4, 4], weight 1": Quadrature.equal(),
    "40 equally spaced points on [-4, 4], weight dnorm": Quadrature.normal(),
    "-3..3 by 0.1, weight 1": Quadrature.equal(61, -3.0, 3.0),
}
HERMITE = Quadrature.gauss_hermite(30)

slopes, intercepts = st.floats(0.5, 2.0), st.floats(-1.5, 1.5)
methods = st.sampled_from(LINKING_METHODS)


def test_constants_of_plink_are_reproduced_by_d_grid_and_symmetry() -> None:
    """Kolen and Brennan's forms, to four decimals; also without their outlying item 27."""
    table = pd.read_csv(reference_file("reference/kb36_linking_plink.csv"), keep_default_na=False)
    new, reference = kolen_brennan()
    compared = 0
    for row in table.itertuples():
        grid = PLINK_GRIDS.get(row.theta)
        if grid is None:
            continue
        used = np.arange(3, 37, 3) != (27 if row.exclude else 0)
        is_symmetric = str(row.symmetric).upper() == "TRUE"
        found = estimate_constants(
            NAMES[row.method], new[used], reference[used],
            CurveSettings(grid, grid if is_symmetric else None, float(row.D)),
        )  # fmt: skip
        assert found.slope == pytest.approx(float(row.A), abs=5e-5), row
        assert found.intercept == pytest.approx(float(row.B), abs=5e-5), row
        compared += 1
    assert compared == 32


def test_constants_of_equateirt_are_reproduced() -> None:
    table = pd.read_csv(reference_file("reference/kb36_linking_equateirt.csv"))
    table = table[table.method != "mean-gmean"]
    for row in table.itertuples():
        grid = HERMITE if str(row.theta).startswith("Gauss") else Quadrature.equal()
        found = estimate_constants(
            NAMES[row.method], *kolen_brennan(), CurveSettings(grid, scaling_constant=row.D)
        )
        assert found.slope == pytest.approx(row.A, abs=5e-5), row
        assert found.intercept == pytest.approx(row.B, abs=5e-5), row


@pytest.mark.parametrize("data", ["est2pl", "est3pl"])
def test_the_links_of_equateirts_chain_are_reproduced(data: str) -> None:
    table = pd.read_csv(reference_file(f"reference/equateirt_{data}_links.csv"))
    table = table[table.method != "mean-gmean"]
    for row in table.itertuples():
        new, reference, *_ = equateirt_pair(data, row._2, row.to)
        found = estimate_constants(NAMES[row.method], new, reference, CurveSettings(HERMITE))
        assert found.slope == pytest.approx(row.A, abs=5e-5), row
        assert found.intercept == pytest.approx(row.B, abs=5e-5), row


@pytest.mark.parametrize(
    ("method", "slope", "intercept"),
    [("haebara", 0.97152, -0.47511), ("mean-mean", 0.96497, -0.47418)],
)
def test_the_ends_of_equateirts_chain_are_linked(
    method: LinkingMethod, slope: float, intercept: float
) -> None:
    new, reference, *_ = equateirt_pair("est2pl", 1, 5)
    found = estimate_constants(method, new, reference, CurveSettings(HERMITE))
    assert found.slope == pytest.approx(slope, abs=1e-5)
    assert found.intercept == pytest.approx(intercept, abs=1e-5)


@given(methods, slopes, intercepts, st.booleans(), st.integers(0, 1000))
@settings(max_examples=40)
def test_every_method_finds_a_known_change_of_scale(
    method: LinkingMethod, slope: float, intercept: float, is_symmetric: bool, seed: int
) -> None:
    new = draw_items(12, np.random.default_rng(seed))
    reference = transform_items(new, LinkingConstants(slope, intercept))
    grid = Quadrature.equal()
    curves = CurveSettings(grid, grid if is_symmetric else None)
    found = estimate_constants(method, new, reference, curves)
    assert found.slope == pytest.approx(slope, abs=1e-5)
    assert found.intercept == pytest.approx(intercept, abs=1e-5)


@pytest.mark.parametrize("method", CURVE_METHODS)
def test_a_symmetric_link_the_other_way_is_the_inverse(method: LinkingMethod) -> None:
    generator = np.random.default_rng(5)
    new, reference = draw_items(12, generator), draw_items(12, generator)
    here, there = Quadrature.equal(41, -4.0, 4.0), Quadrature.normal(31, -3.0, 3.0)
    ahead = estimate_constants(method, new, reference, CurveSettings(here, there))
    back = estimate_constants(method, reference, new, CurveSettings(there, here)).inverse()
    assert (back.slope, back.intercept) == pytest.approx((ahead.slope, ahead.intercept), abs=1e-5)
    one_sided = estimate_constants(method, new, reference, CurveSettings(here))
    assert abs(one_sided.slope - ahead.slope) > 1e-3


@pytest.mark.parametrize("method", LINKING_METHODS)
def test_rasch_items_only_shift(method: LinkingMethod) -> None:
    reference = draw_items(12, np.random.default_rng(0), "Rasch")
    found = estimate_constants(method, reference - [0.0, 0.4, 0.0], reference, slope_is_free=False)
    assert found.slope == 1.0
    assert found.intercept == pytest.approx(0.4)


def test_items_of_one_difficulty_can_be_linked_by_their_curves() -> None:
    new = np.array([[1.0, 0.3, 0.0], [1.4, 0.3, 0.0]])
    reference = transform_items(new, LinkingConstants(1.2, 0.1))
    for method in ("stocking-lord", "haebara", "mean-mean"):
        found = estimate_constants(method, new, reference)
        assert found.slope == pytest.approx(1.2, abs=1e-4)
    with pytest.raises(ValueError, match="different difficulty"):
        estimate_constants("mean-sigma", new, reference)


def test_what_cannot_be_linked_is_refused() -> None:
    with pytest.raises(ValueError, match="no common items"):
        estimate_constants("stocking-lord", np.empty((0, 3)), np.empty((0, 3)))
    with pytest.raises(ValueError, match="one scale at least"):
        CurveSettings()


def test_constants_can_be_turned_round_and_joined() -> None:
    first, second = LinkingConstants(1.2, -0.3), LinkingConstants(0.9, 0.5)
    both = second.after(first)
    theta = 0.7
    through = second.slope * (first.slope * theta + first.intercept) + second.intercept
    assert math.isclose(both.slope * theta + both.intercept, through)
    back = first.inverse().after(first)
    assert (back.slope, back.intercept) == pytest.approx((1.0, 0.0))
