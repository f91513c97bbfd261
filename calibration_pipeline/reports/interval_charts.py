"""Small interval charts: a change with its 95% interval, on an axis that rows share.

Only geometry: positions between 0 and `WIDTH`; the template draws them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 160.0
MARGIN = 6.0
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Change:
    """A change from a reference, in units of the parameter.

    Attributes
    ----------
    value
        The change.
    standard_error
        Its standard error; NaN where unknown.
    reference_error
        Standard error of the reference itself; 0 where it is held to be known.
    limits
        Changes from which the item is noticed; drawn as ticks.
    """

    value: float
    standard_error: float
    reference_error: float = 0.0
    limits: tuple[float, ...] = ()


@dataclass(frozen=True)
class IntervalChart:
    """Horizontal positions, from 0 to `WIDTH`; reference interval and interval as (low, high)."""

    zero: float
    dot: float
    interval: tuple[float, float]
    reference_interval: tuple[float, float]
    limits: tuple[float, ...]


def axis_reach(changes: Iterable[Change]) -> float:
    """Half the length of an axis, centred at no change, on which every row fits."""
    return max((_farthest(change) for change in changes), default=0.0) or 1.0


def interval_chart(change: Change, reach: float) -> IntervalChart:
    """Place one change on the axis from −`reach` to `reach`."""

    def position(value: float) -> float:
        inside = min(max(value / reach, -1.0), 1.0)
        return round(WIDTH / 2 + inside * (WIDTH / 2 - MARGIN), 1)

    half, reference_half = _half_width(change.standard_error), _half_width(change.reference_error)
    return IntervalChart(
        zero=position(0.0),
        dot=position(change.value),
        interval=(position(change.value - half), position(change.value + half)),
        reference_interval=(position(-reference_half), position(reference_half)),
        limits=tuple(position(limit) for limit in change.limits),
    )


def _half_width(standard_error: float) -> float:
    return NORMAL_95 * standard_error if math.isfinite(standard_error) else 0.0


def _farthest(change: Change) -> float:
    return max(
        abs(change.value) + _half_width(change.standard_error),
        _half_width(change.reference_error),
        *map(abs, change.limits),
        0.0,
    )
