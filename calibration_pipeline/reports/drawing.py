"""Charts drawn by Matplotlib, as SVG that lies in the page and takes its colours from it.

Matplotlib is imported when the first chart is drawn, and by nothing else: whoever only asks how the
programme stands doesn't wait for it. The same figures give the same text: no date, no random
identifier, and text stays text, in the page's own font.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, PANEL_HEIGHT = 4.4, 3.0, 1.8
"""Inches: as wide as a phone, so that text is drawn there at about its own size."""
_TITLE, _BELOW, _LINE = 0.3, 0.45, 0.18
"""Inches that the name of the vertical axis takes, that below the axes, and a legend's line."""
_COLUMNS = 2
MOST_DATES = 4

INK, QUIET, RULE = "#1b1f24", "#57606a", "#d0d7de"
MARK, OTHER, ALARM = "#0a4da3", "#8a4600", "#96091f"
_VARIABLES = {
    INK: "var(--ink)", QUIET: "var(--quiet)", RULE: "var(--rule)", MARK: "var(--mark)",
    OTHER: "var(--other)", ALARM: "var(--bad)",
}  # fmt: skip
"""Colours as the page names them, which has others in the dark and in print."""

_STYLE: dict[Any, Any] = {
    # Whatever a text says, it is no formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "calibration_pipeline",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "text.color": INK,
    "xtick.bottom": False,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": QUIET,
    "ytick.left": False,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}
_IDENTIFIER = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(href="#|url\(#)([^")]+)')
_FONT_FAMILY = re.compile(r"(font: [\d.]+px) '[^;\"]*?(?=;|\")|font-family: [^;\"]*;? ?")
_FOR_FILES = re.compile(
    r"^.*?(?=<svg )|<metadata>.*?</metadata>\s*|<style.*?</style>\s*", re.DOTALL
)
"""What a file needs, and a page must not have: a style in it would hold for the whole page."""
_SIZE = re.compile(r'(<svg [^>]*?)width="[^"]*" height="[^"]*" ')


def svg_image(name: str, paint: Callable[[Sequence[Axes]], None], *, panels: int = 1) -> str:
    """Draw a chart, and give it as an ``<svg>`` element without a label.

    Parameters
    ----------
    name
        Begins the identifiers inside, so that two charts of a page never share one.
    paint
        Draws on the axes that it is given, the uppermost first.
    panels
        Axes below one another, with the same horizontal axis.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), io.StringIO() as file:
        height = HEIGHT if panels == 1 else PANEL_HEIGHT * panels
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasSVG(figure)
        axes = figure.subplots(panels, sharex=True, squeeze=False)[:, 0].tolist()
        paint(axes)
        lines = _legend(figure, axes[0])
        # Not by a layout engine, which would draw everything twice.
        figure.subplots_adjust(
            left=0.11,
            right=0.98,
            hspace=0.35,
            top=1.0 - _TITLE / height,
            bottom=(_BELOW + _LINE * lines) / height,
        )
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return _for_page(file.getvalue(), name)


def name_axes(axis: Axes, across: str, up: str) -> None:
    """Name both axes; the vertical one above it, where its name is read without turning the head.

    Parameters
    ----------
    across, up
        What is drawn from left to right, and upwards.
    """
    axis.set_xlabel(across)
    # A place of its own choice would cost Matplotlib a quarter of the chart's time.
    axis.set_title(up, loc="left", fontsize=9, y=1.0, pad=5)
    axis.locator_params(axis="y", nbins=5)


def _legend(figure: Figure, axis: Axes) -> int:
    """Put the legend below the axes, where it hides nothing; give the number of its lines."""
    handles, labels = axis.get_legend_handles_labels()
    if not handles:
        return 0
    figure.legend(
        handles, labels, loc="lower center", ncols=_COLUMNS, borderaxespad=0.1,
        handlelength=2.6, columnspacing=1.5,
    )  # fmt: skip
    return -(-len(handles) // _COLUMNS)


def _for_page(svg: str, name: str) -> str:
    """Turn a file's SVG into an element of a page."""
    svg = _FOR_FILES.sub("", svg)
    svg = _SIZE.sub(r'\1aria-hidden="true" focusable="false" ', svg, count=1)
    svg = _FONT_FAMILY.sub(lambda found: found[1] or "", svg)
    used = {found[2] for found in _REFERENCE.finditer(svg)}
    svg = _IDENTIFIER.sub(lambda found: f'id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = _REFERENCE.sub(rf"\g<1>{name}-\g<2>", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.strip()


def date_axis(axis: Axes, nights: Sequence[date]) -> list[int]:
    """Label the horizontal axis with nights; give the place of each on it."""
    places = [night.toordinal() for night in nights]
    step = max(1, -(-(places[-1] - places[0] + 1) // MOST_DATES)) if places else 1
    shown = list(range(places[-1], places[0] - 1, -step))[::-1] if places else []
    axis.set_xticks(shown, [_short(place) for place in shown])
    axis.set_xlim(places[0] - 0.6, places[-1] + 0.6)
    return places


def _short(ordinal: int) -> str:
    from datetime import date

    return f"{date.fromordinal(ordinal):%m-%d}"
