"""Asset `responses`."""

from datetime import date, datetime

import dagster as dg

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.orchestration import metadata
from calibration_pipeline.orchestration.answers_metadata import of_quarantine, of_remarks, of_source
from calibration_pipeline.orchestration.assets.common import Result, chain_asset, of_check
from calibration_pipeline.orchestration.night_log import NightLog
from calibration_pipeline.orchestration.night_plots import plot_days
from calibration_pipeline.orchestration.partitions import partition_days
from calibration_pipeline.policy.answer_remarks import answer_remarks
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.verdicts import too_many_bad_rows
from calibration_pipeline.policy.windows import window_days
from calibration_pipeline.records import DayRevision
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline.store.quarantine_reading import QuarantinedRow, read_examples

FEW_ROWS = "few_rows_were_quarantined"


class ExtractionConfig(dg.Config):
    """How to extract."""

    refresh: bool = False


def build(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the asset over the days given."""

    @chain_asset(
        partitions,
        kinds={"postgres", "parquet"},
        check_specs=[
            dg.AssetCheckSpec(
                FEW_ROWS, asset="responses", description="Bad rows stay below their share of a day."
            )
        ],
    )
    def responses(
        context: dg.AssetExecutionContext,
        config: ExtractionConfig,
        store: dg.ResourceParam[CalibrationStore],
        configuration: dg.ResourceParam[CalibrationConfiguration],
        night_log: dg.ResourceParam[NightLog],
    ) -> Result:
        """One local day of answers, extracted once and archived immutably as Parquet.

        A session belongs to the day on which it started. A day whose source changed since is
        extracted again, as a new revision beside the old one; so are days that no night has
        extracted. What comes for a day that has been folded in is counted, and not folded again.
        Bad rows are quarantined with a reason; too many of them stop the night before the fit.
        """
        nights = partition_days(context)
        for night in nights:
            store.run_of(night)  # the run log says what is under way, and what a crash has ended
        store.extract_days_due(nights[0], configuration.window_days, refresh=config.refresh)
        late = metadata.of_late_answers(store.late_answers(nights[0]))
        rows_ahead = store.rows_ahead(datetime.now(store.timezone).date())
        problems: dict[date, str] = {}
        for day in night_log.nights("responses", nights):
            revision = store.extract_day(day, refresh=config.refresh)
            window = store.archived_days(window_days(day, configuration.window_days))
            night_log.remarks[day] = answer_remarks(day, window, rows_ahead, configuration)
            plot = plot_days(window_days(day, configuration.window_days), window)
            remarks = of_remarks(night_log.remarks[day])
            shown = {**remarks, **plot, **of_day(store, revision), **late}
            context.add_asset_metadata(shown, partition_key=day.isoformat())
            if reason := too_many_bad_rows(revision, configuration):
                problems[day] = reason
        odd = [f"{day}: {remark}" for day in nights for remark in night_log.remarks[day]]
        for warning in (*store.source.warnings, *odd):
            context.log.warning(warning)
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=FEW_ROWS,
                    passed=not problems,
                    metadata=of_check({str(d): why for d, why in problems.items()}, len(nights)),
                )
            ]
        )

    return responses


def of_day(store: CalibrationStore, revision: DayRevision) -> metadata.Metadata:
    """Say what was extracted of a day, from where, and what was left out."""
    return {
        **metadata.of_revision(revision),
        **of_source(store.source),
        **of_quarantine(revision, examples_of(store, revision)),
        **metadata.of_erased_sessions(store.erased_sessions(revision.day)),
    }


def examples_of(store: CalibrationStore, revision: DayRevision) -> tuple[QuarantinedRow, ...]:
    """Read some of the rows that a day lost; none where their file is gone: no night needs it."""
    try:
        return read_examples(store.engine, store.archive, [revision])
    except NightBlockedError:
        return ()
