"""How new what engines read is."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class Freshness:
    """The newest night that was accepted, and the version in force.

    Attributes
    ----------
    accepted_night
        None before the first.
    version, published_at
        What the alias `current` points at, and since when that version is published; None before
        the first publication.
    """

    accepted_night: date | None
    version: int | None
    published_at: datetime | None
