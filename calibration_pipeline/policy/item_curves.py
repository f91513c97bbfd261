"""The window's answers to single items, by ability: what a person holds against an item's curve."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from calibration_pipeline.irt.item_posterior import ItemEvidence, item_evidence
from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.observed_proportions import ability_bins, expected_shares
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.populations import known_population, starting_population
from calibration_pipeline.policy.screening import screen
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import (
    AnswersSince,
    CalibrationState,
    DayArray,
    DayResponses,
    FloatArray,
    IntArray,
    ItemBank,
    ItemKey,
    ObservedProportions,
    ScaleState,
)

BINS = 8
FEWEST_ANSWERS = 15
"""In a bin: fewer say next to nothing, so there are fewer bins instead."""
_UNLINKED = LinkingConstants(1.0, 0.0)


def observed_proportions(
    state: CalibrationState,
    days: Sequence[DayResponses],
    bank: ItemBank,
    keys: Sequence[ItemKey],
    configuration: CalibrationConfiguration,
    *,
    left_out_from: DayArray | None = None,
) -> dict[ItemKey, ObservedProportions]:
    """Count right answers to some items by ability.

    All of the window's first answers to them count, those under suspicion of a leak included: they
    are what a person wants to see. Abilities rest on everything else that the fit took in.

    Parameters
    ----------
    state
        The night's fit; abilities and predictions are on its scale.
    days
        Of its window.
    bank
        The pool; items that it has got since the night are passed over.
    keys
        The items; those that the bank lacks, and those without answers, are left out.
    left_out_from
        ``(n_items,)`` onsets of suspected leaks; None if there is none. The answers since then are
        also counted by themselves.
    """
    known = bank.positions(state.keys)
    parameters = np.full((bank.n_items, 3), np.nan)
    parameters[known[known >= 0]] = state.parameters[known >= 0]
    scales = {scale.name: scale for scale in state.scales}
    positions = bank.positions([key for key in keys if key in set(state.keys)])
    chosen = np.unique(positions[positions >= 0])
    onsets = np.full(bank.n_items, np.datetime64("NaT"), "datetime64[D]")
    if left_out_from is not None:
        onsets, left_out_from = left_out_from, left_out_from.copy()
        left_out_from[chosen] = np.datetime64("NaT")
    found: dict[ItemKey, ObservedProportions] = {}
    for number in np.unique(bank.scale_index[chosen]).tolist():
        in_scale = bank.scale_index == number
        answers = screen(days, bank, in_scale, configuration, left_out_from=left_out_from)
        rows = np.flatnonzero(in_scale)
        items = np.searchsorted(rows, chosen[in_scale[chosen]])
        shown = _of_scale(
            scales[bank.scale_names[number]],
            answers,
            parameters[rows],
            items,
            onsets[rows],
            configuration,
        )
        found |= {bank.keys[rows[item]]: observed for item, observed in shown.items()}
    return found


def _of_scale(
    scale: ScaleState,
    answers: ScaleResponses,
    own: FloatArray,
    items: IntArray,
    onsets: DayArray,
    configuration: CalibrationConfiguration,
) -> dict[int, ObservedProportions]:
    """Of some of one scale's items, which are numbered within it as their parameters `own` are."""
    parameters = np.concatenate([own, own[answers.copies]])
    known = known_population(scale, _UNLINKED)
    names = answers.basis.group_names if answers.basis else known.group_names
    found = {}
    for item in items.tolist():
        who = np.searchsorted(
            answers.data.session_offsets, np.flatnonzero(answers.data.item == item), side="right"
        )
        who = np.unique(who - 1)
        data = answers.data.of_sessions(who)
        if not data.n_sessions:
            continue
        population = starting_population(
            known, names, data.cells, mean_is_estimated=False, sd_is_estimated=False
        )
        evidence = item_evidence(data, item, parameters, population, configuration.em)
        n_bins = min(BINS, max(1, len(evidence.correct) // FEWEST_ANSWERS))
        bins = ability_bins(evidence, parameters[item], n_bins)
        found[item] = ObservedProportions(
            bins.ability,
            bins.answers,
            bins.right,
            bins.expected,
            # A session answers an item once: its later answers are those of a copy.
            _since(answers.days[who], onsets[item], evidence, parameters[item]),
        )
    return found


def _since(
    days: DayArray, onset: np.datetime64, evidence: ItemEvidence, parameters: FloatArray
) -> AnswersSince | None:
    """Count the answers from the onset on; `days` are those of the answers."""
    late = days >= onset
    if not late.any():
        return None
    expected = expected_shares(evidence, parameters)[late]
    right = int(evidence.correct[late].sum())
    return AnswersSince(
        date.fromisoformat(str(onset)), int(late.sum()), right, float(expected.mean())
    )
