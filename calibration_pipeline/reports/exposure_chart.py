"""A chart of what exposure control costs: information lost, by maximum rate."""

from collections.abc import Sequence

from calibration_pipeline.reports.templating import template_environment

WIDTH, HEIGHT = 480.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 464.0, 24.0, 252.0
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Distances that lines of the grid may have, as shares of the information."""
_MOST_LINES = 6
_WHOLE_PER_CENT = 0.01
_RIGHT_FROM = 0.7
"""Maximum rate from which its label stands to the left of its line, where there is room."""


def trade_off_chart(points: Sequence[tuple[float, float]], wanted: float) -> str:
    """Draw an SVG image.

    Parameters
    ----------
    points
        (maximum rate, share of information lost), by maximum rate.
    wanted
        The maximum rate that stands out.
    """
    highest = max([lost for _, lost in points] + [0.01])
    step = next((step for step in _STEPS if highest / step <= _MOST_LINES), _STEPS[-1])
    top = step * -(-highest // step)

    def across(rate: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * rate, 1)

    def up(lost: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * max(lost, 0.0) / top, 1)

    template = template_environment().get_template("exposure_chart.svg.j2")
    return template.render(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=RIGHT,
        top=TOP,
        bottom=BOTTOM,
        wanted=across(wanted),
        wanted_rate=wanted,
        wanted_is_right=wanted > _RIGHT_FROM,
        decimals=0 if step >= _WHOLE_PER_CENT else 1,
        rows=[(up(k * step), k * step) for k in range(round(top / step) + 1)],
        columns=[(across(k / 5), k / 5) for k in range(6)],
        points=[(across(rate), up(lost), rate, lost) for rate, lost in points],
    )
