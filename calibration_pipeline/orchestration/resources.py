"""What assets are given: the store under its lock, the configuration, and the night's log.

Resources are plain objects, made when a run starts and never at import; no credential is ever in
a resource's configuration, where the UI would show it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from calibration_pipeline.orchestration.night_log import NightLog, Report, silent
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.store.calibration_store import CalibrationStore

TRIGGERED_BY = "calibration/triggered_by"
"""Run tag that says who or what started a run."""

OpenStore = Callable[[str, str], CalibrationStore]
"""Opens the store for (who triggered the run, Dagster's run id); it isn't locked yet."""


def build_resources(
    open_store: OpenStore,
    configuration: CalibrationConfiguration,
    report_folder: Path,
    report: Report = silent,
) -> dict[str, Any]:
    """Resources for `dagster.Definitions`."""
    return {
        "store": dg.ResourceDefinition(resource_fn=_locked_store(open_store)),
        "configuration": dg.ResourceDefinition.hardcoded_resource(configuration),
        "report_folder": dg.ResourceDefinition.hardcoded_resource(report_folder),
        "night_log": dg.ResourceDefinition(resource_fn=lambda _: NightLog(report)),
    }


def _locked_store(
    open_store: OpenStore,
) -> Callable[[dg.InitResourceContext], Iterator[CalibrationStore]]:
    """Hold the calibration lock for as long as the run lives."""

    def locked_store(context: dg.InitResourceContext) -> Iterator[CalibrationStore]:
        run = context.run
        tags = run.tags if run else {}
        trigger = tags.get(TRIGGERED_BY) or tags.get("user") or "dagster"
        with open_store(trigger, run.run_id if run else "none") as store:
            yield store

    return locked_store
