"""Abilities of a day's sessions under published item parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibration_pipeline.irt.expectation import estimate_abilities
from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.populations import (
    STANDARD,
    KnownPopulation,
    starting_population,
)
from calibration_pipeline.policy.screening import screen
from calibration_pipeline.policy.windows import ScreeningBasis
from calibration_pipeline.records import (
    CandidateAbilities,
    DayArray,
    DayResponses,
    ItemBank,
    SnapshotItem,
)


def session_abilities(
    day: DayResponses,
    bank: ItemBank,
    items: Sequence[SnapshotItem],
    populations: Mapping[str, KnownPopulation],
    configuration: CalibrationConfiguration,
    *,
    left_out_from: DayArray | None = None,
    engine: Engine | None = None,
) -> CandidateAbilities:
    """Estimate the ability of every session on every scale that it answered items of.

    Parameters
    ----------
    day
        The sessions.
    bank, items
        The pool and its published parameters; `items` in the bank's order.
    populations
        The ability population of each scale, which the posterior starts from.
    configuration
        Quadrature and scaling constant.
    left_out_from
        ``(n_items,)`` onsets of suspected leaks, from which on answers tell no ability; NaT: none.
    engine
        Where the passes run; None for the threads of this process.
    """
    parameters = np.array([(i.discrimination, i.difficulty, i.guessing) for i in items])
    every_answer = replace(
        configuration, minimum_session_answers=1, separate_repeated_exposures=False
    )
    scales: list[str] = []
    sessions, counts, means, sds = [], [], [], []
    for number, name in enumerate(bank.scale_names):
        in_scale = bank.scale_index == number
        known = populations.get(name, STANDARD)
        unknown = np.full(int(in_scale.sum()), np.nan)
        gathered = screen(
            [day],
            bank,
            in_scale,
            every_answer,
            basis=ScreeningBasis(unknown, known.common_start, known.group_names),
            left_out_from=left_out_from,
            engine=engine,
        )
        if gathered.data.n_sessions == 0:
            continue
        population = starting_population(
            known,
            known.group_names,
            gathered.data.cells,
            mean_is_estimated=False,
            sd_is_estimated=False,
        )
        mean, sd = estimate_abilities(
            gathered.data, parameters[in_scale], population, configuration.em
        )
        scales += [name] * gathered.data.n_sessions
        sessions.append(gathered.sessions)
        counts.append(np.diff(gathered.data.session_offsets))
        means.append(mean)
        sds.append(sd)
    session = np.concatenate([np.empty(0, np.int64), *sessions])
    return CandidateAbilities(
        scales=tuple(scales),
        session_pseudonyms=day.session_pseudonyms[session],
        candidate_pseudonyms=day.candidate_pseudonyms[session],
        theta=np.concatenate([np.empty(0), *means]),
        theta_se=np.concatenate([np.empty(0), *sds]),
        response_counts=np.concatenate([np.empty(0, np.int64), *counts]),
    )
