"""Asset `second_opinion`."""

import dagster as dg

from calibration_pipeline.bayes.availability import PACKAGES, missing_extra
from calibration_pipeline.orchestration import cross_check_metadata, metadata
from calibration_pipeline.orchestration.assets.common import Result, of_check
from calibration_pipeline.orchestration.cross_checks import GROUP, inputs_of, published_state
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.second_opinion import agrees, ask_about
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

AGREES = "py_irt_agrees"


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @dg.asset(
        partitions_def=partitions,
        group_name=GROUP,
        kinds={"pyro"},
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetDep("calibration_snapshot")],
        check_specs=[
            dg.AssetCheckSpec(
                AGREES,
                asset="second_opinion",
                description="py-irt's difficulties, brought to our scale, correlate with ours and "
                "rank the items alike (docs/second-opinion.md).",
            )
        ],
    )
    def second_opinion(
        context: dg.AssetExecutionContext,
        reader: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
    ) -> Result:
        """What py-irt, which shares nothing with our estimator, makes of a sample of the answers.

        Of the scale with most answers. It runs after the night, by itself, and holds nothing up.
        """
        failed: dict[str, str] = {}
        for night in partition_days(context):
            state, reason = published_state(reader, night)
            if reason := reason or missing_extra(*PACKAGES):
                context.log.warning(f"{night} gets no second opinion: {reason}")
                shown, failed[str(night)] = metadata.skipped(reason), f"not asked: {reason}"
            elif state is not None:
                shown, why = second_opinion_of(reader, state, configuration)
                if why:
                    failed[str(night)] = why
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        check = dg.AssetCheckResult(
            check_name=AGREES,
            passed=not failed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=of_check(failed, len(context.partition_keys)),
        )
        return dg.MaterializeResult(check_results=[check])

    return second_opinion


def second_opinion_of(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> tuple[metadata.Metadata, str]:
    """Ask py-irt about a published night; say why the two disagree, or nothing."""
    # Here, and not above: PyTorch takes seconds to import, and no night needs it.
    from calibration_pipeline.bayes.second_opinion import second_opinion

    settings = configuration.second_opinion
    seed = state.partition.toordinal()
    sample = ask_about(state, inputs_of(store, state), configuration, seed)
    why = "no scale was fitted" if sample is None else sample.why_too_small(settings)
    if sample is None or why:
        return metadata.skipped(why), why
    opinion = second_opinion(sample.data, settings.epochs, seed)
    found = sample.agreement(opinion.discrimination, opinion.difficulty, configuration)
    if found is None:
        why = "all difficulties are alike, by one of the two"
        return metadata.skipped(why), why
    names = [sample.keys[j] for j in found.items]
    shown = cross_check_metadata.of_agreement(found, names, sample.data.n_responses)
    if agrees(found, settings):
        return shown, ""
    return shown, (
        f"correlation {found.correlation:.3f} (at least {settings.least_correlation}), "
        f"rank correlation {found.rank_correlation:.3f} (at least "
        f"{settings.least_rank_correlation})"
    )
