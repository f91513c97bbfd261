"""Asset `anchor_link`."""

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import (
    Result,
    accepted_state,
    chain_asset,
    of_check,
)
from calibration_pipeline.orchestration.items_to_look_at import of_left_out
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_anchors
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.orchestration.scale_watching import of_watch, watch_of_night
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.links import link_scales
from calibration_pipeline.store.calibration_store import CalibrationStore

WITHIN_BOUNDS = "linking_constants_are_within_bounds"
SCALE_HOLDS = "no_sign_that_all_anchors_moved"


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[dg.AssetDep("item_flags"), dg.AssetDep("item_fits")],
        check_specs=[
            dg.AssetCheckSpec(
                WITHIN_BOUNDS,
                asset="anchor_link",
                description="No scale's link is so far from (1, 0) that publication stops.",
            ),
            dg.AssetCheckSpec(
                SCALE_HOLDS,
                asset="anchor_link",
                description="Free items and candidates stand to the anchors as they did before.",
            ),
        ],
    )
    def anchor_link(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """The constants that bring tonight's scale to that of the anchors, items held fixed.

        From the anchors that were not flagged and do not lie off the others. They say how far the
        scale of tonight's answers is from the anchors' reference, and are applied, with their
        errors, to every item that is not an anchor. Anchors that all moved together look like a
        change of scale: the night's free items and candidates are watched for that.
        """
        outside: dict[str, str] = {}
        doubted: dict[str, str] = {}
        for night in night_log.nights("anchor_link", partition_days(context)):
            state, reason = accepted_state(store, night)
            if state is None:
                context.add_asset_metadata(
                    metadata.skipped(reason), partition_key=night.isoformat()
                )
                continue
            bank, anchors = store.bank(night), store.anchors(night)
            links = link_scales(state, store.flags(state), bank, anchors, configuration)
            store.write_links(state, links)
            verdicts = watch_of_night(store, state, configuration)
            shown = {**plot_anchors(state), **metadata.of_links(links), **of_left_out(links)}
            shown = {**shown, **of_watch(verdicts)}
            context.add_asset_metadata(shown, partition_key=night.isoformat())
            doubted |= {f"{night} {v.scale}": "; ".join(v.reasons) for v in verdicts if v.is_alarm}
            outside |= {
                f"{night} {link.scale}": f"slope {link.slope:.3f}, intercept {link.intercept:+.3f}"
                for link in links
                if not link.is_within_bounds
            }
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=WITHIN_BOUNDS,
                    passed=not outside,
                    metadata=of_check(outside, len(context.partition_keys)),
                ),
                dg.AssetCheckResult(
                    check_name=SCALE_HOLDS,
                    passed=not doubted,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata=of_check(doubted, len(context.partition_keys)),
                ),
            ]
        )

    return anchor_link
