"""Items that work differently in population groups of equal ability: compared, then flagged.

A night compares the groups that the response log names while it has the answers at hand; the flags
follow from the stored state alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from calibration_pipeline.irt.differential import (
    DifferentialFunctioning,
    differential_functioning,
)
from calibration_pipeline.irt.differential_contrast import GroupContrast, ets_classes
from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import BoolArray, Flag, ItemDifference, ItemKey

DIFFERENTIAL_FUNCTIONING = "differential_functioning"


@dataclass(frozen=True)
class ComparedGroups:
    """The items of one scale, compared between the groups of these names."""

    found: DifferentialFunctioning
    group_names: tuple[str, ...]


def compare_groups(
    answers: ScaleResponses,
    data: ResponseData,
    free: BoolArray,
    result: EMResult,
    configuration: CalibrationConfiguration,
) -> ComparedGroups | None:
    """Compare every group with the one that has most answers; None where fewer than two are used.

    Parameters
    ----------
    answers
        Screened; they say which group of the log each session belongs to.
    data
        What was fitted: the same sessions. Copies of items tell of ability only.
    free
        ``(n_items, 3)`` coordinates that were estimated, without the copies.
    result
        The fit to `data`.
    configuration
        The settings.
    """
    occurring = np.unique(answers.log_group[answers.log_group >= 0])
    if len(occurring) < 2 or not configuration.use_population_groups:
        return None
    # What is held fixed, such as an anchor, may be off for all groups alike. To take that for a
    # difference would be wrong, so the common value of its coordinates is projected out as well.
    by_model = free.any(axis=0) if free.any() else np.ones(3, np.bool_)
    found = differential_functioning(
        data,
        result.parameters,
        result.population,
        answers.log_group,
        configuration.em,
        n_groups=len(answers.log_group_names),
        free=np.tile(by_model, (data.n_items, 1)),
        compared=np.arange(data.n_items) < len(free),
        minimum_answers=configuration.differential_minimum_answers,
    )
    return ComparedGroups(found, answers.log_group_names)


def item_differences(
    compared: ComparedGroups | None, keys: Sequence[ItemKey], slope: float
) -> tuple[ItemDifference, ...]:
    """Name what was found, by item and then by group.

    Parameters
    ----------
    compared
        None where nothing was.
    keys
        The scale's items, in their order.
    slope
        Linking slope from the fit's scale to the stored one.
    """
    if compared is None:
        return ()
    names, found = compared.group_names, compared.found
    return tuple(
        _difference(key, j, contrast, names[contrast.focal], names[found.reference], slope)
        for j, key in enumerate(keys)
        for contrast in found.contrasts
        if contrast.is_tested[j]
    )


def _difference(
    key: ItemKey, j: int, contrast: GroupContrast, group: str, reference: str, slope: float
) -> ItemDifference:
    test = contrast.difficulty
    return ItemDifference(
        key=key,
        group=group,
        reference=reference,
        shift=slope * float(test.shift[j]),
        shift_se=slope * float(test.standard_error[j]),
        mh_delta=float(contrast.mh_delta[j]),
        mh_delta_se=float(contrast.mh_delta_se[j]),
        adjusted_p_value=float(test.adjusted_p_value[j]),
    )


def differential_flags(
    differences: Sequence[ItemDifference], configuration: CalibrationConfiguration
) -> Iterator[Flag]:
    """One flag per item that crosses the threshold in some group.

    An item that differs in several groups is flagged for the one with the strongest evidence; the
    explanation names the others.

    Parameters
    ----------
    differences
        A state's: those of an item stand together.
    configuration
        The threshold, and the false discovery rate up to which a flag is credible.
    """
    limit = configuration.differential_mh_delta
    large = (each for each in differences if abs(each.mh_delta) >= limit)
    for _, of_item in groupby(large, key=lambda each: each.key):
        strongest, *others = sorted(of_item, key=lambda each: -abs(_z(each)))
        yield _flag(strongest, [each.group for each in others], configuration)


def _flag(
    found: ItemDifference, others: Sequence[str], configuration: CalibrationConfiguration
) -> Flag:
    (ets_class,) = ets_classes(np.array([found.mh_delta]), np.array([found.mh_delta_se]))
    also = f"; beyond the threshold for {', '.join(others)} too" if others else ""
    return Flag(
        found.key, DIFFERENTIAL_FUNCTIONING, found.mh_delta, 0.0,
        configuration.differential_mh_delta, _z(found),
        found.adjusted_p_value <= configuration.differential_false_discovery_rate,
        f"{'harder' if found.shift > 0 else 'easier'} by {abs(found.shift):.2f} ± "
        f"{found.shift_se:.2f} for group {found.group} than for group {found.reference} at equal "
        f"ability (ETS class {ets_class}){also}: look for content that favours one of them",
    )  # fmt: skip


def _z(found: ItemDifference) -> float:
    return found.mh_delta / found.mh_delta_se
