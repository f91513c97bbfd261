"""Checks of a published night by other means: gathered without the lock, run after the night.

They have a job of their own, which asks for nothing that a night needs: no lock, no place in the
calibration's pool, no write. Whatever happens to them, nights and publication go on; they are never
tried again.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what `define_asset_job` gives; dagster doesn't export it
)

from calibration_pipeline.bayes.availability import PACKAGES, missing_extra
from calibration_pipeline.orchestration.metadata import Metadata, skipped
from calibration_pipeline.orchestration.partitions import RANGE_END, partition_days
from calibration_pipeline.orchestration.resources import JOB as NIGHTLY_JOB
from calibration_pipeline.policy.leak_watch import left_out_in
from calibration_pipeline.policy.night_inputs import NightInputs
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

ASSETS = ("posterior_audit", "second_opinion")
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


@dataclass(frozen=True)
class Finding:
    """What a check found of one night.

    Attributes
    ----------
    shown
        Metadata of the night's partition.
    warning
        What is wrong, in words; empty where nothing is.
    remark
        Why nothing could be said, where that is nobody's fault: it is shown, and warns of nothing.
    """

    shown: Metadata
    warning: str = ""
    remark: str = ""


def check_nights(
    context: dg.AssetExecutionContext,
    reader: CalibrationStore,
    check: str,
    packages: tuple[str, ...],
    look: Callable[[CalibrationState], Finding],
) -> dg.MaterializeResult[None]:
    """Look at the nights of a run, and give one check over all of them.

    Parameters
    ----------
    check
        Its name.
    packages
        Of the extra, without which there is nothing to look with.
    look
        Looks at one published night.
    """
    found = {
        night: _looked_at(context, reader, night, packages, look)
        for night in partition_days(context)
    }
    for night, finding in found.items():
        context.add_asset_metadata(finding.shown, partition_key=night.isoformat())
    said = {str(night): finding.warning or finding.remark for night, finding in found.items()}
    failures = sum(bool(finding.warning) for finding in found.values())
    counts = {"nights judged": len(found), "failures": failures}
    result = dg.AssetCheckResult(
        check_name=check,
        passed=not failures,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=counts | {night: words for night, words in said.items() if words},
    )
    return dg.MaterializeResult(check_results=[result])


def _looked_at(
    context: dg.AssetExecutionContext,
    reader: CalibrationStore,
    night: date,
    packages: tuple[str, ...],
    look: Callable[[CalibrationState], Finding],
) -> Finding:
    if others := assets_beside(context.run.asset_selection):
        remark = (
            f"not looked at: this run also makes {others[0]}, and checks keep no night waiting; "
            "materialise it by itself"
        )
        return Finding(skipped(remark), remark=remark)
    state, reason = published_state(reader, night)
    reason = reason or missing_extra(*packages)
    if state is None or reason:
        context.log.warning(f"{night} is not cross-checked: {reason}")
        return Finding(skipped(reason), warning=f"not cross-checked: {reason}")
    return look(state)


def assets_beside(selection: AbstractSet[dg.AssetKey] | None) -> list[str]:
    """Other assets of a run, in order.

    *Materialize all* selects nights and checks together. The run would hold the calibration's lock
    for minutes a night, and the process of the nights would load PyTorch.
    """
    return sorted({key.to_user_string() for key in selection or ()} - set(ASSETS))


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
    night, priors = state.partition, state.item_prior_fit
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
        item_priors=None if priors is None else store.item_prior_fit(priors),
    )
