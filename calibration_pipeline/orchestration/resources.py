"""What assets are given: the store under its lock, the configuration, and the night's log.

Resources are plain objects, made when a run starts and never at import; no credential is ever in
a resource's configuration, where the UI would show it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from calibration_pipeline.irt.local_engine import LOCAL
from calibration_pipeline.irt.shards import Engine
from calibration_pipeline.orchestration.failures import see_to_failure
from calibration_pipeline.orchestration.heartbeat import Heartbeat, no_heartbeat
from calibration_pipeline.orchestration.night_log import NightLog, Report, silent
from calibration_pipeline.orchestration.report_reading import ReportOptions
from calibration_pipeline.orchestration.retries import (
    PATIENCE_SECONDS,
    may_be_retried,
    patiently,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.store.calibration_store import CalibrationStore

JOB = "nightly_calibration"
"""The job over the whole chain."""
LAST_STEP = "night_outcome"
"""The asset that says how a night ended."""
TRIGGERED_BY = "calibration/triggered_by"
"""Run tag that says who or what started a run."""

INTERRUPTED = "interrupted"
"""Why a night failed whose run somebody stopped: Ctrl-C, or the button in the UI."""

OpenStore = Callable[[str, str], CalibrationStore]
"""Opens the store for (who triggered the run, Dagster's run id); it isn't locked yet."""
OpenReader = Callable[[], CalibrationStore]
"""Opens a store that only reads, and takes no lock."""
OpenEngine = Callable[[], AbstractContextManager[Engine]]
"""Opens where passes over the answers run."""


def in_this_process() -> AbstractContextManager[Engine]:
    """Run passes on the threads of this process."""
    return nullcontext(LOCAL)


def build_resources(
    open_store: OpenStore,
    configuration: CalibrationConfiguration,
    report_folder: Path,
    report: Report = silent,
    heartbeat: Heartbeat = no_heartbeat,
    open_reader: OpenReader | None = None,
    report_options: ReportOptions = ReportOptions(),  # noqa: B008 - frozen
    open_engine: OpenEngine = in_this_process,
) -> dict[str, Any]:
    """Resources for `dagster.Definitions`.

    Parameters
    ----------
    open_reader
        Opens what cross-checks read from; None where they aren't run.
    report_options
        What nights' pages draw.
    open_engine
        Opens where the night's passes over its answers run.
    """
    return {
        "store": dg.ResourceDefinition(resource_fn=_locked_store(open_store, heartbeat)),
        "configuration": dg.ResourceDefinition.hardcoded_resource(configuration),
        "heartbeat": dg.ResourceDefinition.hardcoded_resource(heartbeat),
        "report_folder": dg.ResourceDefinition.hardcoded_resource(report_folder),
        "report_options": dg.ResourceDefinition.hardcoded_resource(report_options),
        "night_log": dg.ResourceDefinition(resource_fn=lambda _: NightLog(report)),
        "engine": dg.ResourceDefinition(resource_fn=_engine(open_engine)),
        "reader": dg.ResourceDefinition(resource_fn=_reading(open_reader)),
    }


def _reading(
    open_reader: OpenReader | None,
) -> Callable[[dg.InitResourceContext], Iterator[CalibrationStore]]:
    """Read without the lock: what is checked after a night must not keep the next one waiting."""

    def reading(_context: dg.InitResourceContext) -> Iterator[CalibrationStore]:
        if open_reader is None:
            raise RuntimeError("these definitions have no store to read from")
        with open_reader() as reader:
            yield reader

    return reading


def _engine(
    open_engine: OpenEngine,
) -> Callable[[dg.InitResourceContext], Iterator[Engine]]:
    def engine(_context: dg.InitResourceContext) -> Iterator[Engine]:
        with open_engine() as opened:
            yield opened

    return engine


def _is_partial(run: dg.DagsterRun | None) -> bool:
    """Whether a run leaves out the last step, which says how its nights ended."""
    chosen = (run.asset_selection if run else None) or ()  # none named: the whole job
    return bool(chosen) and dg.AssetKey(LAST_STEP) not in chosen


def _locked_store(
    open_store: OpenStore, heartbeat: Heartbeat
) -> Callable[[dg.InitResourceContext], Iterator[CalibrationStore]]:
    """Hold the calibration lock for as long as the run lives."""

    def locked_store(context: dg.InitResourceContext) -> Iterator[CalibrationStore]:
        run = context.run
        tags = run.tags if run else {}
        trigger = tags.get(TRIGGERED_BY) or tags.get("user") or "dagster"

        def entered() -> CalibrationStore:
            opened = open_store(trigger, run.run_id if run else "none")
            opened.context = replace(opened.context, is_partial=_is_partial(run))
            try:
                return opened.__enter__()
            except BaseException:
                opened.engine.dispose()
                raise

        try:
            # Somebody who waits for the run is told at once; a scheduled one has time.
            patience = PATIENCE_SECONDS if may_be_retried(tags) else 0.0
            store = patiently(entered, patience_seconds=patience)
        except Exception as error:
            # A run that is launched in this process is seen to by who launched it.
            if run and run.job_name == JOB and context.instance and may_be_retried(tags):
                for warning in see_to_failure(context.instance, run, error, heartbeat):
                    dg.get_dagster_logger().warning(warning)
            raise
        with ExitStack() as stack:
            stack.push(store)
            stack.callback(_note_interrupt, store)
            yield store

    return locked_store


def _note_interrupt(store: CalibrationStore) -> None:
    """Tell the store that somebody stopped the run, in a step or between two of them.

    Dagster puts resources away while what ends the run is on its way up.
    """
    if isinstance(sys.exception(), KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
        store.note_failure(INTERRUPTED)
