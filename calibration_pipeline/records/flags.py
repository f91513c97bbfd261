"""What nights noticed about items, and what became of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime

from calibration_pipeline.records.arrays import ItemKey

FLAG_REASONS = (
    "difficulty_drift",
    "reference_drift",
    "carried_contradicted",
    "guessing_rise",
    "low_discrimination",
    "misfit_infit",
    "misfit_outfit",
    "anchor_drift",
    "estimate_at_bound",
    "differential_functioning",
    "suspected_leak",
)
"""Every reason for which an item is flagged, as it is stored."""


@dataclass(frozen=True)
class Flag:
    """A verdict on one item: what was seen, compared with what, and whether it is credible.

    `compared_with` says in words what `reference` is, and `compared_on` which night or day it is
    of; None where it has no date, as a setting has none.
    """

    key: ItemKey
    reason: str
    value: float
    reference: float
    threshold: float
    z: float
    is_credible: bool
    explanation: str
    compared_with: str = ""
    compared_on: date | None = None


@dataclass(frozen=True)
class ItemNight:
    """What a night had to judge an item by: its answers in the window, and how it took part.

    `is_compared` says whether it was compared between population groups.
    """

    window_count: int
    is_updated: bool
    is_anchor: bool
    is_compared: bool


@dataclass(frozen=True)
class FlagNight:
    """One accepted night in the history of flags.

    Attributes
    ----------
    partition
        The night.
    flags
        Its flags, of the items and reasons that the history is about.
    items
        What it had to judge those items by; an item that the bank lacked then is missing.
    """

    partition: date
    flags: tuple[Flag, ...]
    items: dict[ItemKey, ItemNight]


@dataclass(frozen=True)
class FlagEpisode:
    """One stretch of nights on which an item was flagged for a reason.

    Attributes
    ----------
    key, reason
        What it is about.
    seen
        Every night with a flag that opened or kept it, with the flag, oldest first.
    resolved_on
        The night on which it was found to be over; None while it lasts.
    """

    key: ItemKey
    reason: str
    seen: tuple[tuple[date, Flag], ...]
    resolved_on: date | None = None

    @property
    def opened_on(self) -> date:
        """The first night."""
        return self.seen[0][0]

    @property
    def last_seen(self) -> date:
        """The newest night with a flag."""
        return self.seen[-1][0]

    @property
    def newest(self) -> Flag:
        """The newest flag."""
        return self.seen[-1][1]


@dataclass(frozen=True)
class FlagDecision:
    """A reviewer's decision on one item's flag of one reason.

    Attributes
    ----------
    key, flag_reason
        What it is about.
    decision
        'acknowledge', 'dismiss' or 'reopen'.
    night
        The newest night whose flags the reviewer had seen; it holds from the next one on.
    evidence
        |z| of the flag on that night.
    reason, decided_by
        Why, and who.
    decided_at
        When it was recorded.
    """

    key: ItemKey
    flag_reason: str
    decision: str
    night: date
    evidence: float
    reason: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True)
class FlagReview:
    """How an item's flag of one reason stands with the reviewers.

    Attributes
    ----------
    episode
        The newest one.
    status
        'open', 'acknowledged', 'dismissed', 'resolved' or 'retired' (the item is).
    since
        The night from which it has this status.
    decision
        The decision behind it; None if nobody has decided anything that still holds.
    """

    episode: FlagEpisode
    status: str
    since: date
    decision: FlagDecision | None = None


@dataclass(frozen=True)
class FlagCounts:
    """What a person is told of a night's flags, in the same words everywhere.

    Attributes
    ----------
    open
        Open or acknowledged, new ones included: what `calibrate flags list` shows.
    new
        Of these, waiting for a reviewer since this very night.
    resolved
        Found on this night to be over.
    """

    open: int
    new: int
    resolved: int

    def named(self) -> dict[str, int]:
        """As the run log holds them, beside a night's other counts."""
        return {f"flags_{name}": number for name, number in asdict(self).items()}

    @classmethod
    def from_named(cls, counts: Mapping[str, int]) -> "FlagCounts | None":
        """Find them among a night's counts; None of a night that was not searched for flags."""
        names = [f"flags_{field.name}" for field in fields(cls)]
        return cls(*(counts[name] for name in names)) if all(n in counts for n in names) else None

    def __str__(self) -> str:
        """'3 flags open, 1 new, 2 resolved'."""
        flags = "flag" if self.open == 1 else "flags"
        return f"{self.open:,} {flags} open, {self.new:,} new, {self.resolved:,} resolved"
