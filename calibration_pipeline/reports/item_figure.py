"""One item's plots as a file: its response curve with what was observed, and its difficulty.

Matplotlib is imported when a figure is drawn, and by nothing else. The same figures give the same
bytes: no date, and no random identifier.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.irt.observed_proportions import NORMAL_95, wilson_interval
from calibration_pipeline.records import FloatArray, ItemKey, NightDifficulty, ObservedProportions
from calibration_pipeline.reports.templating import item_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ABILITIES = np.linspace(-4.0, 4.0, 161)
_INK, _MARK = "#1b1f24", "#0a4da3"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "calibration_pipeline",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d0d7de",
    "legend.frameon": False,
}
_WIDEST = 2.0
"""Half of an interval that is drawn whole: the first nights' must not make a line of the rest."""


def item_figure(
    key: ItemKey,
    trajectory: Sequence[NightDifficulty],
    held_at: float | None,
    parameters: FloatArray | None,
    observed: ObservedProportions | None,
    scaling_constant: float,
    file_format: str,
) -> bytes:
    """Draw an item's two plots side by side.

    Parameters
    ----------
    key
        The item.
    trajectory, held_at
        Its difficulty by night, oldest first; where an anchor is held, None of other items.
    parameters
        ``(3,)`` of the curve; None where there is none to draw.
    observed
        What the window's answers say, by ability.
    scaling_constant
        D of `parameters`.
    file_format
        'svg' or 'png'.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), io.BytesIO() as file:
        figure = Figure(figsize=(9.0, 3.6), dpi=150, layout="constrained")
        figure.suptitle(item_text(key))
        left, right = figure.subplots(1, 2)
        _draw_curve(left, parameters, observed, scaling_constant)
        _draw_trajectory(right, trajectory, held_at)
        nothing = {"Date": None, "Creator": None} if file_format == "svg" else {"Software": None}
        figure.savefig(file, format=file_format, metadata=nothing)
        return file.getvalue()


def _draw_curve(
    axis: Axes,
    parameters: FloatArray | None,
    observed: ObservedProportions | None,
    scaling_constant: float,
) -> None:
    axis.set(xlim=(-4, 4), ylim=(-0.02, 1.02), xlabel="ability", title="Share of right answers")
    if parameters is None:
        axis.text(0.0, 0.5, "no night has fitted it yet", ha="center")
        return
    p = response_probabilities(_ABILITIES, parameters[None, :], scaling_constant)[0]
    axis.plot(_ABILITIES, p, color=_MARK, label="response curve")
    if observed is not None:
        share = observed.right / observed.answers
        low, high = wilson_interval(observed.right, observed.answers)
        reach = np.clip(np.stack([share - low, high - share]), 0.0, None)
        axis.errorbar(observed.ability, share, reach, fmt="o", color=_INK, label="observed, 95%")
        axis.plot(observed.ability, observed.expected, "x", color=_MARK, label="expected there")
    axis.legend(loc="lower right")


def _draw_trajectory(axis: Axes, nights: Sequence[NightDifficulty], held_at: float | None) -> None:
    axis.set(title="Difficulty by night")
    if not nights:
        axis.text(0.5, 0.5, "no night has estimated it yet", ha="center")
        return
    b = np.array([own.difficulty for own in nights])
    half = NORMAL_95 * np.nan_to_num([own.standard_error for own in nights])
    shown = np.minimum(half, _WIDEST)
    places = [own.night.toordinal() for own in nights]
    axis.fill_between(places, b - half, b + half, color=_MARK, alpha=0.18, linewidth=0)
    label = "published" if held_at is None else "refitted"
    axis.plot(places, b, "o-", color=_MARK, markersize=3.5, label=f"{label}, 95% interval")
    if held_at is not None:
        axis.axhline(held_at, color=_INK, linestyle="--", label="held at")
    ends = sorted({0, len(places) // 2, len(places) - 1})
    axis.set_xticks([places[n] for n in ends], [f"{nights[n].night:%m-%d}" for n in ends])
    levels = [] if held_at is None else [held_at]
    axis.set_ylim(min([*(b - shown), *levels]) - 0.1, max([*(b + shown), *levels]) + 0.1)
    axis.legend(loc="best")
