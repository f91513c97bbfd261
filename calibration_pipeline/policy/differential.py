"""Flags of items that work differently in population groups of equal ability."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration, require
from calibration_pipeline.irt.differential import (
    DifferentialFunctioning,
    differential_functioning,
)
from calibration_pipeline.irt.differential_contrast import GroupContrast
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.records import BoolArray, Flag, FloatArray, IntArray, ItemKey

DIFFERENTIAL_FUNCTIONING = "differential_functioning"


@dataclass(frozen=True)
class DifferentialRule:
    """When an item is said to work differently in a group.

    Attributes
    ----------
    minimum_answers
        Answers in the window that an item needs in the focal and in the reference group (200 in
        the smaller one: Zwick 2012, ETS Research Report RR-12-08).
    mh_delta
        Size from which an item is flagged, as a Mantel–Haenszel delta; 1 is where class B begins.
    false_discovery_rate
        Share of false alarms among a focal group's credible flags.
    """

    minimum_answers: int = 200
    mh_delta: float = 1.0
    false_discovery_rate: float = 0.05

    def __post_init__(self) -> None:
        """Refuse values with which nothing or everything would be flagged.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        require(self.minimum_answers >= 1, "minimum_answers must be 1 or more")
        require(self.mh_delta > 0, "mh_delta must be above 0")
        require(0 < self.false_discovery_rate < 1, "false_discovery_rate must lie between 0 and 1")


def check_differential_functioning(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    group: IntArray,
    configuration: EMConfiguration,
    rule: DifferentialRule,
    *,
    keys: Sequence[ItemKey],
    group_names: Sequence[str],
    free: BoolArray | None = None,
) -> tuple[DifferentialFunctioning, tuple[Flag, ...]]:
    """Compare every population group with the largest one, and flag what differs.

    Parameters
    ----------
    data, parameters, population, group, configuration, free
        As `irt.differential.differential_functioning` takes them.
    rule
        The thresholds.
    keys
        One per item.
    group_names
        One per group number.
    """
    found = differential_functioning(
        data,
        parameters,
        population,
        group,
        configuration,
        n_groups=len(group_names),
        free=free,
        minimum_answers=rule.minimum_answers,
    )
    return found, differential_flags(found, rule, keys=keys, group_names=group_names)


def differential_flags(
    found: DifferentialFunctioning,
    rule: DifferentialRule,
    *,
    keys: Sequence[ItemKey],
    group_names: Sequence[str],
) -> tuple[Flag, ...]:
    """One flag per item that crosses the threshold in some group, in item order.

    An item that differs in several groups is flagged for the one with the strongest evidence; the
    explanation names the others. Parameters are those of `check_differential_functioning`.
    """
    flags: list[Flag] = []
    for j, key in enumerate(keys):
        differing = list(_differing(found, j, rule))
        if differing:
            strongest = max(differing, key=lambda contrast: abs(contrast.difficulty.z[j]))
            others = [group_names[c.focal] for c in differing if c is not strongest]
            flags.append(_flag(key, j, strongest, rule, group_names, found.reference, others))
    return tuple(sorted(flags, key=lambda flag: flag.key))


def _differing(
    found: DifferentialFunctioning, j: int, rule: DifferentialRule
) -> Iterator[GroupContrast]:
    for contrast in found.contrasts:
        if contrast.is_tested[j] and abs(contrast.mh_delta[j]) >= rule.mh_delta:
            yield contrast


def _flag(
    key: ItemKey,
    j: int,
    contrast: GroupContrast,
    rule: DifferentialRule,
    group_names: Sequence[str],
    reference: int,
    others: Sequence[str],
) -> Flag:
    test = contrast.difficulty
    shift, error = float(test.shift[j]), float(test.standard_error[j])
    also = f"; also beyond the threshold for {', '.join(others)}" if others else ""
    return Flag(
        key, DIFFERENTIAL_FUNCTIONING, float(contrast.mh_delta[j]), 0.0,
        float(np.copysign(rule.mh_delta, contrast.mh_delta[j])), float(test.z[j]),
        bool(test.adjusted_p_value[j] <= rule.false_discovery_rate),
        f"{'harder' if shift > 0 else 'easier'} by {abs(shift):.2f} ± {error:.2f} for group "
        f"{group_names[contrast.focal]} than for group {group_names[reference]} of equal ability "
        f"(class {contrast.ets_class[j]}){also}: review the content for what groups know unequally",
    )  # fmt: skip
