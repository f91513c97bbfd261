"""Asset `item_exposure`."""

import dagster as dg
import numpy as np

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import Result, accepted_state, chain_asset
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposure import observed_exposure
from calibration_pipeline.records import FloatArray, ItemBank
from calibration_pipeline.store.calibration_store import CalibrationStore


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python"},
        deps=[dg.AssetDep("calibration_snapshot")],
    )
    def item_exposure(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """Share of the window's sessions that saw each item, against the highest rate wanted."""
        for night in night_log.nights("item_exposure", partition_days(context)):
            state, reason = accepted_state(store, night)
            if state is None:
                shown = metadata.skipped(reason)
            else:
                days = [store.day(day, revision) for day, revision, _ in state.window]
                bank = store.bank(night)
                rates = observed_exposure(days, bank)
                shown = _metadata(rates, bank, configuration.maximum_exposure_rate)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        return dg.MaterializeResult()

    return item_exposure


def _metadata(rates: FloatArray, bank: ItemBank, limit: float) -> metadata.Metadata:
    most = np.argsort(-rates, kind="stable")[: metadata.ROWS]
    return {
        "highest exposure rate": float(rates.max(initial=0.0)),
        f"items above {limit:.0%}": int((rates > limit).sum()),
        "items never seen": int((rates == 0).sum()),
        "most seen items": dg.MetadataValue.md(
            metadata.table(
                ("item", "share of sessions"),
                [(metadata.item_name(bank.keys[j]), f"{rates[j]:.1%}") for j in most],
            )
        ),
    }
