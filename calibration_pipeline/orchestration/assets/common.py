"""What the assets have in common: their place in the house, and when a night is skipped."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import wraps
from typing import Any

import dagster as dg

from calibration_pipeline.orchestration.failures import in_one_line
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

POOL = "calibration"
GROUP = "nightly_calibration"

Result = dg.MaterializeResult
"""What every asset gives: its records are in the store, Dagster holds no value. Dagster reads the
annotation and needs the class itself, not `MaterializeResult[None]`."""


def chain_asset(
    partitions: dg.DailyPartitionsDefinition,
    kinds: set[str],
    deps: Sequence[dg.AssetDep] = (),
    check_specs: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., Result]], dg.AssetsDefinition]:
    """Make a function an asset of the chain: daily, in the house's group and pool.

    A backfill is one run whose assets loop over its nights; a run per night costs many times its
    work in overhead.
    """
    make = dg.asset(
        partitions_def=partitions,
        group_name=GROUP,
        pool=POOL,
        kinds=kinds,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=deps,
        check_specs=check_specs,
    )
    return lambda step: make(_noting_failures(step))


def _noting_failures(step: Callable[..., Result]) -> Callable[..., Result]:
    """Tell the store why a step fails, for the run log: a night's rows are closed when it ends."""

    @wraps(step)
    def noting_failures(
        context: dg.AssetExecutionContext, store: CalibrationStore, **resources: Any
    ) -> Result:
        try:
            return step(context, store=store, **resources)
        except Exception as error:
            store.note_failure(in_one_line(error))
            raise

    return noting_failures


def of_check(failed: Mapping[str, str], nights: int) -> dict[str, str | int]:
    """Metadata of a check over the nights of a run: counts that plot, then what failed and why."""
    return {"nights judged": nights, "failures": len(failed), **failed}


def accepted_state(store: CalibrationStore, night: date) -> tuple[CalibrationState | None, str]:
    """A night's state if it was accepted; otherwise None and the reason to skip the night.

    Raises
    ------
    dagster.Failure
        The night has no state at all.
    """
    state = store.state(night)
    if state is None:
        raise dg.Failure(f"{night} has no fit: materialise item_fits for it first")
    if state.is_accepted:
        return state, ""
    return None, f"the night's fit was rejected: {'; '.join(state.reasons)}"
