"""Asset `posterior_audit`."""

import dagster as dg
import numpy as np

from calibration_pipeline.bayes.availability import missing_extra
from calibration_pipeline.orchestration import cross_check_metadata, metadata
from calibration_pipeline.orchestration.assets.common import Result, of_check
from calibration_pipeline.orchestration.cross_checks import GROUP, inputs_of, published_state
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.posterior_audit import AuditedItem, audited_items
from calibration_pipeline.policy.posterior_comparison import (
    AuditVerdict,
    PosteriorComparison,
    compare_posterior,
    judge_audit,
)
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.store.calibration_store import CalibrationStore

GOOD = "posteriors_are_nearly_gaussian"


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
                GOOD,
                asset="posterior_audit",
                description="The Gaussians that go from night to night stand for the posteriors "
                "(docs/second-opinion.md).",
            )
        ],
    )
    def posterior_audit(
        context: dg.AssetExecutionContext,
        reader: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
    ) -> Result:
        """The exact posteriors of flagged items and of a sample, against what nights carry on.

        Sampled with NUTS in Pyro, abilities integrated out given each session's other answers.
        It runs after the night, by itself, and holds nothing up.
        """
        failed: dict[str, str] = {}
        for night in partition_days(context):
            state, reason = published_state(reader, night)
            if reason := reason or missing_extra("torch", "pyro"):
                context.log.warning(f"{night} is not audited: {reason}")
                shown, failed[str(night)] = metadata.skipped(reason), f"not audited: {reason}"
            elif state is not None:
                compared, verdict = audit_night(reader, state, configuration)
                shown = cross_check_metadata.of_audit(compared, verdict)
                if not verdict.passed:
                    failed[str(night)] = verdict.detail
            context.add_asset_metadata(shown, partition_key=night.isoformat())
        check = dg.AssetCheckResult(
            check_name=GOOD,
            passed=not failed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=of_check(failed, len(context.partition_keys)),
        )
        return dg.MaterializeResult(check_results=[check])

    return posterior_audit


def audit_night(
    store: CalibrationStore, state: CalibrationState, configuration: CalibrationConfiguration
) -> tuple[list[PosteriorComparison], AuditVerdict]:
    """Sample the posteriors of a published night's items and judge its Gaussians."""
    items = audited_items(state, inputs_of(store, state), store.flags(state), configuration)
    compared = _compare(items, state, configuration) if items else []
    return compared, judge_audit(compared, configuration.audit)


def _compare(
    items: list[AuditedItem], state: CalibrationState, configuration: CalibrationConfiguration
) -> list[PosteriorComparison]:
    # Here, and not above: PyTorch takes seconds to import, and no night needs it.
    from calibration_pipeline.bayes.posterior_sampling import SamplerSettings, sample_posteriors

    audit = configuration.audit
    settings = SamplerSettings(
        chains=audit.chains,
        warmup=audit.warmup,
        draws=audit.draws,
        seed=state.partition.toordinal(),
    )
    sampled = sample_posteriors(
        [item.posterior for item in items],
        np.stack([item.mean for item in items]),
        np.stack([item.own_covariance for item in items]),
        settings,
    )
    return [
        compare_posterior(item, found.draws, found.r_hat, found.effective_draws, audit)
        for item, found in zip(items, sampled, strict=True)
    ]
