"""What is published, and what the audit of it found."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from calibration_pipeline.records.arrays import ItemKey
from calibration_pipeline.records.states import ScaleLink


@dataclass(frozen=True)
class SnapshotItem:
    """One item of a published version, on the reporting scale (the snapshot's D).

    `covariance` is the flattened 3 × 3 matrix of φ; `track` is 'provisional' or 'trusted';
    `source` is 'anchor', 'fitted', 'carried' or 'author'.
    """

    key: ItemKey
    scale: str
    discrimination: float
    difficulty: float
    guessing: float
    discrimination_se: float
    difficulty_se: float
    guessing_se: float
    covariance: tuple[float, ...]
    track: str
    source: str
    window_count: int
    total_count: int
    at_bound: str


@dataclass(frozen=True)
class SnapshotDraft:
    """A version before publication gives it a number, a digest and a time.

    `parent_version` is what `current` pointed at when the run began, or what the run has moved it
    to: publication requires that it still does. None before the first publication.
    """

    partition: date
    attempt: int
    parent_version: int | None
    scaling_constant: float
    window_start: date
    window_end: date
    run_id: str
    configuration: dict[str, Any]
    package_versions: dict[str, str]
    data_digest: str
    links: tuple[ScaleLink, ...]
    population: dict[str, dict[str, float]]


@dataclass(frozen=True)
class SnapshotManifest:
    """What a version is and where it came from."""

    version: int
    partition: date
    attempt: int
    parent_version: int | None
    scaling_constant: float
    window_start: date
    window_end: date
    run_id: str
    configuration: dict[str, Any]
    package_versions: dict[str, str]
    data_digest: str
    links: tuple[ScaleLink, ...]
    population: dict[str, dict[str, float]]
    content_digest: str
    published_at: datetime


@dataclass(frozen=True)
class AuditFinding:
    """One rule of the publication audit and what it found."""

    rule: str
    passed: bool
    detail: str
