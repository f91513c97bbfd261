"""Asset `cold_start`."""

from collections.abc import Sequence

import dagster as dg

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import Result, accepted_state, chain_asset
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_cold_start
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.cold_start import cold_start_items
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import ColdStartItem
from calibration_pipeline.store.calibration_store import CalibrationStore


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[dg.AssetDep("calibration_snapshot")],
    )
    def cold_start(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """Items whose difficulty isn't known well enough yet, and where each should be shown.

        How many more answers each needs, and the abilities of the candidates whose answers teach
        most about it (D-optimal over what is believed of it). Engines read `current_cold_start`.
        """
        for night in night_log.nights("cold_start", partition_days(context)):
            state, reason = accepted_state(store, night)
            shown = metadata.skipped(reason)
            if state is not None:
                items = cold_start_items(
                    state, store.links(state), store.bank(night), configuration
                )
                store.write_cold_start(state, items)
                shown = _metadata(items)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        return dg.MaterializeResult()

    return cold_start


def _metadata(items: Sequence[ColdStartItem]) -> metadata.Metadata:
    """The list in figures that plot, and the items that are nearest to leaving it."""
    known = [item for item in items if item.answers_needed is not None]
    nearest = sorted(known, key=lambda item: (item.answers_needed or 0, item.key))[: metadata.ROWS]
    return {
        "dagster/row_count": len(items),
        "items without answers": sum(item.total_count == 0 for item in items),
        "answers needed in all": sum(item.answers_needed or 0 for item in known),
        "items that need more than is planned for": len(items) - len(known),
        **plot_cold_start(items),
        "nearest": dg.MetadataValue.md(
            metadata.table(
                ("item", "answers", "se of b", "needed", "in nine of ten", "unaimed", "show to"),
                [
                    (metadata.item_name(item.key), item.total_count, f"{item.difficulty_se:.2f}",
                     item.answers_needed, item.answers_cautious or "more",
                     item.answers_unaimed or "more", show_to(item))
                    for item in nearest
                ],
            )
        ),
    }  # fmt: skip


def show_to(item: ColdStartItem) -> str:
    """Abilities with their shares of the answers, in words."""
    pairs = zip(item.abilities, item.shares, strict=True)
    return ", ".join(f"{ability:+.1f} ({share:.0%})" for ability, share in pairs)
