"""A chart as the page shows it: a picture, its figures in words, and its figures as a table.

A picture that can't be drawn costs a page that picture alone: its table is there in any case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calibration_pipeline.reports.drawing import svg_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Chart:
    """What is drawn, and the same for who can't see it.

    Attributes
    ----------
    name
        Unique on its page; part of identifiers.
    title
        What it shows.
    summary
        The figures that matter, in sentences: the picture's text alternative.
    headers, rows
        The figures behind it; the first cell of a row is its heading.
    svg
        The picture; empty where none was drawn.
    trouble
        Why it couldn't be drawn; empty where nothing went wrong.
    """

    name: str
    title: str
    summary: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    svg: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Pencil:
    """Draws a page's charts, or leaves their tables to speak."""

    draws: bool = True

    def drawn(
        self, chart: Chart, paint: Callable[[Sequence[Axes]], None], *, panels: int = 1
    ) -> Chart:
        """Add the picture to a chart.

        Whatever goes wrong in drawing is told on the page. The version is published by then, and
        no picture is worth the page that says so.
        """
        if not self.draws:
            return chart
        try:
            return replace(chart, svg=svg_image(chart.name, paint, panels=panels))
        except Exception as error:
            said = str(error).partition("\n")[0]
            return replace(chart, trouble=f"{type(error).__name__}: {said}")
