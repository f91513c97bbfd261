"""The watch over a night's scales: what it reads, put together, and what the UI shows of it."""

from collections.abc import Sequence

import dagster as dg

from calibration_pipeline.orchestration.metadata import Metadata, table
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.scale_watch import baseline_night, watch_scales
from calibration_pipeline.records import CalibrationState, ScaleWatch
from calibration_pipeline.store.calibration_store import CalibrationStore


def watch_of_night(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> tuple[ScaleWatch, ...]:
    """Judge an accepted night's scales by the accepted states of earlier nights.

    Nothing of it is stored: the states are, and the same ones give the same verdicts, in a backfill
    too.
    """
    history = store.scale_history(state.partition)
    key = baseline_night(state, history, configuration.window_days)
    baseline = store.state(*key) if key else None
    return watch_scales(state, baseline, history, store.bank(state.partition), configuration)


def of_watch(verdicts: Sequence[ScaleWatch]) -> Metadata:
    """What the watch found: figures that plot, of the first scale, and a table of all."""
    first = verdicts[0] if verdicts else None
    shown: dict[str, dg.MetadataValue[str] | str | int | float] = {
        "scale alarms": sum(verdict.is_alarm for verdict in verdicts),
        "scale watch": dg.MetadataValue.md(
            table(
                ("scale", "free items against anchors", "se", "since", "mean score", "sd score",
                 "limit", "look at it because"),
                [
                    (v.scale, f"{v.residual_shift:+.3f}", f"{v.residual_shift_se:.3f}",
                     str(v.compared_with or "no full window yet"), f"{v.mean_score:+.1f}",
                     f"{v.sd_score:+.1f}", f"{v.score_limit:.1f}", "; ".join(v.reasons) or "-")
                    for v in verdicts
                ],
            )
        ),
    }  # fmt: skip
    if first is not None and first.compared_with is not None:
        shown["free items against anchors"] = round(first.residual_shift, 4)
    return shown
