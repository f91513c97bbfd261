"""Charts of the scales: whether anchors stand where they are held, and who the candidates are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibration_pipeline.irt.observed_proportions import NORMAL_95
from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.drawing import ALARM, MARK, OTHER, QUIET, date_axis, name_axes
from calibration_pipeline.reports.templating import (
    counted,
    decimal_text,
    item_text,
    signed_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from calibration_pipeline.records import (
        AnchorDisplacement,
        CalibrationState,
        ScaleLink,
        ScaleNight,
    )

ANCHORS_LISTED = 15
_WELL_KNOWN = 0.5
"""Standard error up to which a displacement says how far the chart reaches."""
_LEAST_REACH = 0.5
HELD, LEFT_OUT, RELEASED = "held", "left out of the link", "released"


@dataclass(frozen=True)
class DisplacedAnchor:
    """An anchor's shadow refit against its reference: by how much harder, with standard error."""

    name: str
    reference: float
    shift: float
    standard_error: float
    answers: int
    status: str

    @property
    def z(self) -> float:
        """The displacement in standard errors."""
        return self.shift / self.standard_error if self.standard_error > 0 else math.nan


def displaced_anchors(
    state: CalibrationState, links: Sequence[ScaleLink]
) -> tuple[DisplacedAnchor, ...]:
    """List the anchors with answers tonight, the clearest displacement first."""
    left_out = {name for link in links for name in link.anchors_left_out}
    released = {name for scale in state.scales for name, _ in scale.released_anchors}
    found = []
    for j in np.flatnonzero(state.is_anchor & (state.window_counts > 0)).tolist():
        name = item_text(state.keys[j])
        status = RELEASED if name in released else LEFT_OUT if name in left_out else HELD
        held = float(state.parameters[j, 1])
        found.append(
            DisplacedAnchor(
                name,
                held,
                float(state.shadow_parameters[j, 1]) - held,
                math.sqrt(max(float(state.covariance[j, 1, 1]), 0.0)),
                int(state.window_counts[j]),
                status,
            )
        )
    known = [a for a in found if math.isfinite(a.shift) and math.isfinite(a.z)]
    return tuple(sorted(known, key=lambda anchor: (-abs(anchor.z), anchor.name)))


def anchor_chart(anchors: Sequence[DisplacedAnchor], pencil: Pencil) -> Chart:
    """Draw every anchor's displacement with its 95% interval, by difficulty; one at least."""
    marks = ((HELD, MARK, "o"), (LEFT_OUT, OTHER, "x"), (RELEASED, ALARM, "^"))

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        axis.axhline(0.0, color=QUIET, linewidth=1.0)
        for status, colour, marker in marks:
            shown = [anchor for anchor in anchors if anchor.status == status]
            if shown:
                axis.errorbar(
                    [a.reference for a in shown], [a.shift for a in shown],
                    [NORMAL_95 * a.standard_error for a in shown],
                    fmt=marker, color=colour, elinewidth=0.5, label=status, markersize=4,
                )  # fmt: skip
        axis.set_ylim(-reach, reach)
        name_axes(axis, "reference difficulty", "displacement")

    reach = _reach(anchors)
    beyond = sum(abs(anchor.shift) > reach for anchor in anchors)
    listed = anchors[:ANCHORS_LISTED]
    of_status = {status: sum(a.status == status for a in anchors) for status, *_ in marks}
    return pencil.drawn(
        Chart(
            name="anchors",
            title="Anchor displacement tonight",
            summary=_displacement_in_words(anchors, of_status)
            + (f" Beyond the chart, and hardly known: {beyond:,}." if beyond else ""),
            headers=("Anchor", "Displacement", "Standard error", "z", "Answers", "Tonight"),
            rows=tuple(
                (a.name, signed_text(a.shift), decimal_text(a.standard_error), signed_text(a.z, 1),
                 f"{a.answers:,}", a.status)
                for a in listed
            ),
        ),
        paint,
    )  # fmt: skip


