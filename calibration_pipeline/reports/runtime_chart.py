"""How long each step of a night took, beside what it takes on other nights."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.drawing import INK, MARK
from calibration_pipeline.reports.templating import UNKNOWN, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes


_MARK_POINTS = 8
"""As high as a bar: the step's name stands right above it."""


def runtime_chart(
    tonight: Mapping[str, float], earlier: Sequence[Mapping[str, float]], pencil: Pencil
) -> Chart | None:
    """Draw each step's seconds, with the median of earlier nights; None where none is known.

    Parameters
    ----------
    tonight
        Seconds by step, of those that have ended when the page is written.
    earlier
        The same of earlier nights.
    """
    if not tonight:
        return None
    tonight = dict(sorted(tonight.items(), key=lambda pair: (-pair[1], pair[0])))
    usual = {
        step: median(known)
        for step in tonight
        if (known := [night[step] for night in earlier if step in night])
    }

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        steps = list(tonight)[::-1]
        axis.barh(range(len(steps)), [tonight[step] for step in steps], color=MARK, height=0.4)
        marked = [(usual[step], place) for place, step in enumerate(steps) if step in usual]
        if marked:
            axis.plot(
                *zip(*marked, strict=True), "|", color=INK, markersize=_MARK_POINTS, label="usual"
            )
        axis.set_yticks([])
        for place, step in enumerate(steps):
            axis.text(0, place + 0.22, step, va="bottom", fontsize=7)
        axis.set(xlim=(0, None), ylim=(-0.5, len(steps) - 0.2))
        axis.set_xlabel("seconds")

    longest = next(iter(tonight))
    return pencil.drawn(
        Chart(
            name="runtime",
            title="Runtime by step",
            summary=(
                f"{_seconds(sum(tonight.values()))} seconds in {counted(len(tonight), 'step')}; "
                f"longest: {longest} with {_seconds(tonight[longest])}"
                + (f", usually {_seconds(usual[longest])}." if longest in usual else ".")
            ),
            headers=("Step", "Seconds", "Median of earlier nights"),
            rows=tuple(
                (step, _seconds(taken), _seconds(usual[step]) if step in usual else UNKNOWN)
                for step, taken in tonight.items()
            ),
        ),
        paint,
    )


def _seconds(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
