"""Which items' posteriors are sampled, what of the night they follow from, and what is poor."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.item_posterior import ItemPosterior, item_evidence
from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.link_reasons import item_name
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.populations import known_population, starting_population
from calibration_pipeline.policy.prepared_night import PreparedNight, prepare_night
from calibration_pipeline.records import (
    BoolArray,
    CalibrationState,
    Flag,
    FloatArray,
    IntArray,
    ItemKey,
)

_UNCHANGED = LinkingConstants(1.0, 0.0)


@dataclass(frozen=True)
class AuditedItem:
    """An item whose Gaussian is audited.

    Attributes
    ----------
    key
        The item.
    is_flagged
        Whether it is there because of a credible flag.
    posterior
        What the night knew of it, exactly.
    mean
        ``(3,)`` of the Gaussian on φ that goes from night to night.
    covariance
        ``(3, 3)`` of that Gaussian, with the uncertainty that all items share.
    own_covariance
        ``(3, 3)`` without it: what the item's posterior has when all others are held.
    """

    key: ItemKey
    is_flagged: bool
    posterior: ItemPosterior
    mean: FloatArray
    covariance: FloatArray
    own_covariance: FloatArray


def chosen_items(
    state: CalibrationState, flags: Iterable[Flag], configuration: CalibrationConfiguration
) -> tuple[IntArray, BoolArray]:
    """Choose the items to audit, and say which of them are flagged.

    Half of the places at most go to credibly flagged items, the clearest first; a random sample of
    the rest takes the others, so that the audit speaks for the pool. The sample is drawn anew each
    night, and again alike where a night is audited again.

    Returns
    -------
    ``(n_chosen,)`` positions in the state, ascending, and whether each is there for its flag.
    """
    audit = configuration.audit
    counts = state.window_counts
    may = state.is_updated & (counts >= audit.least_answers) & (counts <= audit.most_answers)
    clearest: dict[ItemKey, float] = {}
    for flag in flags:
        if flag.is_credible:
            clearest[flag.key] = max(clearest.get(flag.key, 0.0), abs(flag.z))
    by_clarity = sorted(clearest, key=lambda key: (-clearest[key], key))
    position = {key: j for j, key in enumerate(state.keys)}
    flagged = [position[key] for key in by_clarity if key in position and may[position[key]]]
    flagged = flagged[: audit.items // 2]
    rest = np.setdiff1d(np.flatnonzero(may), flagged)
    seed = int(digest_of(state.digest, "posterior audit")[:16], 16)
    n_sample = min(audit.items - len(flagged), len(rest))
    sample = np.random.default_rng(seed).choice(rest, n_sample, replace=False)
    chosen = np.sort(np.concatenate([np.array(flagged, np.int64), sample])).astype(np.int64)
    return chosen, np.isin(chosen, flagged)


def audited_items(
    state: CalibrationState,
    inputs: NightInputs,
    flags: Iterable[Flag],
    configuration: CalibrationConfiguration,
) -> list[AuditedItem]:
    """Gather what the night knew of the items that are audited.

    Parameters
    ----------
    state
        The night's accepted state.
    inputs
        What it was computed from: the days of its window, bank, anchors and the state before it.
        Days that were folded are not needed.
    flags
        The night's.
    configuration
        The settings.

    Raises
    ------
    ValueError
        The pool or the answers aren't those that the state was computed from.
    """
    if inputs.bank.keys != state.keys:
        raise ValueError("the pool has changed since the night was calibrated")
    prepared = prepare_night(inputs, configuration)
    chosen, is_flagged = chosen_items(state, flags, configuration)
    found: list[AuditedItem] = []
    for number, scale in enumerate(state.scales):
        rows = np.flatnonzero(inputs.bank.scale_index == number)
        wanted = np.isin(chosen, rows)
        if scale.fitted and wanted.any():
            known = _known_scale(state, prepared, number, rows, configuration)
            found += known.items(chosen[wanted], is_flagged[wanted])
    return found


@dataclass(frozen=True)
class _KnownScale:
    """One scale of a night as its fit left it; `rows` are its items in the state."""

    state: CalibrationState
    rows: IntArray
    data: ResponseData
    parameters: FloatArray
    population: Population
    priors: ItemPriors
    free: BoolArray
    configuration: CalibrationConfiguration

    def items(self, chosen: IntArray, is_flagged: BoolArray) -> list[AuditedItem]:
        em = self.configuration.em
        derivatives = marginal_derivatives(self.data, self.parameters, self.population, em)
        own = self.priors.posterior_covariance(self.free, derivatives.information[: len(self.rows)])
        means = to_internal(self.state.parameters[self.rows])
        place = np.searchsorted(self.rows, chosen)
        return [
            AuditedItem(
                key=self.state.keys[j],
                is_flagged=bool(flagged),
                posterior=ItemPosterior(
                    item_evidence(self.data, int(k), self.parameters, self.population, em),
                    self.priors.precision[k],
                    self.priors.linear[k],
                    self.free[k],
                    bool(self.parameters[k, 2] > 0.0),
                ),
                mean=means[k],
                covariance=self.state.covariance[j],
                own_covariance=own[k],
            )
            for j, k, flagged in zip(chosen, place, is_flagged, strict=True)
        ]


def _known_scale(
    state: CalibrationState,
    prepared: PreparedNight,
    number: int,
    rows: IntArray,
    configuration: CalibrationConfiguration,
) -> _KnownScale:
    scale, answers = state.scales[number], prepared.answers[number]
    parameters = state.parameters[rows].copy()
    released = {name for name, _ in scale.released_anchors}
    for k, j in enumerate(rows):
        if item_name(state.keys[j]) in released:  # the fit had it where its answers put it
            parameters[k] = state.shadow_parameters[j]
    # The night that set a scale without anchors had no copies either: where they start is a guess.
    sets_scale = not state.is_anchor[rows].any() and scale.name not in prepared.carried.populations
    data, copies = answers.data, answers.copies
    if sets_scale:
        data, copies = data.of_items(np.arange(data.n_items) < len(rows)), copies[:0]
    if not np.array_equal(data.item_counts[: len(rows)], state.window_counts[rows]):
        raise ValueError("the answers have changed since the night was calibrated")
    known = known_population(scale, _UNCHANGED)
    names = answers.basis.group_names if answers.basis else known.group_names
    items = replace(
        prepared.items_of_scale(np.isin(np.arange(len(state.keys)), rows), scale.name),
        prior_mean=state.prior_mean[rows],
        prior_precision=state.prior_precision[rows],
        information=state.carried_information[rows],
        linear=state.carried_linear[rows],
    )
    return _KnownScale(
        state=state,
        rows=rows,
        data=data,
        parameters=np.concatenate([parameters, prepared.start[rows][copies]]),
        population=starting_population(
            known, names, data.cells, mean_is_estimated=False, sd_is_estimated=False
        ),
        priors=items.before_window,
        free=items.free,
        configuration=configuration,
    )
