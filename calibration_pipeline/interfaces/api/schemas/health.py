"""What probes get."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from calibration_pipeline.interfaces.api.schemas.common import Schema


class Liveness(Schema):
    """The process answers."""

    status: Literal["alive"] = Field(description="Always `alive`.")


class Readiness(Schema):
    """Whether the service can do its work."""

    is_ready: bool = Field(description="The database answers, with the tables of this program.")
    reason: str = Field(description="What is in the way, as a kind of error; empty if ready.")
    current_version: int | None = Field(
        default=None, description="The version that `current` points at; null before the first."
    )
    published_at: datetime | None = Field(
        default=None, description="When that version was published (ISO 8601, UTC)."
    )
    age_seconds: int | None = Field(
        default=None, description="Seconds since then, of this machine's clock."
    )
