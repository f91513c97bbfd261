"""Asset `item_fits`."""

import dagster as dg

from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.answers_metadata import of_readiness
from calibration_pipeline.orchestration.assets.common import Result, chain_asset, of_check
from calibration_pipeline.orchestration.inputs import read_night_inputs
from calibration_pipeline.orchestration.items_to_look_at import of_misfits
from calibration_pipeline.orchestration.leak_watching import watch_for_leaks
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_fits
from calibration_pipeline.orchestration.partitions import (
    PREVIOUS_NIGHT,
    partition_days,
    window_mapping,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.policy.readiness import readiness_of_night
from calibration_pipeline.policy.verdicts import accepted_in_spite
from calibration_pipeline.policy.windows import window_days
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

CONVERGED = "em_converged"
ACCEPTED = "fit_is_accepted"
READY = "programme_is_ready"


class FitConfig(dg.Config):
    """Which revisions of the window's days to use."""

    refresh: bool = False


def build(partitions: dg.DailyPartitionsDefinition, window_length: int) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"python", "postgres"},
        deps=[
            dg.AssetDep("responses", partition_mapping=window_mapping(window_length)),
            dg.AssetDep("item_fits", partition_mapping=PREVIOUS_NIGHT),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CONVERGED, asset="item_fits", description="Every scale's EM converged."
            ),
            dg.AssetCheckSpec(
                ACCEPTED, asset="item_fits", description="The night's fit passed its verdict."
            ),
            dg.AssetCheckSpec(
                READY,
                asset="item_fits",
                description="A scale has enough answers in the window to be fitted "
                "(docs/readiness.md).",
            ),
        ],
    )
    def item_fits(
        context: dg.AssetExecutionContext,
        config: FitConfig,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
        engine: dg.ResourceParam[Engine],
    ) -> Result:
        """Tonight's difficulty, discrimination and guessing of every item, with their errors.

        Estimated from the answers of the window, the last 30 days unless set otherwise. What last
        night knew is tonight's prior, so that it depends on its own previous partition (the graph
        draws no loop for that); each answer counts once: posterior = base prior × carried
        information × window. A fit that isn't plausible is stored as rejected, unless a person has
        accepted exactly this result; the next night starts from the newest accepted one. The day's
        answers are first held against last night's parameters: from the onset of a suspected leak
        on, they are left out.
        """
        states = []
        for night in night_log.nights("item_fits", partition_days(context)):
            inputs = read_night_inputs(store, night, configuration, refresh=config.refresh)
            inputs, watch = watch_for_leaks(store, inputs, configuration)
            state = calibrate_night(inputs, configuration, engine)
            if not state.is_accepted:
                state = accepted_in_spite(state, store.acceptance_of(state))
            store.write_state(state, watch)
            context.add_asset_metadata(
                of_fits(state, configuration), partition_key=night.isoformat()
            )
            states.append(state)
        ready = _readiness_check(store, states[-1], configuration)
        return dg.MaterializeResult(check_results=[*_checks(states), ready])

    return item_fits


def of_fits(state: CalibrationState, configuration: CalibrationConfiguration) -> metadata.Metadata:
    """Say what came of a fit: the verdict first, then plots, what to look at, and all figures."""
    figures = metadata.of_state(state, configuration)
    return {
        "dagster/row_count": len(state.keys),
        **{name: figures[name] for name in ("accepted", "reasons")},
        **plot_fits(state, configuration),
        **of_misfits(state, configuration),
        **figures,
    }


def _checks(states: list[CalibrationState]) -> list[dg.AssetCheckResult]:
    """One result per check for the whole run; per-night verdicts stand in the metadata."""
    stopped = {
        str(state.partition): scale.name
        for state in states
        for scale in state.scales
        if not scale.converged
    }
    rejected = {str(s.partition): "; ".join(s.reasons) for s in states if not s.is_accepted}
    return [
        dg.AssetCheckResult(
            check_name=CONVERGED, passed=not stopped, metadata=of_check(stopped, len(states))
        ),
        dg.AssetCheckResult(
            check_name=ACCEPTED, passed=not rejected, metadata=of_check(rejected, len(states))
        ),
    ]


def _readiness_check(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> dg.AssetCheckResult:
    """Say of the newest night of a run whether there is enough to calibrate; it stops nothing."""
    days = window_days(state.partition, configuration.window_days)
    archived = store.archived_days(days)
    with_answers = [day for day in days if day in archived and archived[day].response_count]
    began = min(with_answers, default=days[0])
    readiness = readiness_of_night(
        state, store.bank(state.partition), (state.partition - began).days + 1, configuration
    )
    return dg.AssetCheckResult(
        check_name=READY,
        passed=readiness.can_calibrate,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=of_readiness(readiness, state.partition, configuration),
    )
