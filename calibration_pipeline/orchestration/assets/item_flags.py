"""Asset `item_flags`."""

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import (
    Result,
    accepted_state,
    chain_asset,
    of_check,
)
from calibration_pipeline.orchestration.flag_metadata import of_reviews
from calibration_pipeline.orchestration.flag_reviews import reference_state, reviews_of_night
from calibration_pipeline.orchestration.leak_metadata import of_leaks
from calibration_pipeline.orchestration.leak_watching import leak_verdicts
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_flags
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flags import ANCHOR_DRIFT, raise_flags
from calibration_pipeline.policy.leak_flags import leak_flags
from calibration_pipeline.store.calibration_store import CalibrationStore

ANCHORS_HOLD = "no_anchor_drifted_credibly"


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[dg.AssetDep("item_fits")],
        check_specs=[
            dg.AssetCheckSpec(
                ANCHORS_HOLD,
                asset="item_flags",
                description="No anchor's own answers contradict its reference credibly.",
            )
        ],
    )
    def item_flags(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """Verdicts on items, one per item and reason, each with its size and its credibility.

        Difficulty drift against the last accepted night and against all answers before the window,
        guessing rise, low discrimination, misfit, estimates at a bound, items that work differently
        in population groups of equal ability, anchors that drift from their reference, suspected
        leaks; and how soon a leak of each item would be found. A flag
        is new on the night it opens on, and stays open until it resolves or a reviewer decides.
        """
        drifted: dict[str, str] = {}
        for night in night_log.nights("item_flags", partition_days(context)):
            state, reason = accepted_state(store, night)
            if state is None:
                context.add_asset_metadata(
                    metadata.skipped(reason), partition_key=night.isoformat()
                )
                continue
            parent = store.state(*state.parent) if state.parent else None
            reference = reference_state(store, night, configuration)
            leaks = leak_verdicts(store, state, configuration)
            suspected = tuple(leak_flags(leaks, state.keys)) if leaks else ()
            flags = raise_flags(
                state, parent, configuration,
                reference=reference, anchors=store.anchors(night), suspected_leaks=suspected,
            )  # fmt: skip
            store.write_flags(state, flags)
            reviews = reviews_of_night(store, night, configuration)
            shown = {**of_reviews(reviews, night), **plot_flags(flags), **metadata.of_flags(flags)}
            if leaks:
                store.write_leak_verdicts(state, leaks)
                shown |= of_leaks(leaks, state.keys)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
            anchors = [f for f in flags if f.reason == ANCHOR_DRIFT and f.is_credible]
            drifted |= {f"{night} {metadata.item_name(f.key)}": f.explanation for f in anchors}
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=ANCHORS_HOLD,
                    passed=not drifted,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata=of_check(drifted, len(context.partition_keys)),
                )
            ]
        )

    return item_flags
