"""One night's calibration: a pure function from answers and last night's state to tonight's.

posterior = base prior × carried information × window likelihood, so that each answer counts once.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import item_differences
from calibration_pipeline.policy.digests import with_digest
from calibration_pipeline.policy.link_reasons import item_name
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.populations import STANDARD, KnownPopulation
from calibration_pipeline.policy.prepared_night import PreparedNight, prepare_night
from calibration_pipeline.policy.scale_fit import fit_scale, unfitted_scale
from calibration_pipeline.policy.scale_items import ScaleFit, ScaleItems
from calibration_pipeline.policy.verdicts import judge_fit, too_many_bad_rows
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import (
    CalibrationState,
    DayResponses,
    FloatArray,
    IntArray,
    ItemKey,
    ScaleState,
)


def calibrate_night(
    inputs: NightInputs, configuration: CalibrationConfiguration, engine: Engine | None = None
) -> CalibrationState:
    """Fold the days that left, fit every scale on the window, and judge the fit.

    A rejected fit is given back as such, never raised: what comes after it skips. `engine` says
    where passes over the answers run (None: on the threads of this process), and changes nothing.
    """
    inputs = _without_folded_days(inputs)
    prepared = prepare_night(inputs, configuration, engine)
    blocked = _blocked(inputs, configuration)
    fits: list[ScaleFit] = []
    counts = np.zeros(inputs.bank.n_items, np.int64)
    for number, name in enumerate(inputs.bank.scale_names):
        in_scale = inputs.bank.scale_index == number
        answers = prepared.answers[number]
        items = prepared.items_of_scale(in_scale, name)
        if inputs.anchors.covariance is not None:
            items = replace(items, reference_covariance=_reference_errors(inputs)[in_scale])
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
    return with_digest(judge_fit(state, inputs.parent, inputs.bank.scale_index, configuration))


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
        covariance=items.before_window.posterior_covariance(
            items.free, np.zeros_like(items.information)
        ),
        prior_mean=items.prior_mean,
        prior_precision=items.prior_precision,
        shadow_parameters=items.start,
        infit=nothing,
        outfit=nothing,
        infit_se=nothing,
        outfit_se=nothing,
        carried_shift=nothing,
        carried_shift_se=nothing,
        is_contradicted=np.zeros(len(items.start), bool),
        state=unfitted_scale(name, reason, known, answers),
    )


def _assemble(
    inputs: NightInputs,
    prepared: PreparedNight,
    fits: list[ScaleFit],
    counts: np.ndarray,
    configuration: CalibrationConfiguration,
) -> CalibrationState:
    bank = inputs.bank

    def whole(field: str) -> NDArray[Any]:
        parts = [getattr(fit, field) for fit in fits]
        array = np.empty((bank.n_items, *parts[0].shape[1:]), parts[0].dtype)
        for number, part in enumerate(parts):
            array[bank.scale_index == number] = part
        return array

    dropped = whole("is_contradicted")
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
        carried_information=np.where(dropped[:, None, None], 0.0, prepared.carried.information),
        carried_linear=np.where(dropped[:, None], 0.0, prepared.carried.linear),
        carried_shift=whole("carried_shift"),
        carried_shift_se=whole("carried_shift_se"),
        is_contradicted=dropped,
        # The window straddles the change: what it holds today is not carried on either.
        carried_from=np.where(
            dropped, np.datetime64(inputs.partition) + 1, prepared.carried.carried_from
        ),
        shadow_parameters=whole("shadow_parameters"),
        window_counts=counts,
        total_counts=prepared.carried.folded_counts + counts,
        infit=whole("infit"),
        outfit=whole("outfit"),
        infit_se=whole("infit_se"),
        outfit_se=whole("outfit_se"),
        is_anchor=prepared.is_anchor,
        is_updated=fitted & prepared.free.any(axis=1) & (counts > 0),
        scales=tuple(
            _with_released(fit, np.flatnonzero(bank.scale_index == number), bank.keys)
            for number, fit in enumerate(fits)
        ),
        folded_through=prepared.carried.folded_through,
        window=_identities(inputs.window),
        folded=_identities(inputs.leaving),
        parent=(inputs.parent.partition, inputs.parent.attempt) if inputs.parent else None,
        anchor_set_id=inputs.anchors.anchor_set_id,
        bank_digest=bank.digest,
        anchor_digest=inputs.anchors.digest,
        configuration_digest=configuration.digest,
        leak_digest=inputs.leak_digest,
        item_prior_fit=inputs.item_priors.number if inputs.item_priors else None,
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


def _reference_errors(inputs: NightInputs) -> FloatArray:
    """Covariances of the references by item of the bank, ``(n_items, 3, 3)``."""
    errors = np.zeros((inputs.bank.n_items, 3, 3))
    errors[inputs.bank.positions(inputs.anchors.keys)] = inputs.anchors.covariance
    return errors


def _with_released(fit: ScaleFit, rows: IntArray, keys: Sequence[ItemKey]) -> ScaleState:
    """Name the anchors that the fit of a scale released; `rows` are its items in the bank."""
    names = [(item_name(keys[rows[row]]), reason) for row, reason in fit.released.items()]
    return replace(fit.state, released_anchors=tuple(sorted(names)))


def _identities(days: Sequence[DayResponses]) -> tuple[tuple[date, int, str], ...]:
    return tuple((day.revision.day, day.revision.revision, day.revision.digest) for day in days)
