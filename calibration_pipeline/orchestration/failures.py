"""What happens when a run of the nightly job fails: is it tried again, and who is told."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from calibration_pipeline.errors import (
    CalibrationError,
    DatabaseUnavailableError,
    LockHeldError,
)
from calibration_pipeline.orchestration.heartbeat import Beat, Heartbeat
from calibration_pipeline.orchestration.partitions import RANGE_END
from calibration_pipeline.orchestration.retries import (
    causes_of,
    forbid_retry,
    is_passing,
    retries_left,
)
from calibration_pipeline.store.connection import failure_of_another_driver


@dg.failure_hook(required_resource_keys={"heartbeat"})
def after_a_failed_step(context: dg.HookContext) -> None:
    """See to a run whose step failed; a verdict of its last step has been told already."""
    error, run = context.op_exception, context.instance.get_run_by_id(context.run_id)
    if run is None or error is None:
        return
    is_verdict = isinstance(error, dg.Failure)
    heartbeat: Heartbeat | None = None if is_verdict else context.resources.heartbeat
    for warning in see_to_failure(context.instance, run, error, heartbeat):
        context.log.warning(warning)


def in_one_line(error: BaseException) -> str:
    """Say for the run log why a run failed; other errors than ours may quote what is secret."""
    ours = mendable_cause(error)
    if ours is not None:
        return str(ours)
    *_, root = causes_of(error)
    return f"{type(root).__name__}: Dagster's log of the run says more"


def mendable_cause(error: BaseException) -> CalibrationError | None:
    """Give what a person can mend about a failure, in its one line; None if that isn't known.

    Dagster's database fails in its own words. Mostly it is lost together with ours, while Dagster
    records how ours failed: what was being handled then is the cause.
    """
    causes = tuple(causes_of(error))
    ours = next((cause for cause in causes if isinstance(cause, CalibrationError)), None)
    if ours is not None:
        return ours
    said = next(filter(None, map(failure_of_another_driver, causes)), None)
    if said is None:
        return None
    return next(
        (handled for handled in _handled_by(error) if isinstance(handled, CalibrationError)),
        DatabaseUnavailableError(
            f"Dagster's database can't be used ({said}): start it, or correct "
            "CALIBRATION_DAGSTER_DATABASE_URL (where that is unset, CALIBRATION_DATABASE_URL)"
        ),
    )


def _handled_by(error: BaseException) -> Iterator[BaseException]:
    """Yield what was being handled when an error was raised, and when that was, and so on."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def see_to_failure(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    error: BaseException,
    heartbeat: Heartbeat | None,
) -> list[str]:
    """Forbid the retry of a failure that wouldn't pass, and tell the watchdog of a crash.

    While a retry follows, nothing is told: it may well publish. Nor is it where another calibration
    keeps the run waiting: that one will tell.

    Returns
    -------
    list of str
        Warnings of the heartbeat.
    """
    if not is_passing(error):
        forbid_retry(instance, run.run_id)
    elif instance.run_retries_enabled and retries_left(run.tags) > 0:
        return []
    night = run.tags.get(RANGE_END) or run.tags.get("dagster/partition")
    if heartbeat is None or night is None:
        return []
    return tell_of_crash(error, date.fromisoformat(night), heartbeat)


def tell_of_crash(error: BaseException, night: date, heartbeat: Heartbeat) -> list[str]:
    """Tell the watchdog that a run crashed; one that another calibration refused leaves it to that.

    Returns
    -------
    list of str
        Warnings of the heartbeat.
    """
    if any(isinstance(cause, LockHeldError) for cause in causes_of(error)):
        return []
    return heartbeat(Beat(night, "failed"))
