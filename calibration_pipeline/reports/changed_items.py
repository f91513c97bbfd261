"""Items that the window's answers contradict: what they carried was dropped tonight."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.records import CalibrationState, ItemBank, ItemKey
from calibration_pipeline.reports.interval_charts import (
    Change,
    IntervalChart,
    axis_reach,
    interval_chart,
)


@dataclass(frozen=True)
class ChangedItem:
    """How much harder an item is now than its earlier answers said, with standard error.

    `scale` is an empty string in a pool with one scale, where it says nothing.
    """

    key: ItemKey
    scale: str
    shift: float
    standard_error: float
    window_count: int
    chart: IntervalChart

    @property
    def direction(self) -> str:
        """Harder or easier."""
        return "harder" if self.shift > 0 else "easier"


@dataclass(frozen=True)
class ChangedItems:
    """The clearest changes first; `left_out` counts those that are not shown.

    Charts share the axis from −`reach` to `reach`.
    """

    rows: tuple[ChangedItem, ...]
    left_out: int
    reach: float

    @property
    def count(self) -> int:
        """Items that changed, shown or not."""
        return len(self.rows) + self.left_out


def changed_items(state: CalibrationState, bank: ItemBank, *, limit: int) -> ChangedItems:
    """List the items whose carried information was dropped, at most `limit` of them.

    Of a rejected fit none: the next night starts from an earlier state, which carries it still.
    """
    dropped = np.flatnonzero(state.is_contradicted & state.is_accepted)
    z = np.abs(state.carried_shift[dropped] / state.carried_shift_se[dropped])
    shown = dropped[np.argsort(-z, kind="stable")][:limit].tolist()
    changes = [
        Change(float(state.carried_shift[j]), float(state.carried_shift_se[j])) for j in shown
    ]
    reach = axis_reach(changes)
    scales = _scales(bank, [state.keys[j] for j in shown])
    rows = tuple(
        ChangedItem(
            key=state.keys[j],
            scale=scale,
            shift=change.value,
            standard_error=change.standard_error,
            window_count=int(state.window_counts[j]),
            chart=interval_chart(change, reach),
        )
        for j, change, scale in zip(shown, changes, scales, strict=True)
    )
    return ChangedItems(rows, len(dropped) - len(rows), reach)


def _scales(bank: ItemBank, keys: list[ItemKey]) -> list[str]:
    if len(bank.scale_names) == 1:
        return [""] * len(keys)
    return [bank.scale_names[bank.scale_index[position]] for position in bank.positions(keys)]
