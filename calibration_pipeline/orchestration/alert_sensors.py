"""The sensors that raise alerts: a run has failed, or a night is overdue.

They run in Dagster's daemon, which is the one thing that they can't watch: a daemon that is off is
for an outside watchdog to notice (`heartbeat`).
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from calibration_pipeline.alerts.alert import Alert
from calibration_pipeline.alerts.delivery import Alerts
from calibration_pipeline.errors import CalibrationError, DatabaseUnavailableError
from calibration_pipeline.orchestration.failure_texts import failure_text
from calibration_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from calibration_pipeline.policy.overdue import Deadlines, Overdue, due_night, find_overdue
from calibration_pipeline.records import Freshness

FAILURES = "failed_runs_alert"
OVERDUE = "overdue_nights_alert"
OVERDUE_SECONDS = 300
"""Between two looks at what is overdue."""

ReadFreshness = Callable[[], Freshness]
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def failed_runs_sensor(alerts: Alerts, ui_url: str | None) -> dg.SensorDefinition:
    """Tell of every failed run of this project, once, unless Dagster tries it again.

    Parameters
    ----------
    ui_url
        Where the web interface is, for the link; None: there is none.
    """

    @dg.run_failure_sensor(
        name=FAILURES,
        default_status=_status(alerts),
        minimum_interval_seconds=30,
        description="Tells of a failed run by the sinks of CALIBRATION_ALERT__SINKS.",
    )
    def sensor(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        run = context.dagster_run
        if run.tags.get(WILL_RETRY_TAG) == "true":
            return dg.SkipReason(f"Run {run.run_id[:8]} is tried again: nobody is told yet.")
        why = failure_text(context.failure_event, context.get_step_failure_events())
        alert = Alert("run failed", f"{_run_name(run)} failed {why}", run_url(ui_url, run.run_id))
        return _said(alert.line, alerts.tell(alert))

    return sensor


def overdue_nights_sensor(
    alerts: Alerts,
    read_freshness: ReadFreshness,
    deadlines: Deadlines,
    ui_url: str | None,
    clock: Clock = _now,
) -> dg.SensorDefinition:
    """Tell of a night that isn't accepted by its deadline, and of a version that is too old.

    A case is told once for each day that it lasts. A sink that couldn't be told is tried again on
    the next look; what each knows is the sensor's cursor.
    """

    @dg.sensor(
        name=OVERDUE,
        default_status=_status(alerts),
        minimum_interval_seconds=OVERDUE_SECONDS,
        description=f"Tells of a night that isn't accepted by {deadlines.deadline_hour:02d}:00 "
        f"{deadlines.timezone.key}, and of a version in force that is too old.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now, told = clock(), _told_before(context.cursor)
        try:
            cases = find_overdue(read_freshness(), now, deadlines)
        except DatabaseUnavailableError as error:
            cases = (_unknown(error, now, deadlines),)
            if cases[0].key not in told:  # a restart takes less than the time to the next look
                cursor = json.dumps({cases[0].key: []})
                return dg.SensorResult(cursor=cursor, skip_reason=f"Looked in vain: {error}")
        except CalibrationError as error:
            return dg.SkipReason(f"Whether a night is overdue can't be told: {error}")
        known: dict[str, list[str]] = {}
        outcomes = {}
        for case in cases:
            alert = Alert(case.kind, case.text, _fits_url(ui_url), now)
            outcomes[case.key] = alerts.tell(alert, told=told.get(case.key, ()))
            reached = [name for name, why in outcomes[case.key].items() if not why]
            known[case.key] = [*told.get(case.key, ()), *reached]
        return dg.SensorResult(
            cursor=json.dumps(known), skip_reason=_summary(cases, outcomes, known)
        )

    return sensor


def run_url(ui_url: str | None, run_id: str) -> str:
    """Where a run is in the web interface; empty if nobody has said where that is."""
    return f"{ui_url.rstrip('/')}/runs/{run_id}" if ui_url else ""


def _fits_url(ui_url: str | None) -> str:
    return f"{ui_url.rstrip('/')}/assets/item_fits" if ui_url else ""


def _status(alerts: Alerts) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if alerts.sinks else dg.DefaultSensorStatus.STOPPED


def _run_name(run: dg.DagsterRun) -> str:
    """Name a run by its job and its nights; a run of chosen assets has Dagster's own job."""
    job = "a run of chosen assets" if run.job_name.startswith("__") else run.job_name
    first = run.tags.get(RANGE_START) or run.tags.get("dagster/partition")
    last = run.tags.get(RANGE_END) or first
    if first is None:
        return f"{job} (run {run.run_id[:8]})"
    nights = first if first == last else f"{first} to {last}"
    return f"{job} of {nights} (run {run.run_id[:8]})"


def _unknown(error: DatabaseUnavailableError, now: datetime, deadlines: Deadlines) -> Overdue:
    """Not to know whether a night was done is as bad as that it wasn't; told once a day."""
    return Overdue(f"unknown {due_night(now, deadlines)}", "database unavailable", str(error))


def _told_before(cursor: str | None) -> dict[str, list[str]]:
    """Which sinks know of which case; a cursor that somebody else wrote counts as none."""
    try:
        found = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _summary(
    cases: tuple[Overdue, ...], outcomes: dict[str, dict[str, str]], known: dict[str, list[str]]
) -> str:
    if not cases:
        return "Nothing is overdue."
    new = [name for outcome in outcomes.values() for name, why in outcome.items() if not why]
    texts = "; ".join(case.text for case in cases)
    everyone = ", ".join(sorted({name for names in known.values() for name in names})) or "nobody"
    return f"{texts} (told now: {', '.join(new) or 'nobody'}; in all: {everyone})"


def _said(line: str, outcome: dict[str, str]) -> dg.SkipReason:
    failed = [f"{name}: {why}" for name, why in outcome.items() if why]
    told = [name for name, why in outcome.items() if not why]
    missing = f"; not delivered: {', '.join(failed)}" if failed else ""
    return dg.SkipReason(f"{line} (told: {', '.join(told) or 'nobody'}{missing})")
