"""From a night's run to the answer that callers of `/api/irt` get."""

import math

from calibration_pipeline.interfaces.api.errors import ApiError
from calibration_pipeline.interfaces.api.irt_contract_schemas import (
    IrtCalibrationRequest,
    IrtCalibrationResponse,
    IrtItemParameters,
    IrtSkippedItem,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.store.calibrated_items import CalibratedItem, read_calibrated_items
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.history import outcomes_of_run
from calibration_pipeline.store.run_log import LoggedRun, list_runs
from calibration_pipeline.store.states import read_state

INSUFFICIENT_RESPONSES, HELD_AS_ANCHOR, UNKNOWN_ITEM = (
    "insufficient_responses", "held_as_anchor", "unknown_item",
)  # fmt: skip


def answer_of_run(
    database: Database,
    dagster_run_id: str,
    request: IrtCalibrationRequest,
    policy: CalibrationConfiguration,
    seconds: float,
) -> IrtCalibrationResponse:
    """Say how the last night of a run ended.

    Parameters
    ----------
    dagster_run_id
        The run, which has ended.
    seconds
        How long the caller has waited.

    Raises
    ------
    ApiError
        400 INSUFFICIENT_DATA where no item that was asked for has enough answers, 500
        CALIBRATION_FAILED where the night published nothing.
    """
    run = _last_night(database, dagster_run_id)
    if run.outcome == "completed_empty":
        raise _insufficient(run.reason)
    version = run.counts.get("version")
    if version is None:
        why = run.reason or "the run log has no reason"
        raise ApiError(500, "CALIBRATION_FAILED", f"the night {run.night} {run.outcome}: {why}")
    items = {item.item_id: item for item in read_calibrated_items(database, version)}
    wanted = sorted(set(request.item_ids or items))
    minimum = request.min_responses  # below the programme's own nothing was fitted
    skipped = [s for item_id in wanted if (s := _skipped(item_id, items.get(item_id), minimum))]
    left_out = {item.item_id for item in skipped}
    # A night that is run again to the same values publishes nothing new: this run has found them,
    # too, and callers file them under it.
    found = [
        parameters_of(items[i], policy).model_copy(update={"calibration_run_id": run.run_id})
        for i in wanted
        if i not in left_out
    ]
    if not found:
        raise _insufficient(f"no item has {minimum} answers in the window")
    state = read_state(database, run.night)
    scales = [scale for scale in state.scales if scale.fitted] if state else []
    return IrtCalibrationResponse(
        calibration_run_id=run.run_id,
        items_calibrated=len(found),
        items_skipped=len(skipped),
        items_flagged=sum(item.is_flagged for item in found),
        convergence_achieved=all(scale.converged for scale in scales),
        iterations_used=max((scale.cycles for scale in scales), default=0),
        elapsed_seconds=round(seconds, 3),
        parameters=found,
        skipped_items=skipped,
    )


def parameters_of(item: CalibratedItem, policy: CalibrationConfiguration) -> IrtItemParameters:
    """State an item as callers read it."""
    low, high = policy.misfit_low, policy.misfit_high
    infit, outfit = _known(item.infit), _known(item.outfit)
    return IrtItemParameters(
        item_id=item.item_id,
        a=item.discrimination,
        b=item.difficulty,
        c=item.guessing,
        a_se=_known(item.discrimination_se),
        b_se=_known(item.difficulty_se),
        c_se=_known(item.guessing_se),
        infit_mnsq=infit,
        outfit_mnsq=outfit,
        is_flagged=any(fit is not None and not low <= fit <= high for fit in (infit, outfit)),
        response_count=item.response_count,
        calibrated_at=item.calibrated_at,
        calibration_run_id=item.run_id,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _skipped(item_id: str, item: CalibratedItem | None, minimum: int) -> IrtSkippedItem | None:
    """Say why an item isn't among the calibrated ones; None if it is."""
    if item is None:
        return IrtSkippedItem(item_id=item_id, reason=UNKNOWN_ITEM, response_count=0)
    if item.source == "anchor":
        reason = HELD_AS_ANCHOR
    elif item.source != "fitted" or item.response_count < minimum:
        reason = INSUFFICIENT_RESPONSES
    else:
        return None
    return IrtSkippedItem(item_id=item_id, reason=reason, response_count=item.response_count)


def _last_night(database: Database, dagster_run_id: str) -> LoggedRun:
    nights = outcomes_of_run(database, dagster_run_id)
    if nights:
        for run in list_runs(database, night=nights[-1].partition):
            if run.orchestrator_run_id == dagster_run_id:
                return run
    raise ApiError(500, "CALIBRATION_FAILED", "the run ended before its first night began")


def _insufficient(why: str) -> ApiError:
    return ApiError(
        400,
        "INSUFFICIENT_DATA",
        f"{why}: wait for more answers, or lower min_responses (the programme's own minimum stays)",
    )
