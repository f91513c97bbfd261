"""Run the nightly job in this process, on the same records that the Dagster UI shows."""

from collections.abc import Sequence
from datetime import date
from uuid import uuid4

import dagster as dg

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.orchestration.failures import mendable_cause, tell_of_crash
from calibration_pipeline.orchestration.heartbeat import Heartbeat, no_heartbeat
from calibration_pipeline.orchestration.retries import NO_RETRY
from calibration_pipeline.orchestration.schedule import JOB, range_tags

QUIET_LOG = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The events go to the instance, where the UI shows them; the terminal has its own progress."""


def run_nights(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    first: date,
    last: date,
    *,
    triggered_by: str,
    refresh: bool = False,
    assets: Sequence[str] | None = None,
    heartbeat: Heartbeat = no_heartbeat,
) -> str:
    """Process a range of nights in order, in one run.

    What came of each night stands in the run log under the run id. Dagster retries no such run:
    somebody waits for it.

    Parameters
    ----------
    assets
        Names of the assets to process; all of the job's if None.
    heartbeat
        Told of a crash and of an interrupt; how nights end otherwise, the run's last step tells by
        itself.

    Returns
    -------
    str
        Dagster's run id.

    Raises
    ------
    BadInputError
        A night lies outside the partitions.
    CalibrationError
        Whatever stopped the run that a person can mend, such as a lock that is held.
    KeyboardInterrupt
        Somebody stopped it.
    """
    job = definitions.resolve_job_def(JOB)
    _require_partitions(job, first, last)
    run_id, extraction = str(uuid4()), {"config": {"refresh": refresh}}
    try:
        job.execute_in_process(
            run_id=run_id,
            instance=instance,
            tags=range_tags(first, last, triggered_by) | NO_RETRY,
            asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
            run_config={"ops": {"responses": extraction, "item_fits": extraction}, **QUIET_LOG},
        )
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as interruption:
        _tell(interruption, last, heartbeat)
        raise KeyboardInterrupt from interruption
    except dg.Failure:
        pass  # a night published nothing: the run log says which, and why
    except Exception as error:
        # An error that is raised here has passed the job's hook by. Dagster isn't asked about the
        # run: its database may be what failed.
        _tell(error, last, heartbeat)
        mendable = mendable_cause(error)
        if mendable is None or mendable is error:
            raise
        raise mendable from error
    return run_id


def _require_partitions(job: dg.JobDefinition, first: date, last: date) -> None:
    keys = job.partitions_def.get_partition_keys() if job.partitions_def else []
    if not keys:
        raise BadInputError(
            "there is no night to calibrate yet: set CALIBRATION_FIRST_DAY to a day in the past"
        )
    for day in (first, last):
        if not keys[0] <= day.isoformat() <= keys[-1]:
            raise BadInputError(
                f"{day} is not a night that can be calibrated: nights run from {keys[0]} to "
                f"{keys[-1]}, and CALIBRATION_FIRST_DAY sets the first"
            )


def _tell(error: BaseException, night: date, heartbeat: Heartbeat) -> None:
    for warning in tell_of_crash(error, night, heartbeat):
        dg.get_dagster_logger().warning(warning)
