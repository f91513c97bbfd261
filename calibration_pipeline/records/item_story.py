"""What is on record of one item: its entry in the bank, published values, and answers by day."""

from dataclasses import dataclass
from datetime import date, datetime

from calibration_pipeline.records.arrays import ItemKey
from calibration_pipeline.records.snapshots import SnapshotItem


@dataclass(frozen=True)
class BankEntry:
    """An item as it was imported; None where the bank says nothing.

    `content_versions` are all that the bank has of the item, oldest first; `model` is its scale's.
    """

    key: ItemKey
    scale: str
    model: str
    discrimination: float | None
    difficulty: float | None
    guessing: float | None
    author_difficulty: float | None
    content_family: str | None
    option_count: int | None
    added_at: datetime
    content_versions: tuple[int, ...]


@dataclass(frozen=True)
class ItemVersion:
    """An item in one published version.

    Attributes
    ----------
    version, night, published_at, scaling_constant
        Of the version; D is what its discriminations are stated for.
    item
        The values that engines read.
    infit, outfit, infit_se, outfit_se
        Mean squares of the night's answers and their standard deviations under the model; NaN
        without answers.
    is_contradicted
        What the item carried was dropped on that night.
    """

    version: int
    night: date
    published_at: datetime
    scaling_constant: float
    item: SnapshotItem
    infit: float
    outfit: float
    infit_se: float
    outfit_se: float
    is_contradicted: bool


@dataclass(frozen=True)
class DayAnswers:
    """How often an item was given on a local day; `scored` of these count, `right` were right."""

    day: date
    given: int
    scored: int
    right: int


@dataclass(frozen=True)
class NightDifficulty:
    """An item's difficulty as of a night, with its standard error; units of theta."""

    night: date
    difficulty: float
    standard_error: float
