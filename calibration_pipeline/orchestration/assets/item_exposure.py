"""Asset `item_exposure`."""

from datetime import date

import dagster as dg

from calibration_pipeline.orchestration import exposure_metadata, metadata
from calibration_pipeline.orchestration.assets.common import Result, accepted_state, chain_asset
from calibration_pipeline.orchestration.exposure_control import NightExposure, control_night
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposure import observed_exposure, reported_acceptance
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[dg.AssetDep("calibration_snapshot")],
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
        said, and holds nothing up.
        """
        for night in night_log.nights("item_exposure", partition_days(context)):
            state, reason = accepted_state(store, night)
            if state is None:
                shown = metadata.skipped(reason)
            else:
                version = store.version_of(state)
                found = NightExposure()
                if version is not None:
                    found = control_night(store, night, version, configuration)
                for warning in found.warnings:
                    context.log.warning(f"{night}: {warning}")
                shown = _metadata(store, state, found, configuration)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        return dg.MaterializeResult()

    return item_exposure


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
        **exposure_metadata.of_observed(
            rates, bank, configuration.maximum_exposure_rate, found.controls
        ),
        **exposure_metadata.of_control(found.controls, found.unreachable or {}),
        **_of_reports(store, [day for day, _, _ in state.window]),
    }


def _of_reports(store: CalibrationStore, days: list[date]) -> metadata.Metadata:
    reports = store.item_proposals(min(days), max(days)) if days else ()
    versions = {report.version for report in reports}
    controls = {version: store.exposure_of(version) for version in versions}
    return exposure_metadata.of_reports(reported_acceptance(reports, controls))
