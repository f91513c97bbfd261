"""Asset `candidate_abilities`."""

import dagster as dg
import numpy as np

from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.assets.common import Result, accepted_state, chain_asset
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_abilities
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.abilities import session_abilities
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.leak_watch import left_out_in
from calibration_pipeline.policy.links import published_populations
from calibration_pipeline.records import CalibrationState, CandidateAbilities
from calibration_pipeline.store.calibration_store import CalibrationStore

_SHARES = (5, 25, 50, 75, 95)


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[dg.AssetDep("calibration_snapshot")],
    )
    def candidate_abilities(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
        engine: dg.ResourceParam[Engine],
    ) -> Result:
        """The ability that each of the day's sessions showed, by the version just published.

        The mean of what its answers leave possible, with its standard error. Hangs off the snapshot
        and never holds it up. Candidates stand under a keyed hash.
        """
        for night in night_log.nights("candidate_abilities", partition_days(context)):
            state, reason = accepted_state(store, night)
            version = store.version_of(state) if state else None
            if state is None or version is None:
                shown = metadata.skipped(reason or "the night published no version")
            else:
                found = _score(store, state, version, configuration, engine)
                store.write_abilities(night, version, found)
                shown = _metadata(found)
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        return dg.MaterializeResult()

    return candidate_abilities


def _score(
    store: CalibrationStore,
    state: CalibrationState,
    version: int,
    configuration: CalibrationConfiguration,
    engine: Engine,
) -> CandidateAbilities:
    revisions = {day: revision for day, revision, _ in state.window}
    populations = published_populations(state, store.links(state))
    day = store.day(state.partition, revisions[state.partition])
    bank, items = store.bank(state.partition), store.items_of(version)
    left_out_from = left_out_in(store.leak_watch(state), bank)
    return session_abilities(
        day, bank, items, populations, configuration, left_out_from=left_out_from, engine=engine
    )


def _metadata(found: CandidateAbilities) -> metadata.Metadata:
    if not len(found.theta):
        return {"dagster/row_count": 0}
    return {
        "dagster/row_count": len(found.theta),
        "mean ability": round(float(found.theta.mean()), 4),
        "sd of ability": round(float(found.theta.std()), 4),
        "mean standard error of ability": round(float(np.mean(found.theta_se)), 4),
        "answers per session": round(float(np.mean(found.response_counts)), 2),
        **plot_abilities(found),
        "percentiles": dg.MetadataValue.md(
            metadata.table(
                ("share of sessions below", "ability"),
                [(f"{share}%", f"{np.percentile(found.theta, share):+.2f}") for share in _SHARES],
            )
        ),
    }
