"""Asset `nightly_report`."""

from pathlib import Path

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import Result, chain_asset
from calibration_pipeline.orchestration.flag_reviews import reviews_of_night
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.orchestration.scale_watching import watch_of_night
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.leak_protection import protection
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.reports.files import write_index, write_page
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
        ],
    )
    def nightly_report(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
        report_folder: dg.ResourceParam[Path],
    ) -> Result:
        """One self-contained HTML page per night, and an index of nights.

        Rejected nights have a page too: it says why nothing was published.
        """
        for night in night_log.nights("nightly_report", partition_days(context)):
            state = store.state(night)
            if state is None:
                shown = metadata.skipped("the night has no fit")
            else:
                page = _gather(store, state, configuration)
                path = write_page(report_folder, night, render_nightly_page(page))
                size = round(path.stat().st_size / 1024, 1)
                shown = {"page": dg.MetadataValue.path(path), "kilobytes": size, **told(page)}
            context.add_asset_metadata(shown, partition_key=night.isoformat())
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


def _gather(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> NightlyPage:
    """Gather a night's page; the audit is its version's, or that of the draft that failed it."""
    night, version = state.partition, store.version_of(state)
    revisions = {day: revision for day, revision, _ in state.window}
    leaks = store.leak_verdicts(state)
    return NightlyPage(
        day=store.day(night, revisions.get(night)).revision,
        state=state,
        parent=store.state(*state.parent) if state.parent else None,
        flags=store.flags(state),
        links=store.links(state),
        items=None if version is None else store.items_of(version),
        previous=store.published_before(night),
        version=version,
        findings=store.failed_audit(state) if version is None else store.audit_of(version),
        bank=store.bank(night),
        window_days=configuration.window_days,
        late_answers={late.day: late.answers for late in store.late_answers(night)},
        reviews=reviews_of_night(store, night, configuration) if state.is_accepted else (),
        watched=watch_of_night(store, state, configuration) if state.is_accepted else (),
        leak_delays=protection(leaks) if leaks else {},
    )
