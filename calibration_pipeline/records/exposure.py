"""With what probability items may be given, and what engines report of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calibration_pipeline.records.arrays import FloatArray, ItemKey


@dataclass(frozen=True)
class ScaleExposure:
    """The exposure control of one scale's items under one published version.

    Attributes
    ----------
    scale
        Whose items.
    method
        'eligibility' or 'sympson-hetter'.
    maximum_rate
        Share of the candidates, of each level if there are several, that may see an item.
    settings
        All that the result follows from besides the version: found again by the same ones.
    cuts
        Between the levels of ability, ascending; none for one level.
    keys
        One ``(item_id, content_version)`` per item.
    probability
        ``(n_levels, n_items)`` with which an item is open to a candidate.
    rates, rates_without
        ``(n_levels, n_items)`` share of a level's simulated candidates that saw an item, with
        control and without.
    mean_length
        Items of a simulated test.
    mean_sd, mean_sd_without
        Mean posterior standard deviation of ability at a test's end, with control and without.
    candidates
        Of the independent simulation that gave these figures.
    cycles
        Of the search before it.
    is_reached
        Whether no rate lies above the maximum by more than the tolerance, or than chance explains.
    attempt
        Number under which the version has it, by scale; 0 until it is stored.
    """

    scale: str
    method: str
    maximum_rate: float
    settings: Mapping[str, Any]
    cuts: tuple[float, ...]
    keys: tuple[ItemKey, ...]
    probability: FloatArray
    rates: FloatArray
    rates_without: FloatArray
    mean_length: float
    mean_sd: float
    mean_sd_without: float
    candidates: int
    cycles: int
    is_reached: bool
    attempt: int = 0

    @property
    def worst_rate(self) -> float:
        """The highest rate of any item at any level."""
        return float(self.rates.max())

    @property
    def worst_rate_without(self) -> float:
        """The same without control."""
        return float(self.rates_without.max())

    @property
    def precision_lost(self) -> float:
        """Relative growth of the mean posterior standard deviation of ability."""
        return self.mean_sd / self.mean_sd_without - 1.0

    @property
    def items_held_back(self) -> int:
        """How many items aren't open to everybody."""
        return int((self.probability.min(axis=0) < 1.0).sum())


@dataclass(frozen=True)
class ItemProposals:
    """How often an engine drew whether an item is open, and how often it was.

    Attributes
    ----------
    version, attempt
        Whose probabilities it drew with: the newest ones when the session began.
    key
        The item.
    level
        Level of ability, from 0, when it came up first.
    proposed
        Candidates for whom the item came up, each counted once, when it did first.
    given
        To how many of them it was open then.
    """

    version: int
    attempt: int
    key: ItemKey
    level: int
    proposed: int
    given: int
