"""One night's calibration: a pure function from answers and last night's state to tonight's.

posterior = base prior × carried information × window likelihood, so that each answer counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from calibration_pipeline.policy.base_priors import base_priors
from calibration_pipeline.policy.carrying import (
    CarriedItems,
    carry_over,
    fold,
    free_by_model,
    starting_values,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import item_differences
from calibration_pipeline.policy.digests import with_digest
from calibration_pipeline.policy.populations import STANDARD, KnownPopulation
from calibration_pipeline.policy.scale_fit import (
    ScaleFit,
    ScaleItems,
    fit_scale,
    posterior_before_window,
    unfitted_scale,
)
from calibration_pipeline.policy.screening import KnownScale, screen
from calibration_pipeline.policy.verdicts import judge_fit, too_many_bad_rows
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    DayResponses,
    FloatArray,
    ItemBank,
)


@dataclass(frozen=True)
class NightInputs:
    """Everything a night reads.

    Attributes
    ----------
    partition, attempt
        The local day, and which try at it this is.
    window, leaving
        Archived days in the window, and those that left it since the parent folded; in order.
    parent
        Newest accepted state of an earlier partition; None on the first night.
    baselines
        By scale without anchors, the first accepted state that fitted it: that night set the
        scale. Scales that no night has fitted yet are absent.
    bank, anchors
        The pool and the anchor set in force.
    """

    partition: date
    attempt: int
    window: Sequence[DayResponses]
    leaving: Sequence[DayResponses]
    parent: CalibrationState | None
    baselines: Mapping[str, CalibrationState]
    bank: ItemBank
    anchors: AnchorSet


@dataclass(frozen=True)
class _Prepared:
    """Whole-bank arrays and each scale's screened answers, before the fit."""

    carried: CarriedItems
    answers: tuple[ScaleResponses, ...]
    start: FloatArray
    free: BoolArray
    is_anchor: BoolArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    baseline: FloatArray


def calibrate_night(
    inputs: NightInputs, configuration: CalibrationConfiguration
) -> CalibrationState:
    """Fold the days that left, fit every scale on the window, and judge the fit.

    A rejected fit is given back as such, never raised: what comes after it skips.
    """
    inputs = _without_folded_days(inputs)
    prepared = _prepare(inputs, configuration)
    blocked = _blocked(inputs, configuration)
    fits: list[ScaleFit] = []
    counts = np.zeros(inputs.bank.n_items, np.int64)
    for number, name in enumerate(inputs.bank.scale_names):
        in_scale = inputs.bank.scale_index == number
        answers = prepared.answers[number]
        items = _items_of_scale(prepared, in_scale, name)
        counts[in_scale] = answers.data.item_counts[: len(items.start)]
        eligible = int((counts[in_scale] >= configuration.minimum_responses).sum())
        known = prepared.carried.populations.get(name)
        if blocked or eligible < configuration.minimum_items_per_scale:
            reason = blocked or (
                f"{eligible} items with {configuration.minimum_responses} answers or more in the "
                f"window; a scale needs {configuration.minimum_items_per_scale}"
            )
            fits.append(_unfitted(name, items, reason, known or STANDARD, answers))
        else:
            fits.append(fit_scale(name, items, answers, known, configuration))
    state = _assemble(inputs, prepared, fits, counts, configuration)
    if blocked:
        return with_digest(replace(state, is_accepted=False, reasons=(blocked,)))
    return with_digest(judge_fit(state, inputs.parent, configuration))


def _without_folded_days(inputs: NightInputs) -> NightInputs:
    """Leave out what is carried already: a longer window than last night's reaches back to it."""
    folded = inputs.parent.folded_through if inputs.parent else None
    if folded is None:
        return inputs
    return replace(inputs, window=[day for day in inputs.window if day.revision.day > folded])


def _blocked(inputs: NightInputs, configuration: CalibrationConfiguration) -> str:
    """Why tonight's own day stops the night before the fit; an empty string if it doesn't."""
    own = [day.revision for day in inputs.window if day.revision.day == inputs.partition]
    return too_many_bad_rows(own[0], configuration) if own else ""


def _prepare(inputs: NightInputs, configuration: CalibrationConfiguration) -> _Prepared:
    bank, anchors = inputs.bank, inputs.anchors
    carried = carry_over(inputs.parent, inputs.baselines, bank, anchors)
    is_anchor = np.zeros(bank.n_items, bool)
    is_anchor[bank.positions(anchors.keys)] = True
    prior_mean, prior_sd = np.empty((bank.n_items, 3)), np.empty((bank.n_items, 3))
    for number in range(len(bank.scale_names)):
        in_scale = bank.scale_index == number
        prior_mean[in_scale], prior_sd[in_scale] = base_priors(
            bank, is_anchor, carried, in_scale, configuration
        )
    start = starting_values(carried, prior_mean, bank)
    answers = _screened(inputs, carried, start, configuration)
    rapid_guess_ms = np.full(bank.n_items, np.nan)
    for number, found in enumerate(answers):
        if found.basis is not None:
            rapid_guess_ms[bank.scale_index == number] = found.basis.rapid_guess_ms
    frozen = is_anchor | bank.is_retired
    return _Prepared(
        carried=fold(
            carried, inputs.leaving, inputs.partition, start, bank, configuration, rapid_guess_ms
        ),
        answers=answers,
        start=start,
        free=free_by_model(bank) & ~frozen[:, None],
        is_anchor=is_anchor,
        prior_mean=prior_mean,
        prior_precision=prior_sd**-2,
        baseline=_baseline_parameters(inputs, configuration),
    )


