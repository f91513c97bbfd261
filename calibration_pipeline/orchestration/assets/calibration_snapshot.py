"""Asset `calibration_snapshot`."""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import Result, accepted_state, chain_asset
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.audit import audit_snapshot
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.links import published_populations
from calibration_pipeline.policy.publication import compose_snapshot, eligible_items
from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    ScaleLink,
    SnapshotDraft,
)
from calibration_pipeline.store.calibration_store import CalibrationStore

AUDITED = "audit_passed"


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"postgres"},
        deps=[dg.AssetDep("anchor_link"), dg.AssetDep("item_fits")],
        check_specs=[
            dg.AssetCheckSpec(
                AUDITED,
                asset="calibration_snapshot",
                description="Every rule of the publication audit held.",
            )
        ],
    )
    def calibration_snapshot(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """Every item of the pool with its parameters, audited and published as one version.

        Publication is one transaction and moves the alias `current`, unless it stands at a later
        night. A failed audit publishes nothing; a night with nothing eligible mints no version.
        """
        failed: dict[str, str] = {}
        findings: tuple[AuditFinding, ...]
        for night in night_log.nights("calibration_snapshot", partition_days(context)):
            state, reason = accepted_state(store, night)
            shown, findings = metadata.skipped(reason), ()
            if state is not None:
                shown, findings = publish_night(store, state, configuration)
            night_log.findings[night] = findings
            context.add_asset_metadata(shown, partition_key=night.isoformat())
            if why := failed_rules(findings):
                failed[str(night)] = why
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(check_name=AUDITED, passed=not failed, metadata=failed)
            ]
        )

    return calibration_snapshot


def publish_night(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> tuple[metadata.Metadata, tuple[AuditFinding, ...]]:
    """Compose, audit and publish an accepted night; give what came of it and the findings."""
    if not eligible_items(state, configuration).any():
        return metadata.skipped("no item has enough responses in the window"), ()
    bank, anchors = store.bank(state.partition), store.anchors(state.partition)
    links, previous = store.links(state), store.published_before(state.partition)
    items = compose_snapshot(state, links, bank, previous, configuration)
    findings = audit_snapshot(items, links, bank, anchors, previous, configuration)
    if why := failed_rules(findings):
        return {**metadata.of_snapshot(None, items, findings), "failed audit": why}, findings
    draft = _draft(store, state, links, configuration)
    version = store.publish(draft, items, findings)
    return metadata.of_snapshot(version, items, findings), findings


def failed_rules(findings: Sequence[AuditFinding]) -> str:
    """Say which rules of an audit failed, and why; an empty string if all passed."""
    return "; ".join(f"{found.rule}: {found.detail}" for found in findings if not found.passed)


def _draft(
    store: CalibrationStore,
    state: CalibrationState,
    links: tuple[ScaleLink, ...],
    configuration: CalibrationConfiguration,
) -> SnapshotDraft:
    window_start: date = state.partition - timedelta(days=configuration.window_days - 1)
    return SnapshotDraft(
        partition=state.partition,
        attempt=state.attempt,
        parent_version=store.current_version(),
        scaling_constant=configuration.em.scaling_constant,
        window_start=window_start,
        window_end=state.partition,
        run_id=store.run_of(state.partition),
        configuration=dict(store.context.configuration),
        package_versions=dict(store.context.package_versions),
        data_digest=digest_of(*state.window),
        links=links,
        population={
            name: {"mean": known.pooled_mean, "sd": known.pooled_sd}
            for name, known in published_populations(state, links).items()
        },
    )
