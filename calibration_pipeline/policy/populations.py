"""A scale's ability population between the nights: by group name, with what it was regressed on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.policy.population_groups import EVERYBODY
from calibration_pipeline.records import GroupPopulation, ScaleState


@dataclass(frozen=True)
class KnownPopulation:
    """A population as it was last accepted or published.

    Attributes
    ----------
    population
        One entry per group.
    groups
        Them by name; empty where the population is one normal without a name.
    pooled_mean, pooled_sd
        Of all sessions together.
    common_start
        Ability that the test engine starts new candidates from; NaN if it has none.
    """

    population: Population
    groups: tuple[GroupPopulation, ...] = ()
    pooled_mean: float = 0.0
    pooled_sd: float = 1.0
    common_start: float = float("nan")

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of the population's groups."""
        return tuple(group.name for group in self.groups) or EVERYBODY


STANDARD = KnownPopulation(Population())
"""N(0, 1): where nothing is known yet."""


def known_population(
    scale: ScaleState, constants: LinkingConstants, *, mean_is_estimated: bool = False
) -> KnownPopulation:
    """Take over a night's population, stated on the scale that the constants lead to."""
    slope, intercept = constants.slope, constants.intercept
    groups = tuple(
        replace(
            group,
            mean=slope * group.mean + intercept,
            slope=slope * group.slope,
            sd=slope * group.sd,
        )
        for group in scale.groups
    )
    mean, sd = slope * scale.population_mean + intercept, slope * scale.population_sd
    population = Population(mean, sd, mean_is_estimated)
    if groups:
        population = Population(
            [group.mean for group in groups],
            [group.sd for group in groups],
            mean_is_estimated,
            slope=[group.slope for group in groups],
        )
    start = float("nan") if scale.common_start is None else scale.common_start
    return KnownPopulation(population, groups, mean, sd, start)


def starting_population(
    known: KnownPopulation,
    group_names: Sequence[str],
    cells: PopulationCells | None,
    *,
    mean_is_estimated: bool,
    sd_is_estimated: bool,
) -> Population:
    """Where tonight's fit of the population begins: at the known groups; new ones at the first.

    Parameters
    ----------
    known
        Last accepted.
    group_names, cells
        Tonight's groups, and who is in them; None for a single cell.
    mean_is_estimated, sd_is_estimated
        As in `Population`.
    """
    names = group_names if cells is not None else EVERYBODY
    place = {name: number for number, name in enumerate(known.group_names)}
    at = [place.get(name, 0) for name in names]
    before = known.population
    has_covariate = cells is not None and bool(cells.covariate.any())
    return Population(
        before.mean[at],
        before.sd[at],
        mean_is_estimated,
        sd_is_estimated,
        slope=before.slope[at] if has_covariate else np.zeros(len(at)),
        has_covariate=has_covariate,
    )


def group_populations(
    population: Population,
    group_names: Sequence[str],
    cells: PopulationCells,
    constants: LinkingConstants,
) -> tuple[GroupPopulation, ...]:
    """Name the fitted groups, stated on the scale that the constants lead to."""
    linked = population.rescaled(constants.slope, constants.intercept)
    sessions = np.bincount(cells.group[cells.cell], minlength=population.n_groups)
    names = group_names if population.n_groups > 1 or linked.slope.any() else EVERYBODY
    return tuple(
        GroupPopulation(name, float(mean), float(slope), float(sd), int(count))
        for name, mean, slope, sd, count in zip(
            names, linked.mean, linked.slope, linked.sd, sessions, strict=True
        )
    )
