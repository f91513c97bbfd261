"""Checks of a published night by other means: gathered without the lock, run after the night.

They have a job of their own, which asks for nothing that a night needs: no lock, no place in the
calibration's pool, no write. Whatever happens to them, nights and publication go on; they are never
tried again.
"""

from datetime import date

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what `define_asset_job` gives; dagster doesn't export it
)

from calibration_pipeline.bayes.availability import PACKAGES, missing_extra
from calibration_pipeline.orchestration.partitions import RANGE_END
from calibration_pipeline.orchestration.resources import JOB as NIGHTLY_JOB
from calibration_pipeline.policy.leak_watch import left_out_in
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

GROUP = "cross_checks"
JOB = "cross_checks"


def cross_check_job() -> UnresolvedAssetJobDefinition:
    """Build the job over all cross-checks; its process is the only one that loads PyTorch."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.groups(GROUP),
        executor_def=dg.in_process_executor,
        description="Checks a published night by other means; nights don't wait for it.",
    )


def cross_check_sensor(
    nightly: UnresolvedAssetJobDefinition,
    checks: UnresolvedAssetJobDefinition,
    *,
    is_on: bool = True,
) -> dg.SensorDefinition:
    """Ask for the checks of the last night of every run that succeeded.

    One that is off can be switched on in Dagster's UI.
    """
    status = dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED

    @dg.run_status_sensor(
        name=f"{JOB}_sensor",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[nightly],
        request_job=checks,
        default_status=status,
        description="After each successful night, of the last one where a run did several.",
    )
    def sensor(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        night = run.tags.get(RANGE_END) or run.tags.get("dagster/partition")
        if run.job_name != NIGHTLY_JOB or night is None:
            return dg.SkipReason("Not a run of nights.")
        if missing := missing_extra(*PACKAGES):
            return dg.SkipReason(f"The night of {night} is not cross-checked: {missing}.")
        return dg.RunRequest(run_key=run.run_id, partition_key=night)

    return sensor


def published_state(store: CalibrationStore, night: date) -> tuple[CalibrationState | None, str]:
    """A night's state if a version was published from it; otherwise None and why not."""
    state = store.state(night)
    if state is None:
        return None, f"{night} has no fit"
    if not state.is_accepted:
        return None, f"the night's fit was rejected: {'; '.join(state.reasons)}"
    if store.version_of(state) is None:
        return None, "the night published no version"
    return state, ""


def inputs_of(store: CalibrationStore, state: CalibrationState) -> NightInputs:
    """Read what a state's fit read, in the revisions that it names; folded days are left out."""
    night = state.partition
    bank = store.bank(night)
    return NightInputs(
        partition=night,
        attempt=state.attempt,
        window=[store.day(day, store.kept_revision(day, n)) for day, n, _ in state.window],
        leaving=(),
        parent=store.state(*state.parent) if state.parent else None,
        baselines={},
        bank=bank,
        anchors=store.anchors(night),
        left_out_from=left_out_in(store.leak_watch(state), bank),
    )
