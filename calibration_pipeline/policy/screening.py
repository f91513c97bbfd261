"""Answers as they really are: what of them counts, how much, and for what.

1. Items that were not answered count as wrong or not at all, by the programme's settings. Answers
   from the onset of a suspected leak on don't count.
2. Sessions that are too short are left out.
3. A candidate's later answers to an item move to a copy of it, which is held fixed.
4. Rapid guesses and aberrant sessions are marked, counted, and weighted as the settings say.
5. Sessions are put into population groups, with the ability that they started from.

Nothing here depends on the order of computation or on the clock: the same days give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.person_fit import person_fit
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposures import onto_copies, repeated_exposures
from calibration_pipeline.policy.gathering import GatheredAnswers, gather
from calibration_pipeline.policy.population_groups import (
    assign_groups,
    choose_groups,
    common_start,
    population_cells,
    session_labels,
)
from calibration_pipeline.policy.rapid_guessing import rapid_guess_thresholds, rapid_guesses
from calibration_pipeline.policy.windows import (
    ScaleResponses,
    ScreeningBasis,
    response_data,
)
from calibration_pipeline.records import (
    BoolArray,
    DayArray,
    DayResponses,
    FloatArray,
    IntArray,
    ItemBank,
    ScreeningCounts,
)


@dataclass(frozen=True)
class KnownScale:
    """What is known about a scale before the fit; it says which sessions are aberrant.

    Attributes
    ----------
    parameters
        ``(n_items, 3)`` of the scale's items; NaN where unknown.
    population
        Last accepted population.
    group_names
        Its groups. Sessions of other groups are not judged.
    """

    parameters: FloatArray
    population: Population
    group_names: tuple[str, ...]


def screen(
    days: Sequence[DayResponses],
    bank: ItemBank,
    in_scale: BoolArray,
    configuration: CalibrationConfiguration,
    *,
    known: KnownScale | None = None,
    basis: ScreeningBasis | None = None,
    left_out_from: DayArray | None = None,
    engine: Engine | None = None,
) -> ScaleResponses:
    """Gather one scale's answers from several days, and screen them.

    Parameters
    ----------
    days
        Archived days, in order.
    bank
        Gives every item its position.
    in_scale
        ``(bank.n_items,)`` items of the scale.
    configuration
        The settings.
    known
        Where None, no session can be judged aberrant.
    basis
        Taken from the days themselves where None. A single day has too few answers for that: give
        it the basis of its window, with the groups of the population that it is to be met with.
    left_out_from
        ``(bank.n_items,)`` onsets of suspected leaks, NaT elsewhere; None if there is none.
    engine
        Where passes over the answers run; None for the threads of this process.

    Raises
    ------
    ValueError
        If a day holds an item that the bank lacks: extraction quarantines those.
    """
    n_items = int(in_scale.sum())
    everything = gather(days, bank, in_scale, configuration.absent_outcomes, left_out_from)
    kept = everything.lengths >= configuration.minimum_session_answers
    is_repeat = repeated_exposures(everything, n_items)[np.repeat(kept, everything.lengths)]
    answers = everything.of_sessions(kept)
    start = common_start(answers.starting_ability) if basis is None else basis.common_start
    label, labels = session_labels(answers, start, configuration)
    if basis is None:
        names = choose_groups(label[kept], labels, configuration.minimum_group_sessions)
        thresholds = rapid_guess_thresholds(answers, n_items, configuration)
        basis = ScreeningBasis(thresholds, start, names)
    group = assign_groups(label[kept], labels, basis.group_names)
    cells = population_cells(group, basis.group_names, answers.starting_ability[kept])
    data = replace(response_data(answers, kept, n_items), cells=cells, engine=engine)
    is_rapid = rapid_guesses(answers, basis.rapid_guess_ms)
    fit = _person_fit(data, group, basis, known, configuration)
    is_aberrant = fit < -configuration.aberrant_session_z  # never where the fit is unknown
    counts = replace(
        _counts(everything, kept, group, basis),
        repeated_exposures=int(is_repeat.sum()),
        rapid_guesses=int(is_rapid.sum()),
        judged_sessions=int(np.isfinite(fit).sum()),
        aberrant_sessions=int(is_aberrant.sum()),
    )
    weights = _weights(is_rapid, np.repeat(is_aberrant, answers.lengths[kept]), configuration)
    copies = np.empty(0, np.int64)
    if configuration.separate_repeated_exposures:
        item, copies = onto_copies(data.item, is_repeat, n_items)
        data = replace(data, item=item, n_items=n_items + len(copies))
    return ScaleResponses(
        replace(data, weights=weights),
        np.flatnonzero(kept),
        _session_days(days)[kept],
        copies,
        basis,
        counts,
        log_group=answers.population_group[kept],
        log_group_names=answers.group_names,
    )


def _session_days(days: Sequence[DayResponses]) -> DayArray:
    """Day of every session, ``(n_sessions,)``."""
    dates = np.array([day.revision.day for day in days], "datetime64[D]")
    return np.repeat(dates, [len(day.session_offsets) - 1 for day in days])


def _counts(
    everything: GatheredAnswers, kept: BoolArray, group: IntArray, basis: ScreeningBasis
) -> ScreeningCounts:
    _, omitted, not_reached, invalid = everything.outcome_counts.tolist()
    return ScreeningCounts(
        sessions=int(kept.sum()),
        answers=int(everything.lengths[kept].sum()),
        short_sessions=int((everything.had_items & ~kept).sum()),
        omitted=omitted,
        not_reached=not_reached,
        invalid=invalid,
        timed_items=int(np.isfinite(basis.rapid_guess_ms).sum()),
        group_sessions=tuple(np.bincount(group, minlength=len(basis.group_names)).tolist()),
        suspected=everything.suspected_count,
    )


def _person_fit(
    data: ResponseData,
    group: IntArray,
    basis: ScreeningBasis,
    known: KnownScale | None,
    configuration: CalibrationConfiguration,
) -> FloatArray:
    """Fit of each session, ``(n_sessions,)``; NaN where it can't be judged."""
    if known is None or not data.n_sessions:
        return np.full(data.n_sessions, np.nan)
    place = {name: number for number, name in enumerate(known.group_names)}
    place_of_group = np.array([place.get(name, -1) for name in basis.group_names])
    at, is_judged = np.maximum(place_of_group, 0), (place_of_group >= 0)[group]
    population = Population(
        known.population.mean[at], known.population.sd[at], slope=known.population.slope[at]
    )
    fit = person_fit(data, known.parameters, population, configuration.em)
    return np.where(is_judged, fit, np.nan)


def _weights(
    is_rapid: BoolArray, is_aberrant: BoolArray, configuration: CalibrationConfiguration
) -> FloatArray | None:
    """Weight of each answer, ``(n_answers,)``; None if all count once."""
    weights = np.where(is_rapid, configuration.rapid_guess_weight, 1.0)
    weights *= np.where(is_aberrant, configuration.aberrant_session_weight, 1.0)
    return None if (weights == 1.0).all() else weights