def _screened(
    inputs: NightInputs,
    carried: CarriedItems,
    start: FloatArray,
    configuration: CalibrationConfiguration,
) -> tuple[ScaleResponses, ...]:
    """Each scale's answers in the window; what is aberrant is judged by the last accepted fit."""
    found = []
    for number, name in enumerate(inputs.bank.scale_names):
        in_scale = inputs.bank.scale_index == number
        last = carried.populations.get(name)
        known = KnownScale(start[in_scale], last.population, last.group_names) if last else None
        found.append(screen(inputs.window, inputs.bank, in_scale, configuration, known=known))
    return tuple(found)


def _baseline_parameters(
    inputs: NightInputs, configuration: CalibrationConfiguration
) -> FloatArray:
    """Parameters of each scale's first night in the bank's order; NaN where it knew too little."""
    bank = inputs.bank
    parameters = np.full((bank.n_items, 3), np.nan)
    for number, name in enumerate(bank.scale_names):
        if name in inputs.baselines:
            first = inputs.baselines[name]
            positions = bank.positions(first.keys)
            known = (first.window_counts >= configuration.minimum_responses) & (positions >= 0)
            known &= bank.scale_index[positions] == number
            parameters[positions[known]] = first.parameters[known]
    return parameters


def _items_of_scale(prepared: _Prepared, in_scale: BoolArray, name: str) -> ScaleItems:
    is_anchor = prepared.is_anchor[in_scale]
    links = not is_anchor.any() and name in prepared.carried.populations
    return ScaleItems(
        start=prepared.start[in_scale],
        free=prepared.free[in_scale],
        is_anchor=is_anchor,
        prior_mean=prepared.prior_mean[in_scale],
        prior_precision=prepared.prior_precision[in_scale],
        information=prepared.carried.information[in_scale],
        linear=prepared.carried.linear[in_scale],
        baseline=prepared.baseline[in_scale] if links else None,
    )


def _unfitted(
    name: str,
    items: ScaleItems,
    reason: str,
    known: KnownPopulation,
    answers: ScaleResponses,
) -> ScaleFit:
    """Leave a scale that can't be fitted as it was."""
    nothing = np.full(len(items.start), np.nan)
    return ScaleFit(
        parameters=items.start,
        covariance=posterior_before_window(items).posterior_covariance(
            items.free, np.zeros_like(items.information)
        ),
        prior_mean=items.prior_mean,
        prior_precision=items.prior_precision,
        shadow_parameters=items.start,
        infit=nothing,
        outfit=nothing,
        infit_se=nothing,
        outfit_se=nothing,
        state=unfitted_scale(name, reason, known, answers),
    )


def _assemble(
    inputs: NightInputs,
    prepared: _Prepared,
    fits: list[ScaleFit],
    counts: np.ndarray,
    configuration: CalibrationConfiguration,
) -> CalibrationState:
    bank = inputs.bank

    def whole(field: str) -> FloatArray:
        parts = [getattr(fit, field) for fit in fits]
        array = np.empty((bank.n_items, *parts[0].shape[1:]))
        for number, part in enumerate(parts):
            array[bank.scale_index == number] = part
        return array

    fitted = np.array([fit.state.fitted for fit in fits])[bank.scale_index]
    return CalibrationState(
        partition=inputs.partition,
        attempt=inputs.attempt,
        is_accepted=True,
        reasons=(),
        keys=bank.keys,
        parameters=whole("parameters"),
        covariance=whole("covariance"),
        prior_mean=whole("prior_mean"),
        prior_precision=whole("prior_precision"),
        carried_information=prepared.carried.information,
        carried_linear=prepared.carried.linear,
        shadow_parameters=whole("shadow_parameters"),
        window_counts=counts,
        total_counts=prepared.carried.folded_counts + counts,
        infit=whole("infit"),
        outfit=whole("outfit"),
        infit_se=whole("infit_se"),
        outfit_se=whole("outfit_se"),
        is_anchor=prepared.is_anchor,
        is_updated=fitted & prepared.free.any(axis=1) & (counts > 0),
        scales=tuple(fit.state for fit in fits),
        folded_through=prepared.carried.folded_through,
        window=tuple(
            (day.revision.day, day.revision.revision, day.revision.digest) for day in inputs.window
        ),
        parent=(inputs.parent.partition, inputs.parent.attempt) if inputs.parent else None,
        anchor_set_id=inputs.anchors.anchor_set_id,
        bank_digest=bank.digest,
        anchor_digest=inputs.anchors.digest,
        configuration_digest=configuration.digest,
        digest="",
        differences=tuple(
            difference
            for number, fit in enumerate(fits)
            for difference in item_differences(
                fit.compared,
                [bank.keys[j] for j in np.flatnonzero(bank.scale_index == number)],
                fit.state.linking_slope,
            )
        ),
    )
