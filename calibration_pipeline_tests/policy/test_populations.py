from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.linking import UNLINKED, LinkingConstants
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.policy.population_groups import EVERYBODY
from calibration_pipeline.policy.populations import (
    STANDARD,
    group_populations,
    known_population,
    starting_population,
)
from calibration_pipeline.records import GroupPopulation
from calibration_pipeline_tests.policy.states import make_scale

NEW = GroupPopulation("new", -0.3, 0.0, 1.1, 400)
STARTED = GroupPopulation("known start", 0.1, 0.9, 0.5, 600)
GROUPED = replace(make_scale(), groups=(STARTED, NEW), common_start=0.0)
CONSTANTS = LinkingConstants(1.2, -0.4)
CELLS = PopulationCells(
    cell=np.array([0, 0, 1, 2, 2, 2], np.int32),
    group=np.array([0, 0, 1]),
    covariate=np.array([-1.0, 1.0, 0.0]),
)


def test_a_population_without_groups_is_one_normal_with_the_scales_moments():
    known = known_population(make_scale(), UNLINKED)
    assert (known.population.mean, known.population.sd) == (0.1, 1.0)
    assert known.group_names == EVERYBODY
    assert np.isnan(known.common_start)


def test_groups_are_taken_over_by_name():
    known = known_population(GROUPED, UNLINKED, mean_is_estimated=True)
    assert known.group_names == ("known start", "new")
    assert known.population.mean.tolist() == [0.1, -0.3]
    assert known.population.slope.tolist() == [0.9, 0.0]
    assert known.population.sd.tolist() == [0.5, 1.1]
    assert known.population.mean_is_estimated
    assert known.common_start == 0.0


def test_a_population_is_stated_on_the_scale_that_the_constants_lead_to():
    known = known_population(GROUPED, CONSTANTS)
    np.testing.assert_allclose(known.population.mean, [1.2 * 0.1 - 0.4, 1.2 * -0.3 - 0.4])
    np.testing.assert_allclose(known.population.slope, [1.2 * 0.9, 0.0])
    np.testing.assert_allclose(known.population.sd, [0.6, 1.32])
    assert (known.pooled_mean, known.pooled_sd) == pytest.approx((1.2 * 0.1 - 0.4, 1.2))
    assert [group.mean for group in known.groups] == known.population.mean.tolist()


def start_from(known, names, cells) -> Population:
    return starting_population(known, names, cells, mean_is_estimated=True, sd_is_estimated=True)


def test_tonights_groups_begin_where_they_were_whatever_their_order():
    known = known_population(GROUPED, UNLINKED)
    start = start_from(known, ("new", "known start"), CELLS)
    assert start.mean.tolist() == [-0.3, 0.1]
    assert start.slope.tolist() == [0.0, 0.9]
    assert start.sd.tolist() == [1.1, 0.5]
    assert start.has_covariate
    assert start.mean_is_estimated
    assert start.sd_is_estimated


def test_a_group_that_nobody_knew_begins_at_the_first():
    known = known_population(GROUPED, UNLINKED)
    start = start_from(known, ("new", "returning"), CELLS)
    assert start.mean.tolist() == [-0.3, 0.1]


def test_without_cells_there_is_one_group():
    start = start_from(STANDARD, ("new", "known start"), None)
    assert (start.n_groups, start.has_covariate) == (1, False)


def test_without_a_known_start_there_is_no_regression():
    constant = replace(CELLS, covariate=np.zeros(3))
    assert not start_from(STANDARD, ("new", "returning"), constant).has_covariate


def test_fitted_groups_are_named_counted_and_linked():
    fitted = Population([0.2, -0.5], [0.6, 1.1], slope=[0.8, 0.0])
    first, second = group_populations(fitted, ("known start", "new"), CELLS, CONSTANTS)
    assert (first.name, first.session_count) == ("known start", 3)
    assert (second.name, second.session_count) == ("new", 3)
    assert (first.mean, first.slope, first.sd) == pytest.approx((-0.16, 0.96, 0.72))
    assert (second.mean, second.slope, second.sd) == pytest.approx((-1.0, 0.0, 1.32))


def test_what_a_night_stores_the_next_one_starts_from():
    fitted = Population([0.2, -0.5], [0.6, 1.1], slope=[0.8, 0.0])
    groups = group_populations(fitted, ("known start", "new"), CELLS, UNLINKED)
    known = known_population(replace(make_scale(), groups=groups), UNLINKED)
    start = start_from(known, ("known start", "new"), CELLS)
    for name in ("mean", "slope", "sd"):
        np.testing.assert_array_equal(getattr(start, name), getattr(fitted, name))


def test_everybody_has_one_name():
    (only,) = group_populations(Population(0.3, 0.9), ("new",), PopulationCells.single(4), UNLINKED)
    assert (only.name, only.session_count) == (EVERYBODY[0], 4)
