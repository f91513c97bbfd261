"""Everything a night knows before its fit: what it takes over, and its screened answers."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.policy.base_priors import base_priors
from calibration_pipeline.policy.carrying import (
    CarriedItems,
    carry_over,
    fold,
    free_by_model,
    starting_values,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.item_priors import with_item_priors
from calibration_pipeline.policy.leak_carrying import without_leaked_days
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.policy.scale_items import ScaleItems
from calibration_pipeline.policy.screening import KnownScale, screen
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline.records import BoolArray, FloatArray


@dataclass(frozen=True)
class PreparedNight:
    """Whole-bank arrays and each scale's screened answers, before the fit."""

    carried: CarriedItems
    answers: tuple[ScaleResponses, ...]
    start: FloatArray
    free: BoolArray
    is_anchor: BoolArray
    prior_mean: FloatArray
    prior_precision: FloatArray
    baseline: FloatArray

    def items_of_scale(self, in_scale: BoolArray, name: str) -> ScaleItems:
        """Take one scale's items out of the bank's."""
        is_anchor = self.is_anchor[in_scale]
        links = not is_anchor.any() and name in self.carried.populations
        return ScaleItems(
            start=self.start[in_scale],
            free=self.free[in_scale],
            is_anchor=is_anchor,
            prior_mean=self.prior_mean[in_scale],
            prior_precision=self.prior_precision[in_scale],
            information=self.carried.information[in_scale],
            linear=self.carried.linear[in_scale],
            baseline=self.baseline[in_scale] if links else None,
        )


def prepare_night(
    inputs: NightInputs, configuration: CalibrationConfiguration, engine: Engine | None = None
) -> PreparedNight:
    """Carry over, learn base priors, screen the window, and fold the days that left it.

    `engine` says where passes over the answers run; None for the threads of this process.
    """
    bank, anchors = inputs.bank, inputs.anchors
    carried = without_leaked_days(
        carry_over(inputs.parent, inputs.baselines, bank, anchors),
        inputs.before_leaks,
        bank,
        configuration.forgetting_half_life_days,
    )
    is_anchor = np.zeros(bank.n_items, bool)
    is_anchor[bank.positions(anchors.keys)] = True
    prior_mean, prior_sd = np.empty((bank.n_items, 3)), np.empty((bank.n_items, 3))
    for number in range(len(bank.scale_names)):
        in_scale = bank.scale_index == number
        prior_mean[in_scale], prior_sd[in_scale] = base_priors(
            bank, is_anchor, carried, in_scale, configuration
        )
    with_item_priors(
        inputs.item_priors,
        bank,
        ~is_anchor & (carried.total_counts < configuration.item_priors.enough_responses),
        prior_mean,
        prior_sd,
    )
    start = starting_values(carried, prior_mean, bank)
    answers = _screened(inputs, carried, start, configuration, engine)
    rapid_guess_ms = np.full(bank.n_items, np.nan)
    for number, found in enumerate(answers):
        if found.basis is not None:
            rapid_guess_ms[bank.scale_index == number] = found.basis.rapid_guess_ms
    frozen = is_anchor | bank.is_retired
    return PreparedNight(
        carried=fold(
            carried,
            inputs.leaving,
            inputs.partition,
            start,
            bank,
            configuration,
            rapid_guess_ms,
            inputs.left_out_from,
            engine,
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
    engine: Engine | None,
) -> tuple[ScaleResponses, ...]:
    """Each scale's answers in the window; what is aberrant is judged by the last accepted fit."""
    found = []
    for number, name in enumerate(inputs.bank.scale_names):
        in_scale = inputs.bank.scale_index == number
        last = carried.populations.get(name)
        known = KnownScale(start[in_scale], last.population, last.group_names) if last else None
        found.append(
            screen(
                inputs.window, inputs.bank, in_scale, configuration,
                known=known, left_out_from=inputs.left_out_from, engine=engine,
            )
        )  # fmt: skip
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
