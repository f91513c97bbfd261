"""Asset `calibration_snapshot`."""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import (
    Result,
    accepted_state,
    chain_asset,
    of_check,
)
from calibration_pipeline.orchestration.items_to_look_at import of_moved
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_version
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.audit import WrittenSnapshot, audit_snapshot
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
from calibration_pipeline.store.publication import Publication
from calibration_pipeline.store.snapshot_rows import content_digest

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
        """Every item of the pool with its parameters: written, audited, published as one version.

        The draft is written where no reader looks, and read back for its audit. Publication is one
        transaction and moves the alias `current`, unless it stands at a later night or publication
        is frozen. A failed audit publishes nothing and keeps its draft; a night that says what its
        newest version says, or has nothing eligible, mints no version.
        """
        failed: dict[str, str] = {}
        findings: tuple[AuditFinding, ...]
        for night in night_log.nights("calibration_snapshot", partition_days(context)):
            state, reason = accepted_state(store, night)
            shown, findings = metadata.skipped(reason), ()
            if state is not None:
                shown, findings = publish_night(store, state, configuration)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
            if why := failed_rules(findings):
                failed[str(night)] = why
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=AUDITED,
                    passed=not failed,
                    metadata=of_check(failed, len(context.partition_keys)),
                )
            ]
        )

    return calibration_snapshot


def publish_night(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> tuple[metadata.Metadata, tuple[AuditFinding, ...]]:
    """Compose, write, audit and publish an accepted night; give what came of it and the findings.

    A passed audit's findings go with the version; those of a failed one stay with the draft.
    """
    if not eligible_items(state, configuration).any():
        return metadata.skipped("no item has enough responses in the window"), ()
    bank, links = store.bank(state.partition), store.links(state)
    previous = store.published_before(state.partition)
    anchors = store.anchors(state.partition)
    items = compose_snapshot(state, links, bank, anchors, previous, configuration)
    draft_id = store.write_draft(_draft(store, state, links, configuration), items)
    written = _read_back(store, draft_id)
    findings = audit_snapshot(written, configuration)
    store.record_audit(draft_id, findings)
    if why := failed_rules(findings):
        shown = metadata.of_snapshot(None, written.items, findings)
        return {**shown, "draft kept": draft_id, "failed audit": why}, findings
    published = store.publish(draft_id)
    shown = {
        "version": published.version,
        **_of_publication(published),
        **plot_version(written.items, previous, written.scaling_constant),
        **of_moved(written.items, previous),
        **metadata.of_snapshot(published.version, written.items, findings),
    }
    return shown, findings


def _read_back(store: CalibrationStore, draft_id: int) -> WrittenSnapshot:
    """Read a draft as it stands in the database, with what its audit compares it with."""
    stored, items = store.draft(draft_id), store.draft_items(draft_id)
    draft = stored.draft
    earlier = store.manifest_before(draft.partition)
    return WrittenSnapshot(
        items=items,
        links=draft.links,
        scaling_constant=draft.scaling_constant,
        composed_digest=stored.content_digest,
        written_digest=content_digest(items, draft.scaling_constant),
        bank=store.bank(draft.partition),
        anchors=store.anchors(draft.partition),
        previous=store.published_before(draft.partition),
        previous_scaling_constant=earlier.scaling_constant if earlier else None,
    )


def _of_publication(published: Publication) -> metadata.Metadata:
    current = "none" if published.current is None else published.current
    shown: dict[str, str | int] = {"current": current}
    if not published.is_new:
        shown["publication"] = "the night's version says the same, and stands"
    if published.held_back:
        shown["held back"] = published.held_back
    return shown


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
        parent_version=store.followed_version,
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
