"""One item's two charts: its curve before and now with what was observed, and its difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.irt.observed_proportions import NORMAL_95, wilson_interval
from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.drawing import INK, MARK, OTHER, date_axis, name_axes
from calibration_pipeline.reports.templating import counted, decimal_text, signed_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from calibration_pipeline.records import FloatArray, ItemEstimate, ObservedProportions

_ABILITIES = np.linspace(-4.0, 4.0, 81)
_NO_MARKER_FROM = 16
"""Nights from which a line without markers is easier to read."""
_WIDEST = 2.0
"""Half of an interval that is drawn whole: the first nights' must not make a line of the rest."""


@dataclass(frozen=True)
class Curve:
    """An item's parameters ``(3,)``, and what they are."""

    label: str
    parameters: FloatArray

    @property
    def words(self) -> str:
        """Label and values."""
        a, b, c = map(decimal_text, self.parameters.tolist())
        label = self.label[:1].upper() + self.label[1:]
        return f"{label}: discrimination {a}, difficulty {b}, guessing {c}"


def curve_chart(
    name: str,
    now: Curve,
    before: Curve | None,
    observed: ObservedProportions | None,
    scaling_constant: float,
    pencil: Pencil,
    *,
    is_held: bool = False,
) -> Chart:
    """Draw an item's response curve before and now, with the observed proportions and intervals.

    Parameters
    ----------
    now, before
        The curves; None where there is none to hold it against.
    observed
        The window's answers; None where there are none.
    scaling_constant
        D.
    pencil
        Draws, or doesn't.
    is_held
        Whether the item is held at `before`, as anchors are: then that is what is expected.
    """
    curves = [now] if before is None else [now, before]
    said = ". ".join(curve.words for curve in curves) + "."
    rows: tuple[tuple[str, ...], ...] = ()
    if observed is not None:
        low, high = wilson_interval(observed.right, observed.answers)
        said = f"{said} {_observed_in_words(observed, low, high)}"
        rows = _observed_rows(observed, low, high)

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        for curve, colour, style in zip(curves, (MARK, OTHER), ("-", "--"), strict=False):
            p = response_probabilities(_ABILITIES, curve.parameters[None, :], scaling_constant)
            axis.plot(_ABILITIES, p[0], style, color=colour, label=curve.label)
        if observed is not None:
            share = observed.right / observed.answers
            reach = np.clip(np.stack([share - low, high - share]), 0.0, None)
            axis.errorbar(
                observed.ability, share, reach, fmt="o", color=INK, elinewidth=1.0,
                label="observed, 95% interval",
            )  # fmt: skip
            colour, label = (
                (OTHER, "expected by the reference") if is_held else (MARK, "expected there")
            )
            axis.plot(observed.ability, observed.expected, "x", color=colour, label=label)
        axis.set(xlim=(-4, 4), ylim=(-0.02, 1.02))
        name_axes(axis, "ability", "share of right answers")

    return pencil.drawn(
        Chart(
            name=f"{name}-curve",
            title="Response curve",
            summary=said,
            headers=("Mean ability", "Answers", "Right", "95% interval", "Expected"),
            rows=rows,
        ),
        paint,
    )


def trajectory_chart(
    name: str, estimates: Sequence[ItemEstimate], held: float | None, pencil: Pencil
) -> Chart:
    """Draw an item's difficulty over the nights, with its 95% interval.

    Parameters
    ----------
    estimates
        The nights, oldest first; one at least.
    held
        Difficulty at which an anchor is held; None of other items.
    """
    b = np.array([night.difficulty for night in estimates])
    half = NORMAL_95 * np.array([night.difficulty_se for night in estimates])
    nights = [night.night for night in estimates]

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        places = date_axis(axis, nights)
        axis.fill_between(places, b - half, b + half, color=MARK, alpha=0.18, linewidth=0)
        marker = "o" if len(b) < _NO_MARKER_FROM else ""
        axis.plot(places, b, color=MARK, marker=marker, label="estimate, 95% interval")
        for edge in (b - half, b + half):
            axis.plot(places, edge, ":", color=MARK, linewidth=0.9)
        if held is not None:
            axis.axhline(held, color=OTHER, linestyle="--", label="held at")
        shown = np.minimum(half, _WIDEST)
        axis.set_ylim((b - shown).min() - 0.1, (b + shown).max() + 0.1)
        name_axes(axis, "night", "difficulty")

    return pencil.drawn(
        Chart(
            name=f"{name}-trajectory",
            title="Difficulty over the nights",
            summary=_trajectory_in_words(estimates, held),
            headers=("Night", "Difficulty", "95% interval", "Answers in all"),
            rows=tuple(
                (
                    str(night.night),
                    decimal_text(night.difficulty),
                    _interval(night),
                    f"{night.total_count:,}",
                )
                for night in estimates
            ),
        ),
        paint,
    )


def _observed_rows(
    observed: ObservedProportions, low: FloatArray, high: FloatArray
) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            signed_text(ability),
            f"{answers:,}",
            f"{right / answers:.0%}",
            f"{bottom:.0%} to {top:.0%}",
            f"{expected:.0%}",
        )
        for ability, answers, right, expected, bottom, top in zip(
            observed.ability.tolist(),
            observed.answers.tolist(),
            observed.right.tolist(),
            observed.expected.tolist(),
            low.tolist(),
            high.tolist(),
            strict=True,
        )
    )


def _observed_in_words(observed: ObservedProportions, low: FloatArray, high: FloatArray) -> str:
    """Say how many bins contradict the curve, and which one most."""
    is_outside = (observed.expected < low) | (observed.expected > high)
    share = observed.right / observed.answers
    deviation = np.abs(share - observed.expected) / np.maximum(high - low, 1e-9)
    most = int(np.argmax(deviation))
    return (
        f"{counted(int(observed.answers.sum()), 'answer')} in "
        f"{counted(len(share), 'bin')} of ability; in {int(is_outside.sum())} of them the expected "
        "share of right answers lies outside the 95% interval of the observed one. Farthest apart "
        f"at ability {signed_text(float(observed.ability[most]))}: {share[most]:.0%} observed "
        f"({low[most]:.0%} to {high[most]:.0%}), {observed.expected[most]:.0%} expected."
    )


def _trajectory_in_words(estimates: Sequence[ItemEstimate], held: float | None) -> str:
    first, last = estimates[0], estimates[-1]
    said = (
        f"{decimal_text(last.difficulty)} ({_interval(last)}) on {last.night}, after "
        f"{counted(last.total_count, 'answer')}"
    )
    if held is not None:
        said = f"{said}; held at {decimal_text(held)}"
    if len(estimates) == 1:
        return f"{said}. No earlier night."
    widths = (decimal_text(2 * NORMAL_95 * night.difficulty_se) for night in (first, last))
    return (
        f"{said}. {decimal_text(first.difficulty)} ({_interval(first)}) on {first.night}. The "
        f"interval is {' wide then and '.join(widths)} now."
    )


def _interval(night: ItemEstimate) -> str:
    half = NORMAL_95 * night.difficulty_se
    return f"{decimal_text(night.difficulty - half)} to {decimal_text(night.difficulty + half)}"
