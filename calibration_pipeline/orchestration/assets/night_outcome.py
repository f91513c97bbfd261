"""Asset `night_outcome`: the last step, which fails a run that has something to say."""

from collections.abc import Mapping
from datetime import date, timedelta

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.calibration_snapshot import failed_rules
from calibration_pipeline.orchestration.assets.common import Result, chain_asset
from calibration_pipeline.orchestration.flag_reviews import reviews_of_night
from calibration_pipeline.orchestration.heartbeat import Beat, Heartbeat
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.orchestration.scale_watching import watch_of_night
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reviews import count_flags
from calibration_pipeline.policy.publication import eligible_items
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline.store.quarantine_reading import read_counts
from calibration_pipeline.store.staleness import Staleness

WENT_WELL = ("completed", "completed_empty")
"""Outcomes whose reason is a remark; that of the others is why they published nothing."""


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"postgres"},
        deps=[dg.AssetDep("candidate_abilities"), dg.AssetDep("nightly_report")],
    )
    def night_outcome(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
        heartbeat: dg.ResourceParam[Heartbeat],
    ) -> Result:
        """Closes the run log, tells the watchdog, and fails the run if a night published nothing.

        Verdicts never raise before this step: a raise in the middle of a backfill would lose the
        records of the nights before it. A run that ends with a verdict is not tried again.
        """
        failed: dict[str, str] = {}
        beats: list[Beat] = []
        staleness = store.staleness()
        for night in partition_days(context):
            outcome, reason, counts = judge_night(store, night, configuration)
            if outcome in WENT_WELL:
                reason = "; ".join(filter(None, [reason, *night_log.remarks.get(night, ())]))
            store.close_run(
                night, outcome, counts=counts, timings=night_log.timings[night], reason=reason
            )
            shown = {"outcome": outcome, "reason": reason or "none", **readable(counts)}
            shown |= {**stale_metadata(staleness, night), **of_timings(night_log.timings[night])}
            context.add_asset_metadata(shown, partition_key=night.isoformat())
            beats.append(_beat(store, night, outcome, counts.get("version")))
            if not beats[-1].is_well:
                failed[night.isoformat()] = reason
        for warning in heartbeat(next((b for b in beats if not b.is_well), beats[-1])):
            context.log.warning(warning)
        if failed:
            first, reason = next(iter(failed.items()))
            raise dg.Failure(
                f"{len(failed)} of {len(context.partition_keys)} nights published nothing; "
                f"{first}: {reason}",
                metadata={**failed, **stale_metadata(staleness, date.fromisoformat(first))},
                allow_retries=False,
            )
        return dg.MaterializeResult()

    return night_outcome


def readable(counts: Mapping[str, int]) -> metadata.Metadata:
    """Name a night's counts as all other metadata are named."""
    return {name.replace("_", " "): count for name, count in counts.items()}


def of_timings(seconds: Mapping[str, float]) -> metadata.Metadata:
    """Say how long a night's steps took: sums that plot, and each step, the longest first."""
    by_length = sorted(seconds.items(), key=lambda step: -step[1])
    rows = [(step, f"{taken:.1f}") for step, taken in by_length]
    return {
        "dagster/row_count": 1,
        "seconds in all": round(sum(seconds.values()), 1),
        **{f"seconds in {step}": round(taken, 2) for step, taken in seconds.items()},
        "seconds by step": dg.MetadataValue.md(metadata.table(("step", "seconds"), rows)),
    }


def _beat(store: CalibrationStore, night: date, outcome: str, version: int | None) -> Beat:
    """Say of a night what a watchdog wants to know, and what engines read now."""
    current, why = store.current_version(), ""
    if version is not None and version != current:
        elsewhere = f"`current` is at version {current}: `calibrate snapshots moves` says why"
        why = store.held_back(version) or elsewhere
    return Beat(night, outcome, version, current, why)


def stale_metadata(staleness: Staleness, night: date) -> dict[str, str | int]:
    """Say what rests on superseded states when a run ends, from one of its nights on.

    A number, which Dagster plots, and where something is stale why, and the command that mends it.
    """
    later = staleness.since(night + timedelta(days=1))
    shown: dict[str, str | int] = {"stale nights after it": len(later)}
    if described := staleness.describe(since=night):
        shown["stale"] = described
    return shown


def judge_night(
    store: CalibrationStore,
    night: date,
    configuration: CalibrationConfiguration,
) -> tuple[str, str, dict[str, int]]:
    """Give the night's outcome, the reason for anything but success, and its counts."""
    state = store.state(night)
    if state is None:
        return "failed", "there is no fit", {}
    counts = {
        "responses": int(state.window_counts.sum()),
        "items_refitted": int(eligible_items(state, configuration).sum()),
        "late_answers": sum(late.answers for late in store.late_answers(night)),
        **_quarantined(store, state),
    }
    if not state.is_accepted:
        return "rejected", "; ".join(state.reasons), counts
    counts |= count_flags(reviews_of_night(store, night, configuration), night).named()
    version = store.version_of(state)
    if version is not None:
        doubts = [
            f"scale {watch.scale}: {reason}"
            for watch in watch_of_night(store, state, configuration)
            for reason in watch.reasons
        ]
        held_back = filter(None, [store.held_back(version)])
        notes = [*state.reasons, *held_back, *doubts, *store.source.warnings]
        return "completed", "; ".join(notes), counts | {"version": version}
    if counts["items_refitted"] == 0:
        return "completed_empty", "no item has enough responses in the window", counts
    reason = failed_rules(store.failed_audit(state))
    return "audit_failed", reason or "no version was published", counts


def _quarantined(store: CalibrationStore, state: CalibrationState) -> dict[str, int]:
    """Count the rows that the night's own day lost, in all and by reason, as the fit had it."""
    night = state.partition
    used = next((revision for day, revision, _ in state.window if day == night), None)
    newest = store.archived_days([night]).get(night)
    counts: dict[str, int] = {}
    if newest is not None and used in (None, newest.revision):
        counts = newest.quarantine_counts
    elif used is not None:
        counts = read_counts(store.engine, night, used)
    by_reason = {f"quarantined_{reason}": rows for reason, rows in sorted(counts.items())}
    return {"quarantined": sum(counts.values()), **by_reason}
