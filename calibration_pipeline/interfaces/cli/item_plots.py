"""An item's two plots in characters: its response curve, and its difficulty by night."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from calibration_pipeline.interfaces.cli.terminal_plot import TerminalPlot
from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.irt.observed_proportions import NORMAL_95, wilson_interval

if TYPE_CHECKING:
    from calibration_pipeline.records import FloatArray, NightDifficulty, ObservedProportions

_ABILITIES = np.linspace(-4.0, 4.0, 600)
_WIDEST = 2.0
"""Half of an interval that is drawn whole: the first nights' must not make a line of the rest."""


def curve_lines(
    parameters: FloatArray,
    observed: ObservedProportions | None,
    scaling_constant: float,
    width: int,
    height: int,
) -> list[str]:
    """Draw the response curve (dots), and what was observed (●) with its 95% interval (│)."""
    plot = TerminalPlot(width, height, (-4.0, 4.0), (0.0, 1.0))
    curve = response_probabilities(_ABILITIES, parameters[None, :], scaling_constant)[0]
    plot.curve(_ABILITIES.tolist(), curve.tolist())
    if observed is not None:
        share = observed.right / observed.answers
        low, high = wilson_interval(observed.right, observed.answers)
        for x, bottom, top, mark in zip(observed.ability, low, high, share, strict=True):
            plot.bar(float(x), float(bottom), float(top), float(mark))
    seen = ", observed ● with 95% interval │" if observed is not None else ""
    labels = [(theta, f"{theta:+g}" if theta else "0") for theta in (-4, -2, 0, 2, 4)]
    title = wrap(f"Share right by ability θ: curve ⠤{seen}", width)
    return [*title, *plot.lines(labels), ""]


def trajectory_lines(
    nights: Sequence[NightDifficulty], held_at: float | None, width: int, height: int
) -> list[str]:
    """Draw the difficulty (●) by night, with its 95% interval (│), and where an anchor is held."""
    days = [own.night.toordinal() for own in nights]
    b = np.array([own.difficulty for own in nights])
    half = NORMAL_95 * np.nan_to_num(np.array([own.standard_error for own in nights]))
    shown = np.minimum(half, _WIDEST)
    levels = [] if held_at is None else [held_at]
    up = (min([*(b - shown), *levels]) - 0.1, max([*(b + shown), *levels]) + 0.1)
    across = (days[0] - 0.5, days[-1] + 0.5)
    plot = TerminalPlot(width, height, across, up)
    for level in levels:
        plot.curve(np.linspace(*across, 600).tolist(), [level] * 600)
    for day, value, reach in zip(days, b.tolist(), half.tolist(), strict=True):
        plot.bar(day, value - reach, value + reach, value)
    ends = sorted({0, len(nights) // 2, len(nights) - 1})
    labels = [(days[n], f"{nights[n].night:%m-%d}") for n in ends]
    held = "" if held_at is None else f", as each window alone says; held at {held_at:.2f} ⠤"
    title = wrap(f"Difficulty b by night ● with 95% interval │{held}", width)
    return [*title, *plot.lines(labels)]
