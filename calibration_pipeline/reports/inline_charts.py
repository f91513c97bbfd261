"""Charts so small that Dagster's web interface shows them beside the figures, without a click.

It renders Markdown in place where that has fewer than 1,000 characters, and hides longer Markdown
behind a button. So each chart is one short SVG image, held in the Markdown itself as a data address
and without any script or font. Its text alternative says what it shows.
"""

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np

from calibration_pipeline.records import FloatArray

LONGEST = 1000
"""Characters from which the web interface hides Markdown."""
_WIDTH, _HEIGHT, _FOOT = 320, 96, 82
_BARS = 28


def histogram(values: FloatArray, what: str, decimals: int = 1) -> str:
    """Draw how often values occur, from the smallest to the largest.

    Parameters
    ----------
    values
        ``(n,)``; those that aren't finite are left out.
    what
        Named in the text alternative and below the axis.

    Returns
    -------
    str
        Markdown.
    """
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return f"No {what}."
    low, high = float(finite.min()), float(finite.max())
    if high == low:
        return f"{len(finite):,} × {low:.{decimals}f}: {what}."
    counts, _ = np.histogram(finite, bins=_BARS, range=(low, high))
    ends = [f"{end:.{decimals}f}" for end in (low, high)]
    middle = f"{float(np.median(finite)):.{decimals}f}"
    alt = f"{what}: {len(finite):,} values from {ends[0]} to {ends[1]}, median {middle}"
    return _image(_bars(counts.tolist()), ends, f"{what}, median {middle}", alt)


def bars(heights: Sequence[float], ends: tuple[str, str], what: str) -> str:
    """Draw a bar for each of a few dozen values in a row, such as days."""
    if not any(heights):
        return f"No {what}."
    alt = f"{what}, {len(heights)} bars from {ends[0]} to {ends[1]}, highest {max(heights):,.0f}"
    return _image(_bars(heights, gap=2), list(ends), f"{what}, highest {max(heights):,.0f}", alt)


def curve(x: FloatArray, y: FloatArray, what: str) -> str:
    """Draw a smooth curve, ``(n,)`` by ``(n,)``, over zero."""
    top = float(np.max(y))
    if top <= 0.0:
        return f"No {what}."
    across = np.linspace(0, _WIDTH, len(x)).round().astype(int)
    up = (_FOOT - (_FOOT - 6) * np.asarray(y) / top).round().astype(int)
    points = " ".join(f"{a},{b}" for a, b in zip(across.tolist(), up.tolist(), strict=True))
    shape = f"<polyline fill='none' stroke='#1f5f8b' stroke-width='2' points='{points}'/>"
    peak = float(x[int(np.argmax(y))])
    caption = f"{what}, highest {top:.0f} at {peak:.1f}"
    return _image(shape, [f"{x[0]:.1f}", f"{x[-1]:.1f}"], caption, caption)


def _bars(heights: Sequence[float], gap: int = 0) -> str:
    """One outline for all bars: a path of its own for each would be too long."""
    top = max(heights)
    step = max(_WIDTH // len(heights) - gap, 1)
    between = f"V{_FOOT}h{gap}" if gap else ""
    outline = "".join(f"V{_FOOT - round((_FOOT - 6) * h / top)}h{step}{between}" for h in heights)
    return f"<path fill='#1f5f8b' d='M0,{_FOOT}{outline}V{_FOOT}z'/>"


def _image(shape: str, ends: list[str], caption: str, alt: str) -> str:
    low, high = ends
    texts = (
        f"<text y='94'>{low}</text><text x='160' y='94' text-anchor='middle'>{caption}</text>"
        f"<text x='{_WIDTH}' y='94' text-anchor='end'>{high}</text>"
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' "
        "font-family='sans-serif' font-size='11'>"
        f"<path fill='#fff' d='M0,0h{_WIDTH}v{_HEIGHT}H0z'/>"
        f"{shape}{texts}</svg>"
    )
    return f"![{alt}](data:image/svg+xml,{quote(svg, safe='/:=,;')})"
