"""What changed between two versions: items that came, went, moved, or are trusted otherwise."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from calibration_pipeline.policy.item_movement import difficulty_movement, in_standard_errors
from calibration_pipeline.policy.publication import PROVISIONAL, TRUSTED
from calibration_pipeline.records import ItemKey, SnapshotItem

Presence = Literal["both", "came", "went"]


@dataclass(frozen=True)
class Shift:
    """By how much a parameter moved, and that in units of the larger published standard error."""

    by: float
    in_standard_errors: float


@dataclass(frozen=True)
class ItemChange:
    """One item in two versions; one of the two is None where it came or went.

    Attributes
    ----------
    before, after
        As published.
    difficulty, discrimination, guessing
        Shifts from `before` to `after`; None unless the item is in both. Discriminations are
        compared as D · a, stated with the D of the version before.
    """

    before: SnapshotItem | None
    after: SnapshotItem | None
    difficulty: Shift | None = None
    discrimination: Shift | None = None
    guessing: Shift | None = None

    @property
    def item(self) -> SnapshotItem:
        """The item as it stands in the later version, or stood last."""
        item = self.after or self.before
        if item is None:
            raise ValueError("an item has to be in one of the two versions")
        return item

    @property
    def key(self) -> ItemKey:
        """Which item this is."""
        return self.item.key

    @property
    def presence(self) -> Presence:
        """Whether it is in both versions."""
        if self.before is None:
            return "came"
        return "went" if self.after is None else "both"

    @property
    def graduated(self) -> bool:
        """Trusted after, and not before."""
        return self._tracks == (PROVISIONAL, TRUSTED)

    @property
    def became_provisional(self) -> bool:
        """Trusted before, and not after."""
        return self._tracks == (TRUSTED, PROVISIONAL)

    @property
    def source_changed(self) -> bool:
        """Its values come from somewhere else."""
        return bool(self.before and self.after and self.before.source != self.after.source)

    @property
    def moved(self) -> bool:
        """A parameter has another value, however close."""
        shifts = (self.difficulty, self.discrimination, self.guessing)
        return any(shift is not None and shift.by != 0.0 for shift in shifts)

    @property
    def _tracks(self) -> tuple[str | None, str | None]:
        return (
            self.before.track if self.before else None,
            self.after.track if self.after else None,
        )


@dataclass(frozen=True)
class VersionDiff:
    """Every item of either version, the largest shift in difficulty first."""

    items: tuple[ItemChange, ...]

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many items there are of each kind of change, by name."""
        found = self.items

        def count(wanted: Iterable[bool]) -> int:
            return sum(wanted)

        return {
            "compared": count(change.presence == "both" for change in found),
            "moved": count(change.moved for change in found),
            "graduated": count(change.graduated for change in found),
            "became_provisional": count(change.became_provisional for change in found),
            "source_changed": count(change.source_changed for change in found),
            "came": count(change.presence == "came" for change in found),
            "went": count(change.presence == "went" for change in found),
        }

    def changes(self, moved_by: float = 0.0) -> tuple[ItemChange, ...]:
        """Leave out the items in which nothing changed.

        Parameters
        ----------
        moved_by
            Shift in difficulty, in units of theta, below which a move alone is no change; with 0
            any other value of any parameter is one.
        """
        return tuple(
            change
            for change in self.items
            if change.presence != "both"
            or change.graduated
            or change.became_provisional
            or change.source_changed
            or (change.moved if moved_by == 0.0 else _size(change) >= moved_by)
        )


def diff_versions(
    before: Sequence[SnapshotItem],
    after: Sequence[SnapshotItem],
    scaling_constants: tuple[float, float] = (1.0, 1.0),
) -> VersionDiff:
    """Compare two versions item by item.

    Parameters
    ----------
    before, after
        The items of each version, in any order.
    scaling_constants
        The D that each version's discriminations are stated in.
    """
    earlier, later = ({item.key: item for item in items} for items in (before, after))
    restated = scaling_constants[1] / scaling_constants[0]
    changes = [_change(earlier.get(key), later.get(key), restated) for key in {**earlier, **later}]
    return VersionDiff(tuple(sorted(changes, key=lambda c: (-_size(c), c.key))))


def _change(before: SnapshotItem | None, after: SnapshotItem | None, restated: float) -> ItemChange:
    if before is None or after is None:
        return ItemChange(before, after)
    discrimination = after.discrimination * restated - before.discrimination
    guessing = after.guessing - before.guessing
    return ItemChange(
        before,
        after,
        Shift(*difficulty_movement(before, after)),
        Shift(
            discrimination,
            in_standard_errors(
                discrimination, before.discrimination_se, after.discrimination_se * restated
            ),
        ),
        Shift(guessing, in_standard_errors(guessing, before.guessing_se, after.guessing_se)),
    )


def _size(change: ItemChange) -> float:
    return abs(change.difficulty.by) if change.difficulty else 0.0
