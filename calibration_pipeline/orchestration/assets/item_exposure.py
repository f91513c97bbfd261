"""Asset `item_exposure`."""

from datetime import date

import dagster as dg

from calibration_pipeline.orchestration import exposure_metadata, metadata
from calibration_pipeline.orchestration.assets.common import (
    Result,
    accepted_state,
    chain_asset,
    of_check,
)
from calibration_pipeline.orchestration.exposure_control import NightExposure, control_night
from calibration_pipeline.orchestration.failures import in_one_line
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_exposure
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.orchestration.retries import is_passing
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposure import (
    observed_exposure,
    reported_acceptance,
    unmatched_proposals,
)
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

CONTROLLED = "exposure_controlled"


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[dg.AssetDep("calibration_snapshot")],
        check_specs=[
            dg.AssetCheckSpec(
                CONTROLLED,
                asset="item_exposure",
                description="Every item is held down to the maximum rate, where a method is set.",
            )
        ],
    )
    def item_exposure(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """How often items are seen; with what probability they may be, where that is controlled.

        Share of the window's sessions that saw each item, against the highest rate wanted. With a
        method of exposure control, each item of the version just published gets the probability
        with which engines may give it, found by simulation. A maximum that can't be reached is
        said, and holds nothing up; nor does a failure, which fails the check and is named.
        """
        troubles: dict[str, str] = {}
        for night in night_log.nights("item_exposure", partition_days(context)):
            state, reason = accepted_state(store, night)
            if state is None:
                shown = metadata.skipped(reason)
            else:
                shown, warnings = tonight(context, store, state, configuration)
                if warnings:
                    troubles[night.isoformat()] = "; ".join(warnings)
                    night_log.remark(night, *warnings)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=CONTROLLED,
                    passed=not troubles,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata=of_check(troubles, len(context.partition_keys)),
                )
            ]
        )

    return item_exposure


def tonight(
    context: dg.AssetExecutionContext,
    store: CalibrationStore,
    state: CalibrationState,
    configuration: CalibrationConfiguration,
) -> tuple[metadata.Metadata, list[str]]:
    """Control a night's version, and give what to show and what to warn of.

    What another run may mend is raised, so that there is one; nothing else may cost the night its
    page, which comes after this step.
    """
    try:
        version = store.version_of(state)
        found = NightExposure()
        if version is not None:
            found = control_night(store, state.partition, version, configuration)
        shown, warnings = _metadata(store, state, found, configuration), found.warnings
    except Exception as error:
        if is_passing(error):
            raise
        context.log.exception(f"{state.partition}: exposure control failed")
        failure = f"exposure control failed: {in_one_line(error)}"
        return {"failed": failure}, [failure]
    for warning in warnings:
        context.log.warning(f"{state.partition}: {warning}")
    return shown, warnings


def _metadata(
    store: CalibrationStore,
    state: CalibrationState,
    found: NightExposure,
    configuration: CalibrationConfiguration,
) -> metadata.Metadata:
    bank = store.bank(state.partition)
    days = [store.day(day, revision) for day, revision, _ in state.window]
    rates = observed_exposure(days, bank)
    return {
        "dagster/row_count": sum(control.probability.size for control in found.controls),
        **plot_exposure(rates),
        **exposure_metadata.of_observed(
            rates, bank, configuration.maximum_exposure_rate, found.controls
        ),
        **exposure_metadata.of_control(found.controls, found.unreachable),
        **_of_reports(store, [day for day, _, _ in state.window]),
    }


def _of_reports(store: CalibrationStore, days: list[date]) -> metadata.Metadata:
    reports = store.item_proposals(min(days), max(days)) if days else ()
    attempts: dict[int, set[int]] = {}
    for report in reports:
        attempts.setdefault(report.version, set()).add(report.attempt)
    controls = {
        version: store.exposure_attempts(version, named) for version, named in attempts.items()
    }
    return exposure_metadata.of_reports(
        reported_acceptance(reports, controls), unmatched_proposals(reports, controls)
    )
