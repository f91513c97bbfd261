"""What a night takes over from the last accepted one, and the folding of days that left.

The carried information is the likelihood of every day that has left the window, each exactly
once, as natural parameters (Λ, η) of a Gaussian on φ. When a day leaves, its score g and its
information I at the last accepted estimate φ̂ are added: Λ ← Λ + I, η ← η + I·φ̂ + g. Both lose
half their weight every half-life, so that an item can change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from calibration_pipeline.irt.expectation import (
    MarginalDerivatives,
    marginal_derivatives,
    with_estimated_mean,
)
from calibration_pipeline.irt.linking import UNLINKED
from calibration_pipeline.irt.model import FREE_COORDINATES, from_internal, to_internal
from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.populations import (
    STANDARD,
    KnownPopulation,
    known_population,
    starting_population,
)
from calibration_pipeline.policy.screening import KnownScale, screen
from calibration_pipeline.policy.windows import ScaleResponses, ScreeningBasis, leaving_days
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    DayArray,
    DayResponses,
    FloatArray,
    IntArray,
    ItemBank,
)

DAY_MEAN_SD = 0.3
"""How far a day's mean ability is expected from the window's, in standard deviations of ability:
a handful of sessions says less than that of it."""


@dataclass(frozen=True)
class CarriedItems:
    """Last night's items in tonight's bank order.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` last accepted estimates, anchors at their reference; NaN for new items.
    prior_mean, prior_precision
        ``(n_items, 3)`` base priors as they stood; NaN for new items.
    information, linear
        ``(n_items, 3, 3)`` Λ and ``(n_items, 3)`` η.
    carried_from
        ``(n_items,)`` first day that an item may carry; NaT: any.
    covariance
        ``(n_items, 3, 3)`` of φ where it belongs to the estimates and the priors, 0 elsewhere: of
        new items, of what was an anchor, and on scales that were not fitted.
    folded_counts, total_counts
        ``(n_items,)`` answers ever folded, and in all.
    populations
        Last accepted population by scale name; its mean is free where no anchor holds the scale.
    folded_through
        Last day folded in; None before the first night.
    """

    parameters: FloatArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    information: FloatArray
    linear: FloatArray
    carried_from: DayArray
    covariance: FloatArray
    folded_counts: IntArray
    total_counts: IntArray
    populations: dict[str, KnownPopulation]
    folded_through: date | None


def free_by_model(bank: ItemBank) -> BoolArray:
    """Coordinates of φ that each item's model estimates, ``(n_items, 3)``."""
    of_scale = np.array([FREE_COORDINATES[model] for model in bank.scale_models], bool)
    return np.asarray(of_scale.reshape(-1, 3)[bank.scale_index])


def carry_over(
    parent: CalibrationState | None,
    baselines: Mapping[str, CalibrationState],
    bank: ItemBank,
    anchors: AnchorSet,
) -> CarriedItems:
    """Bring the parent state's items into the bank's order and put anchors at their reference.

    A scale that was fitted before (it has a baseline, or anchors) keeps its population over nights
    that couldn't fit it: without, the next fit would take itself for the first.
    """
    n = bank.n_items
    carried = CarriedItems(
        parameters=np.full((n, 3), np.nan),
        prior_mean=np.full((n, 3), np.nan),
        prior_precision=np.full((n, 3), np.nan),
        information=np.zeros((n, 3, 3)),
        linear=np.zeros((n, 3)),
        carried_from=np.full(n, "NaT", "datetime64[D]"),
        covariance=np.zeros((n, 3, 3)),
        folded_counts=np.zeros(n, np.int64),
        total_counts=np.zeros(n, np.int64),
        populations={},
        folded_through=None,
    )
    if parent is not None:
        positions = bank.positions(parent.keys)
        known = positions >= 0
        to = positions[known]
        carried.parameters[to] = parent.parameters[known]
        carried.prior_mean[to] = parent.prior_mean[known]
        carried.prior_precision[to] = parent.prior_precision[known]
        carried.information[to] = parent.carried_information[known]
        carried.linear[to] = parent.carried_linear[known]
        carried.carried_from[to] = parent.carried_from[known]
        fitted = {scale.name for scale in parent.scales if scale.fitted}
        was_fitted = np.array([name in fitted for name in bank.scale_names])[bank.scale_index[to]]
        belongs = was_fitted & ~parent.is_anchor[known]
        carried.covariance[to[belongs]] = parent.covariance[known][belongs]
        carried.total_counts[to] = parent.total_counts[known]
        carried.folded_counts[to] = (parent.total_counts - parent.window_counts)[known]
        anchored = set(bank.scale_index[bank.positions(anchors.keys)].tolist())
        held = {name for number, name in enumerate(bank.scale_names) if number in anchored}
        carried = replace(
            carried,
            populations={
                scale.name: known_population(
                    scale, UNLINKED, mean_is_estimated=scale.name not in held
                )
                for scale in parent.scales
                if scale.fitted or scale.name in baselines or scale.name in held
            },
            folded_through=parent.folded_through,
        )
    carried.parameters[bank.positions(anchors.keys)] = anchors.parameters
    return carried


def fold(
    carried: CarriedItems,
    leaving: Sequence[DayResponses],
    partition: date,
    start: FloatArray,
    bank: ItemBank,
    configuration: CalibrationConfiguration,
    rapid_guess_ms: FloatArray,
    left_out_from: DayArray | None = None,
    engine: Engine | None = None,
) -> CarriedItems:
    """Fold every day that has left the window since the last fold, each once, oldest first.

    Parameters
    ----------
    carried
        As taken over from the last accepted state.
    leaving
        The archived days among those that left; a day without an archive had no answers.
    partition
        Tonight's day.
    start
        ``(n_items, 3)`` last accepted estimates; starting values for items without.
    bank, configuration
        The pool and the settings.
    rapid_guess_ms
        ``(n_items,)`` thresholds of tonight's window; a single day has too few answers for its own.
    left_out_from, engine
        As in `screening.screen`.
    """
    first_of_window = partition - timedelta(days=configuration.window_days - 1)
    before_window = first_of_window - timedelta(days=1)
    if carried.folded_through is None:
        return replace(carried, folded_through=before_window)
    days = {day.revision.day: day for day in leaving}
    decay = 0.5 ** (1.0 / configuration.forgetting_half_life_days)
    information, linear = carried.information.copy(), carried.linear.copy()
    counts = carried.folded_counts.copy()
    for day in leaving_days(carried.folded_through, partition, configuration.window_days):
        information *= decay
        linear *= decay
        if day in days:
            added = _day_likelihood(
                days[day],
                carried,
                start,
                bank,
                configuration,
                rapid_guess_ms,
                left_out_from,
                engine,
            )
            # An answer from before an item changed says nothing about it as it is.
            is_current = ~(carried.carried_from > np.datetime64(day))
            information += np.where(is_current[:, None, None], added[0], 0.0)
            linear += np.where(is_current[:, None], added[1], 0.0)
            counts += added[2]
    return replace(
        carried,
        information=information,
        linear=linear,
        folded_counts=counts,
        folded_through=max(carried.folded_through, before_window),
    )


def _day_likelihood(
    day: DayResponses,
    carried: CarriedItems,
    start: FloatArray,
    bank: ItemBank,
    configuration: CalibrationConfiguration,
    rapid_guess_ms: FloatArray,
    left_out_from: DayArray | None,
    engine: Engine | None,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """One day's information, its linear term I·φ̂ + g and its answers per item."""
    n = bank.n_items
    information, linear = np.zeros((n, 3, 3)), np.zeros((n, 3))
    counts = np.zeros(n, np.int64)
    free = free_by_model(bank)
    for number, name in enumerate(bank.scale_names):
        in_scale = bank.scale_index == number
        known = carried.populations.get(name, STANDARD)
        estimate = start[in_scale]
        answers = screen(
            [day],
            bank,
            in_scale,
            configuration,
            known=KnownScale(estimate, known.population, known.group_names),
            basis=ScreeningBasis(rapid_guess_ms[in_scale], known.common_start, known.group_names),
            left_out_from=left_out_from,
            engine=engine,
        )
        if answers.data.n_responses == 0:
            continue
        found = _marginal_derivatives(answers, estimate, known, configuration)
        mask = free[in_scale]
        pairs = mask[:, :, None] & mask[:, None, :]
        masked = np.where(pairs, found.information, 0.0)
        information[in_scale] = masked
        phi = np.where(mask, to_internal(estimate), 0.0)
        linear[in_scale] = np.einsum("jkm,jm->jk", masked, phi) + np.where(mask, found.score, 0.0)
        counts[in_scale] = answers.data.item_counts[: len(estimate)]
    return information, linear, counts


def _marginal_derivatives(
    answers: ScaleResponses,
    estimate: FloatArray,
    known: KnownPopulation,
    configuration: CalibrationConfiguration,
) -> MarginalDerivatives:
    """Derivatives at the last estimates and the last population, moved to the day's own mean.

    The last population is that of a whole window, whose oldest day this is. Where abilities grow,
    its sessions were weaker than that, and its items would look harder than they are.
    Without anchors nothing but carried information holds a scale's origin: there the chance that a
    day's sessions were able or weak ones must not move it at all.
    """
    free_mean = known.population.mean_is_estimated
    parameters = np.concatenate([estimate, estimate[answers.copies]])
    population = starting_population(
        known,
        known.group_names,
        answers.data.cells,
        mean_is_estimated=free_mean,
        sd_is_estimated=False,
    )
    n_sessions = answers.data.n_sessions
    population = with_estimated_mean(
        answers.data,
        parameters,
        population,
        configuration.em,
        weight=1.0 if free_mean else n_sessions / (n_sessions + DAY_MEAN_SD**-2),
    )
    found = marginal_derivatives(answers.data, parameters, population, configuration.em)
    return found.of_items(len(estimate))


def starting_values(carried: CarriedItems, prior_mean: FloatArray, bank: ItemBank) -> FloatArray:
    """Last accepted parameters, and the base prior's mode for items that have none yet.

    Parameters
    ----------
    carried
        Taken over from the parent.
    prior_mean
        ``(n_items, 3)`` of φ.
    bank
        Gives the models: without guessing c is 0, Rasch and 1PL items discriminate by 1.
    """
    free = free_by_model(bank)
    internal = np.where(free, prior_mean, 0.0)
    fresh = from_internal(internal, free[:, 2])
    return np.where(np.isfinite(carried.parameters), carried.parameters, fresh)
