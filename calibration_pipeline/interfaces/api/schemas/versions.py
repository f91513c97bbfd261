"""What readers of published versions get."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from calibration_pipeline.interfaces.api.schemas.common import Schema

_DISCRIMINATION = "Discrimination a, per unit of ability θ, stated for `scaling_constant` D."
_SE = "Its standard error, in the same unit; null where none is known."


class Item(Schema):
    """An item of a version: P(θ) = c + (1 − c) / (1 + exp(−D·a·(θ − b)))."""

    version: int = Field(description="Number of the version.")
    scaling_constant: float = Field(description="D, a pure number: 1 or 1.7, say.")
    item_id: str = Field(description="The item.")
    content_version: int = Field(description="Which wording of the item, from 1.")
    scale: str = Field(description="Scale that θ and b are measured on; never compare across.")
    discrimination: float = Field(description=_DISCRIMINATION)
    difficulty: float = Field(description="Difficulty b, in units of ability θ.")
    guessing: float = Field(description="Guessing c: a probability, 0 to 1.")
    discrimination_se: float | None = Field(description=_SE)
    difficulty_se: float | None = Field(description=_SE)
    guessing_se: float | None = Field(description=_SE)
    track: Literal["provisional", "trusted"] = Field(
        description="Whether the item has had answers enough to be trusted."
    )
    source: Literal["anchor", "fitted", "carried", "author"] = Field(
        description="Where the values come from: held as an anchor, fitted that night, carried "
        "over from the version before, or the author's."
    )
    window_count: int = Field(description="Answers in the night's window.")
    total_count: int = Field(description="Answers in all.")
    at_bound: str = Field(description="Parameters that stand at a bound, as in `a,c`; else empty.")
    covariance: list[float | None] = Field(
        description="Covariance of (log a, b, logit c): nine values, by rows; b in units of θ."
    )


class Manifest(Schema):
    """What a version says of itself."""

    version: int = Field(description="Its number, from 1.")
    partition: date = Field(description="Local day of the night that made it (ISO 8601).")
    attempt: int = Field(description="Which try at that night, from 1.")
    parent_version: int | None = Field(description="The version it followed; null for the first.")
    scaling_constant: float = Field(description="D, which discriminations are stated for.")
    window_start: date = Field(description="First local day of the answers used (ISO 8601).")
    window_end: date = Field(description="Last local day of the answers used (ISO 8601).")
    run_id: str = Field(description="The run that made it: GET /v1/runs/{run_id}.")
    configuration: dict[str, Any] = Field(description="The settings of that run, by name.")
    package_versions: dict[str, str] = Field(description="Versions of the packages it ran with.")
    data_digest: str = Field(description="SHA-256 over the window's answers, in hexadecimal.")
    links: list[dict[str, Any]] = Field(
        description="By scale: slope (a pure number) and intercept (in units of θ) that brought "
        "the night's values onto the scale, and how they were found."
    )
    population: dict[str, Any] = Field(
        description="By scale: mean and standard deviation of ability, in units of θ."
    )
    content_digest: str = Field(description="SHA-256 of D and the items, in hexadecimal.")
    published_at: datetime = Field(description="When it was published (ISO 8601, UTC).")


class AuditRule(Schema):
    """One finding of the audit before publication."""

    rule: str = Field(description="Name of the rule.")
    passed: bool = Field(description="Whether it held.")
    detail: str = Field(description="What was found, in words.")


class VersionDocument(Schema):
    """A version without its items."""

    manifest: Manifest = Field(description="What the version says of itself.")
    audit: list[AuditRule] = Field(description="What the audit before publication found.")


class Snapshot(Schema):
    """A version whole."""

    manifest: Manifest = Field(description="What the version says of itself.")
    items: list[Item] = Field(description="Every item of the pool, by id and content version.")


class VersionSummary(Schema):
    """A version in a list."""

    version: int = Field(description="Its number, from 1.")
    is_current: bool = Field(description="Whether the alias `current` points at it.")
    partition: date = Field(description="Local day of the night that made it (ISO 8601).")
    attempt: int = Field(description="Which try at that night, from 1.")
    parent_version: int | None = Field(description="The version it followed; null for the first.")
    window_start: date = Field(description="First local day of the answers used (ISO 8601).")
    window_end: date = Field(description="Last local day of the answers used (ISO 8601).")
    scaling_constant: float = Field(description="D, which discriminations are stated for.")
    content_digest: str = Field(description="SHA-256 of D and the items, in hexadecimal.")
    run_id: str = Field(description="The run that made it.")
    published_at: datetime = Field(description="When it was published (ISO 8601, UTC).")


class VersionPage(Schema):
    """A page of versions, the newest first."""

    versions: list[VersionSummary] = Field(description="The newest first.")
    next_before: int | None = Field(
        description="Pass it as `before` for the next page; null on the last one."
    )


class ItemExposure(Schema):
    """With what probability one item may be given."""

    item_id: str = Field(description="The item.")
    content_version: int = Field(description="Which wording of the item.")
    probability: list[float] = Field(
        description="With which it is open to a candidate: one per level of ability, 0 to 1."
    )
    simulated_rate: list[float] = Field(
        description="Share of a level's simulated candidates who saw it, 0 to 1, by level."
    )
    rate_without: list[float] = Field(description="The same share without control, by level.")


class ScaleExposureTable(Schema):
    """The exposure control of a scale."""

    scale: str = Field(description="The scale.")
    method: str = Field(description="How it was found: `eligibility` or `sympson-hetter`.")
    maximum_rate: float = Field(
        description="Share of a level's candidates, 0 to 1, that may see an item."
    )
    is_reached: bool = Field(description="Whether the simulation kept every item below it.")
    cuts: list[float] = Field(
        description="Where levels of ability meet, in units of θ: level 0 is up to the first."
    )
    items: list[ItemExposure] = Field(description="By item id and content version.")


class ExposureTable(Schema):
    """With what probability the items of a version may be given."""

    version: int = Field(description="Number of the version.")
    scales: list[ScaleExposureTable] = Field(
        description="The newest control of each scale; empty where none was found (yet)."
    )