def _reach(anchors: Sequence[DisplacedAnchor]) -> float:
    """How far from 0 the chart goes: a few anchors with hardly any answers mustn't flatten it."""
    known = [
        abs(a.shift) for a in anchors if a.standard_error <= _WELL_KNOWN or a.status == RELEASED
    ]
    return max(_LEAST_REACH, 1.15 * max(known or [abs(a.shift) for a in anchors]))


def displacement_chart(nights: Sequence[AnchorDisplacement], pencil: Pencil) -> Chart | None:
    """Draw mean and spread of the displacements over the nights; None for a single night."""
    known = [night for night in nights if math.isfinite(night.mean)]
    if len(known) < 2:
        return None

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        places = date_axis(axis, [night.night for night in known])
        axis.axhline(0.0, color=QUIET, linewidth=1.0)
        for label, values, colour, style in (
            ("mean", [night.mean for night in known], MARK, "-o"),
            ("root mean square", [night.spread for night in known], OTHER, "--s"),
        ):
            axis.plot(places, values, style, color=colour, label=label, markersize=3)
        name_axes(axis, "night", "displacement")

    first, last = known[0], known[-1]
    return pencil.drawn(
        Chart(
            name="displacement",
            title="Anchor displacement over the nights",
            summary=(
                f"Mean {signed_text(last.mean, 3)} and root mean square "
                f"{decimal_text(last.spread, 3)} over {counted(last.anchors, 'anchor')} on "
                f"{last.night}; {signed_text(first.mean, 3)} and {decimal_text(first.spread, 3)} "
                f"on {first.night}."
            ),
            headers=("Night", "Anchors", "Mean", "Root mean square"),
            rows=tuple(
                (str(n.night), f"{n.anchors:,}", signed_text(n.mean, 3), decimal_text(n.spread, 3))
                for n in reversed(known)
            ),
        ),
        paint,
    )


def population_chart(number: int, nights: Sequence[ScaleNight], pencil: Pencil) -> Chart | None:
    """Draw mean and spread of a scale's candidates over the nights; None for a single night."""
    if len(nights) < 2:
        return None

    def paint(axes: Sequence[Axes]) -> None:
        upper, lower = axes
        places = date_axis(lower, [night.partition for night in nights])
        upper.plot(places, [n.population_mean for n in nights], "-o", color=MARK, markersize=3)
        lower.plot(places, [n.population_sd for n in nights], "--s", color=OTHER, markersize=3)
        name_axes(upper, "", "mean")
        name_axes(lower, "night", "standard deviation")

    first, last = nights[0], nights[-1]
    return pencil.drawn(
        Chart(
            name=f"population{number}",
            title=f"Candidates on scale {last.scale}",
            summary=(
                f"Mean {decimal_text(last.population_mean, 3)} and standard deviation "
                f"{decimal_text(last.population_sd, 3)} on {last.partition}; "
                f"{decimal_text(first.population_mean, 3)} and "
                f"{decimal_text(first.population_sd, 3)} on {first.partition}."
            ),
            headers=("Night", "Mean", "Standard deviation"),
            rows=tuple(
                (str(n.partition), decimal_text(n.population_mean, 3),
                 decimal_text(n.population_sd, 3))
                for n in reversed(nights)
            ),
        ),
        paint,
        panels=2,
    )  # fmt: skip


def _displacement_in_words(anchors: Sequence[DisplacedAnchor], of_status: dict[str, int]) -> str:
    outside = sum(abs(anchor.z) > NORMAL_95 for anchor in anchors)
    most, n = anchors[0], len(anchors)
    return (
        f"{counted(n, 'anchor')} with answers: {of_status[HELD]:,} held, "
        f"{of_status[LEFT_OUT]:,} left out of the link, {of_status[RELEASED]:,} released. "
        f"The 95% interval of {outside:,} of them does not reach zero; {0.05 * n:.0f} would not by "
        "chance. "
        f"Clearest: {most.name}, {signed_text(most.shift)} ({signed_text(most.z, 1)} standard "
        "errors)."
    )
