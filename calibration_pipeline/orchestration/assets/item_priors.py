"""Asset `item_priors`, with the job and the schedule that fit it."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what `define_asset_job` gives; dagster doesn't export it
)

from calibration_pipeline.errors import ItemPriorError
from calibration_pipeline.orchestration.assets.common import POOL, Result
from calibration_pipeline.orchestration.item_prior_fitting import fit_item_priors
from calibration_pipeline.orchestration.item_prior_metadata import of_item_priors
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.store.calibration_store import CalibrationStore

JOB = "item_prior_fitting"
USABLE = "priors_are_usable"
HOURS_AFTER_THE_NIGHT = 6
SUNDAY = 0


def build() -> dg.AssetsDefinition:
    """Build the asset. It has no partitions: a fit is a version, and the newest one counts."""

    @dg.asset(
        group_name="item_priors",
        pool=POOL,
        kinds={"pyro", "postgres"},
        deps=[dg.AssetDep("item_fits", partition_mapping=dg.LastPartitionMapping())],
        check_specs=[
            dg.AssetCheckSpec(
                USABLE,
                asset="item_priors",
                description="The draws can be trusted and the priors are as wide as they should "
                "be (docs/new-items.md). Otherwise nights keep the version before.",
            )
        ],
    )
    def item_priors(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
    ) -> Result:
        """What calibrated items teach about new ones: the prior of items without enough answers.

        A hierarchy over authors, content families and option counts, fitted every week to what
        answers alone say of the items of the newest accepted night. The nights after it use it.
        """
        try:
            found = fit_item_priors(
                store.engine, configuration, fitted_by=f"Dagster run {context.run.run_id}"
            )
        except ItemPriorError as error:
            context.log.warning(str(error))
            return dg.MaterializeResult(
                metadata={"skipped": str(error)},
                check_results=[_check(passed=False, reasons=[str(error)])],
            )
        return dg.MaterializeResult(
            metadata=of_item_priors(found),
            check_results=[_check(passed=found.fit.is_accepted, reasons=found.fit.reasons)],
        )

    return item_priors


def _check(*, passed: bool, reasons: list[str] | tuple[str, ...]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=USABLE,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"reasons": "; ".join(reasons)} if reasons else {},
    )


def item_prior_job() -> UnresolvedAssetJobDefinition:
    """A job of its own: whatever happens to it, the nights go on."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets("item_priors"),
        executor_def=dg.in_process_executor,
        description="Learns the priors of new items from calibrated ones.",
    )


def item_prior_schedule(
    job: UnresolvedAssetJobDefinition, run_hour: int, timezone: str
) -> dg.ScheduleDefinition:
    """Every Sunday, hours after the night, which has ended by then, and before retention."""
    hour = (run_hour + HOURS_AFTER_THE_NIGHT) % 24
    return dg.ScheduleDefinition(
        job=job,
        name=f"{JOB}_schedule",
        cron_schedule=f"0 {hour} * * {SUNDAY}",
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every Sunday at {hour:02d}:00 {timezone}.",
    )
