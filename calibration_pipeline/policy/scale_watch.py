"""Whether the scale still stands where it stood: linking can't see it if all anchors moved.

Two kinds of evidence are looked at each night. Free items that have become harder, compared with
the anchors and with what authors expected, say that the anchors became easier, whoever the
candidates are (`residual_shift.py`). Candidates whose mean or spread has moved say that either they
changed or the scale did (`population_chart.py`). Either asks a person to look; neither stops a
night.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.population_chart import PopulationChart, population_chart
from calibration_pipeline.policy.residual_shift import NOTHING, ResidualShift, residual_shift
from calibration_pipeline.records import (
    CalibrationState,
    ItemBank,
    ScaleNight,
    ScaleWatch,
)


def watch_scales(
    state: CalibrationState,
    baseline: CalibrationState | None,
    history: Sequence[ScaleNight],
    bank: ItemBank,
    configuration: CalibrationConfiguration,
) -> tuple[ScaleWatch, ...]:
    """Judge every scale of a night; one that wasn't fitted has nothing to be judged by.

    Parameters
    ----------
    state
        Tonight's accepted state.
    baseline
        The state of `baseline_night`; None while there is none.
    history
        All accepted earlier nights, oldest first, of all scales.
    bank
        The pool the state was computed on.
    configuration
        Window and limits.
    """
    verdicts = []
    for number, scale in enumerate(state.scales):
        nights = [
            night
            for night in history
            if night.scale == scale.name and night.anchor_set_id == state.anchor_set_id
        ]
        residuals = NOTHING
        if baseline is not None and scale.fitted:
            in_scale = bank.scale_index == number
            residuals = residual_shift(state, baseline, bank, in_scale, configuration)
        chart = population_chart(
            [*nights, ScaleNight.of(state, scale)] if scale.fitted else nights,
            configuration.window_days,
            configuration.anchors.watch_false_alarm_nights,
        )
        since = baseline.partition if baseline is not None else None
        verdicts.append(_verdict(scale.name, residuals, since, chart, configuration))
    return tuple(verdicts)


def baseline_night(
    state: CalibrationState, history: Sequence[ScaleNight], window_days: int
) -> tuple[date, int] | None:
    """Night and try that residuals are compared with: the first under these anchors that is full.

    It is the first whose window holds no day from before the first night under the same anchors:
    a fixed one, so that a slow shift adds up. None before.
    """
    keys = sorted(
        {(n.partition, n.attempt) for n in history if n.anchor_set_id == state.anchor_set_id}
    )
    if not keys:
        return None
    full = keys[0][0] + timedelta(days=window_days - 1)
    return next((key for key in keys if full <= key[0] < state.partition), None)


def _verdict(
    name: str,
    residuals: ResidualShift,
    since: date | None,
    chart: PopulationChart,
    configuration: CalibrationConfiguration,
) -> ScaleWatch:
    reasons = []
    settings = configuration.anchors
    z = residuals.shift / residuals.standard_error
    if abs(residuals.shift) > settings.watch_shift and abs(z) >= settings.watch_z:
        harder = "harder" if residuals.shift > 0 else "easier"
        reasons.append(
            f"since {since} free items have become {harder} by {abs(residuals.shift):.2f} "
            f"compared with all anchors together (z {z:+.1f}): the anchors may have moved as one"
        )
    moved = None
    for what, found in (("mean", chart.mean), ("spread", chart.sd)):
        if abs(found.score) >= chart.limit:
            moved = found.since if moved is None else moved
            direction = "risen" if found.score > 0 else "fallen"
            reasons.append(
                f"the candidates' {what} has {direction} after {found.since} (score "
                f"{abs(found.score):.1f}, limit {chart.limit:.1f}): they have changed, or the "
                "anchors have moved as one"
            )
    return ScaleWatch(
        scale=name,
        residual_shift=residuals.shift,
        residual_shift_se=residuals.standard_error,
        compared_with=since if np.isfinite(residuals.shift) else None,
        mean_score=chart.mean.score,
        sd_score=chart.sd.score,
        score_limit=chart.limit,
        moving_since=moved,
        reasons=tuple(reasons),
    )
