"""The run log."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from calibration_pipeline.interfaces.api.schemas.common import Schema


class RunSummary(Schema):
    """One try at a night."""

    run_id: str = Field(description="Its id (a UUID).")
    night: date = Field(description="The local day it calibrated (ISO 8601).")
    triggered_by: str = Field(description="A schedule, a person or a command.")
    outcome: str = Field(description="How it ended; `under way` while it hasn't.")
    reason: str = Field(description="Why it ended so, where there is something to say.")
    started_at: datetime = Field(description="When it began (ISO 8601, UTC).")
    finished_at: datetime | None = Field(description="When it ended (ISO 8601, UTC), if it has.")
    counts: dict[str, int] = Field(description="Numbers of what it handled, by name.")
    timings: dict[str, float] = Field(description="Seconds, by step.")
    orchestrator_run_id: str | None = Field(
        description="Dagster's run, which may hold many nights."
    )


class Run(RunSummary):
    """One try at a night, with what it ran with."""

    package_versions: dict[str, str] = Field(description="Versions of packages, by name.")
    configuration: dict[str, Any] = Field(description="The settings it ran with, by name.")


class RunPage(Schema):
    """Runs, the newest first."""

    runs: list[RunSummary] = Field(description="The newest first.")
