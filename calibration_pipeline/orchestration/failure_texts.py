"""What of a failed run may be told outside: our own errors' lines, and the class of others."""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster_shared.error import SerializableErrorInfo  # what events hold; not exported

from calibration_pipeline import errors

_FAILURE = dg.Failure.__name__


def failure_text(failure: dg.DagsterEvent, steps: Sequence[dg.DagsterEvent]) -> str:
    """Say in one line why a run failed.

    Our errors, and the verdict of a night's last step, are written for people and hold neither
    secrets nor candidates. Any other error may quote both: of that one its class is told.

    Parameters
    ----------
    failure
        The event that ended the run.
    steps
        The failures of its steps, in order; none where the run ended outside of them.
    """
    for step in steps:
        if (data := step.step_failure_data) and data.error:
            where = f"in {step.step_key}: " if step.step_key else ""
            return f"{where}{_error_text(data.error, data.user_failure_data)}"
    error = failure.job_failure_data.error if failure.event_specific_data else None
    if error is not None:
        return _error_text(error, None)
    return "its process ended, or Dagster stopped it: the log of the run says more"


def _error_text(error: SerializableErrorInfo, verdict: object) -> str:
    if (said := getattr(verdict, "description", None)) and error.cls_name == _FAILURE:
        return str(said)
    causes = tuple(_causes(error))
    for cause in causes:
        if cause.cls_name == _FAILURE or cause.cls_name in _own_names():
            return _after_the_class(cause.message)
    return f"{causes[-1].cls_name}: the log of the run says more"


def _causes(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause


def _own_names() -> frozenset[str]:
    def below(kind: type[Exception]) -> Iterator[str]:
        yield kind.__name__
        for child in kind.__subclasses__():
            yield from below(child)

    return frozenset(below(errors.CalibrationError))


def _after_the_class(message: str) -> str:
    """Drop ``package.module.Class: `` in front of an error's own text."""
    head, colon, text = message.partition(": ")
    return " ".join((text if colon and " " not in head else message).split())
