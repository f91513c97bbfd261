"""Charts of the cross-checks: Gaussians beside exact posteriors, and two calibrations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibration_pipeline.reports.templating import template_environment

_LABEL, _PANEL, _GAP, _ROW, _TOP = 150.0, 130.0, 14.0, 16.0, 30.0
_REACH = 4.5
"""Posterior standard deviations that a panel shows to either side."""
_SIDE, _MARGIN = 360.0, 44.0


@dataclass(frozen=True)
class Interval:
    """Ends of a 95% interval and its centre, in posterior standard deviations from the mean."""

    low: float
    centre: float
    high: float


@dataclass(frozen=True)
class PosteriorRow:
    """One item: its exact and its Gaussian interval for each coordinate."""

    name: str
    is_poor: bool
    exact: Sequence[Interval]
    gaussian: Sequence[Interval]


def posterior_chart(coordinates: Sequence[str], rows: Sequence[PosteriorRow]) -> str:
    """Draw each item's exact interval (bar) with the Gaussian's (line) on it, as an SVG image.

    Parameters
    ----------
    coordinates
        Names of the coordinates, one panel each.
    rows
        The items, in order.
    """
    lefts = [_LABEL + k * (_PANEL + _GAP) for k in range(len(coordinates))]

    def placed(panel: int, interval: Interval) -> tuple[float, float, float]:
        values = (interval.low, interval.centre, interval.high)
        middle, unit = lefts[panel] + _PANEL / 2, _PANEL / (2 * _REACH)
        low, centre, high = (
            round(middle + unit * min(max(value, -_REACH), _REACH), 1) for value in values
        )
        return low, centre, high

    bottom = _TOP + _ROW * len(rows)
    return (
        template_environment()
        .get_template("posterior_chart.svg.j2")
        .render(
            width=lefts[-1] + _PANEL + 10.0,
            height=bottom + 26.0,
            top=_TOP,
            bottom=bottom,
            label=_LABEL,
            panels=[
                (left, left + _PANEL / 2, name)
                for left, name in zip(lefts, coordinates, strict=True)
            ],
            half=_PANEL / 2,
            rows=[
                (
                    _TOP + _ROW * (n + 0.5),
                    row.name,
                    row.is_poor,
                    [placed(k, interval) for k, interval in enumerate(row.exact)],
                    [placed(k, interval) for k, interval in enumerate(row.gaussian)],
                )
                for n, row in enumerate(rows)
            ],
        )
    )


def agreement_chart(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Draw two calibrations of the same difficulties against each other, as an SVG image."""
    values = [*ours, *theirs]
    low, high = min(values), max(values)
    unit = (_SIDE - 2 * _MARGIN) / ((high - low) or 1.0)

    def across(value: float) -> float:
        return round(_MARGIN + unit * (value - low), 1)

    def up(value: float) -> float:
        return round(_SIDE - _MARGIN - unit * (value - low), 1)

    return template_environment().get_template("agreement_chart.svg.j2").render(
        side=_SIDE,
        margin=_MARGIN,
        ticks=[(across(k), up(k), k) for k in range(math.ceil(low), math.floor(high) + 1)],
        points=[(across(x), up(y)) for x, y in zip(ours, theirs, strict=True)],
    )  # fmt: skip
