"""Priors of new items that calibrated ones taught."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from calibration_pipeline.records.arrays import BoolArray, FloatArray, ItemKey


@dataclass(frozen=True)
class ScaleItemPriors:
    """What was learned of one scale's items.

    Attributes
    ----------
    scale
        Its name.
    families
        Content families that taught, in the order of their effects.
    draws
        The hierarchy's draws, by the names of `irt.item_hierarchy.HierarchyDraws`: an item that
        was imported after the fit gets its prior from them.
    keys
        The scale's items when it was fitted, in the bank's order.
    mean, covariance
        ``(n_items, 3)`` and ``(n_items, 3, 3)`` prior of φ = (log a, b, logit c) of each, made
        without its own answers.
    teaches
        ``(n_items,)`` the item was among those that were learned from.
    diagnostics
        What says whether the fit can be trusted, and what it found.
    """

    scale: str
    families: tuple[str, ...]
    draws: Mapping[str, FloatArray]
    keys: tuple[ItemKey, ...]
    mean: FloatArray
    covariance: FloatArray
    teaches: BoolArray
    diagnostics: Mapping[str, Any]


@dataclass(frozen=True)
class ItemPriorFit:
    """A version of the priors, accepted or rejected; nights use accepted ones alone.

    Attributes
    ----------
    state
        ``(partition, attempt)`` of the accepted night that taught.
    effective_from
        First night that may use it: the one after `state`.
    is_accepted, reasons
        The verdict; the reasons say why it was rejected.
    scales
        One entry per scale with enough teachers.
    seed
        Of the random numbers.
    settings
        By which it was fitted and judged.
    digest
        SHA-256 of all of the above.
    number
        Under which it is stored; None before.
    """

    state: tuple[date, int]
    effective_from: date
    is_accepted: bool
    reasons: tuple[str, ...]
    scales: tuple[ScaleItemPriors, ...]
    seed: int
    settings: Mapping[str, Any]
    digest: str
    number: int | None = None

    def of_scale(self, name: str) -> ScaleItemPriors | None:
        """Give what was learned of a scale; None if it had too few teachers."""
        return next((found for found in self.scales if found.scale == name), None)

    def stored_as(self, number: int) -> "ItemPriorFit":
        """Give the same with its number."""
        return replace(self, number=number)
