"""Asset `nightly_report`."""

from pathlib import Path

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import Result, chain_asset
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.orchestration.report_reading import (
    NightSeconds,
    ReportOptions,
    read_page,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.reports.files import link_nights, write_index, write_page
from calibration_pipeline.reports.nightly_page import NightlyPage, render_nightly_page
from calibration_pipeline.store.calibration_store import CalibrationStore


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"html"},
        deps=[
            dg.AssetDep("calibration_snapshot"),
            dg.AssetDep("item_exposure"),
            dg.AssetDep("candidate_abilities"),
        ],
    )
    def nightly_report(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
        report_folder: dg.ResourceParam[Path],
        report_options: dg.ResourceParam[ReportOptions],
    ) -> Result:
        """One self-contained HTML page per night, and an index of nights.

        Rejected nights have a page too: it says why nothing was published.
        """
        nights = partition_days(context)
        for night in night_log.nights("nightly_report", nights):
            state = store.state(night)
            if state is None:
                shown = metadata.skipped("the night has no fit")
            else:
                seconds = NightSeconds.of_night(night_log.timings, night)
                page = read_page(store, state, configuration, report_options, seconds)
                path = write_page(report_folder, night, render_nightly_page(page))
                size = round(path.stat().st_size / 1024, 1)
                shown = {"page": dg.MetadataValue.path(path), "kilobytes": size, **told(page)}
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        link_nights(report_folder, nights)
        write_index(report_folder)
        return dg.MaterializeResult()

    return nightly_report


def told(page: NightlyPage) -> metadata.Metadata:
    """Say what a page tells, and the command that opens the flags it shows."""
    figures = [
        ("version", "none published" if page.version is None else page.version),
        ("fit", "accepted" if page.state.is_accepted else "rejected"),
        ("responses of the day", f"{page.day.response_count:,}"),
        ("flags", f"{sum(flag.is_credible for flag in page.flags)} credible of {len(page.flags)}"),
        ("audit", f"{sum(not rule.passed for rule in page.findings)} rules failed"),
    ]
    return {"on the page": dg.MetadataValue.md(metadata.table(("what", "how"), figures))}
