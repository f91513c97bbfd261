"""Charts of the pool: what it measures tonight, and how it and abilities stood over the nights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibration_pipeline.irt.model import fisher_information
from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.drawing import MARK, OTHER, QUIET, date_axis, name_axes
from calibration_pipeline.reports.templating import UNKNOWN, counted, decimal_text, signed_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from matplotlib.axes import Axes

    from calibration_pipeline.records import (
        FloatArray,
        ItemKey,
        NightFigures,
        ScaleState,
        SnapshotItem,
    )

_ABILITIES = np.linspace(-4.0, 4.0, 81)
_TOLD = (-3, -2, -1, 0, 1, 2, 3)
_NEAR = 0.5
_ROOM = 1.15
"""Height of an axis from 0, over the largest value on it."""


def pool_information(
    items: Sequence[SnapshotItem], abilities: FloatArray, scaling_constant: float
) -> FloatArray:
    """Test information of a pool given as a whole, ``(n_theta,)``; without items zero.

    Items whose values aren't finite are left to the audit, which names them.
    """
    values = np.array([(i.discrimination, i.difficulty, i.guessing) for i in items])
    values = values.reshape(-1, 3)
    known = values[np.isfinite(values).all(axis=1)]
    return np.asarray(fisher_information(abilities, known, scaling_constant).sum(axis=0))


def information_chart(
    number: int,
    scale: ScaleState,
    items: Sequence[SnapshotItem],
    previous: Mapping[ItemKey, SnapshotItem],
    retired: Collection[ItemKey],
    scaling_constant: float,
    pencil: Pencil,
) -> Chart:
    """Draw what the items in use of a scale tell of ability, beside the version before."""
    now = [item for item in items if item.scale == scale.name and item.key not in retired]
    trusted = [item for item in now if item.track == "trusted"]
    before = [i for i in previous.values() if i.scale == scale.name and i.key not in retired]
    lines = [("in use", now, MARK, "-"), ("trusted alone", trusted, MARK, ":")]
    if before:
        lines.append(("in use, version before", before, OTHER, "--"))

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        top = 0.0
        for label, of_items, colour, style in lines:
            information = pool_information(of_items, _ABILITIES, scaling_constant)
            axis.plot(_ABILITIES, information, style, color=colour, label=label)
            top = max(top, float(information.max()))
        z = (_ABILITIES - scale.population_mean) / scale.population_sd
        axis.fill_between(
            _ABILITIES, 0.4 * top * np.exp(-0.5 * z**2), color=QUIET, alpha=0.2, linewidth=0,
            label="candidates",
        )  # fmt: skip
        axis.set(xlim=(-4, 4), ylim=(0, None))
        name_axes(axis, "ability", "information")

    told = np.array(_TOLD, float)
    columns = [pool_information(of, told, scaling_constant) for _, of, _, _ in lines]
    near = [sum(abs(item.difficulty - ability) <= _NEAR for item in now) for ability in _TOLD]
    return pencil.drawn(
        Chart(
            name=f"information{number}",
            title=f"Test information of scale {scale.name}",
            summary=_information_in_words(len(now), columns[0]),
            headers=("Ability", "Items within ±0.5", *(label.capitalize() for label, *_ in lines)),
            rows=tuple(
                (signed_text(ability, 0), f"{near[k]:,}", *(decimal_text(c[k], 1) for c in columns))
                for k, ability in enumerate(_TOLD)
            ),
        ),
        paint,
    )


def pool_size_chart(figures: Sequence[NightFigures], pencil: Pencil) -> Chart:
    """Draw how many items were usable on each night that published; one at least."""
    nights = [night.night for night in figures]

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        places = date_axis(axis, nights)
        for label, values, colour, style in (
            ("usable (trusted)", [night.usable for night in figures], MARK, "-o"),
            ("provisional", [night.provisional for night in figures], OTHER, "--s"),
        ):
            axis.plot(places, values, style, color=colour, label=label, markersize=3)
        axis.set_ylim(0, None)
        name_axes(axis, "night", "items")

    first, last = figures[0], figures[-1]
    return pencil.drawn(
        Chart(
            name="pool-size",
            title="Usable pool",
            summary=(
                f"{counted(last.usable, 'item is', 'items are')} usable on {last.night} "
                f"({signed_text(last.usable - first.usable, 0)} since {first.night}), "
                f"{last.provisional:,} provisional, {last.retired:,} retired."
            ),
            headers=("Night", "Version", "Usable", "Provisional", "Retired"),
            rows=tuple(
                (str(n.night), str(n.version), f"{n.usable:,}", f"{n.provisional:,}",
                 f"{n.retired:,}")
                for n in reversed(figures)
            ),
        ),
        paint,
    )  # fmt: skip


def ability_error_chart(figures: Sequence[NightFigures], pencil: Pencil) -> Chart | None:
    """Draw the mean standard error of ability on each night; None where none is known."""
    known = [night for night in figures if math.isfinite(night.ability_se)]
    if not known:
        return None

    def paint(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        places = date_axis(axis, [night.night for night in known])
        errors = [night.ability_se for night in known]
        axis.plot(places, errors, "-o", color=MARK, markersize=3)
        axis.set_ylim(0, _ROOM * max(errors))
        name_axes(axis, "night", "mean standard error")

    first, last = known[0], known[-1]
    return pencil.drawn(
        Chart(
            name="ability-error",
            title="Mean standard error of ability",
            summary=(
                f"{decimal_text(last.ability_se, 3)} over "
                f"{counted(last.sessions, 'session')} of {last.night}; "
                f"{decimal_text(first.ability_se, 3)} on {first.night}."
            ),
            headers=("Night", "Sessions", "Mean standard error"),
            rows=tuple(
                (str(n.night), f"{n.sessions:,}", decimal_text(n.ability_se, 3))
                for n in reversed(known)
            ),
        ),
        paint,
    )


def _information_in_words(count: int, information: FloatArray) -> str:
    if not count:
        return "No item is in use."
    at = dict(zip(_TOLD, information.tolist(), strict=True))
    least = min(_TOLD, key=lambda ability: at[ability])
    told = ", ".join(f"{decimal_text(at[k], 1)} at {signed_text(k, 0)}" for k in (-2, 0, 2))
    error = 1.0 / math.sqrt(at[least]) if at[least] > 0.0 else math.nan
    precision = decimal_text(error) if math.isfinite(error) else UNKNOWN
    return (
        f"{counted(count, 'item')} in use; information {told}. Least between −3 and +3 at "
        f"{signed_text(least, 0)}, where all of them together would leave a standard error of "
        f"{precision}."
    )
