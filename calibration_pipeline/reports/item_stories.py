"""The flagged items that a page draws: why each was flagged, and what its answers look like."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from calibration_pipeline.records import (
    CalibrationState,
    Flag,
    ItemEstimate,
    ItemKey,
    ObservedProportions,
)
from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.flag_groups import reason_of
from calibration_pipeline.reports.flag_standing import FlagStanding
from calibration_pipeline.reports.item_charts import Curve, curve_chart, trajectory_chart

SUSPECTED_LEAK = "suspected_leak"


@dataclass(frozen=True)
class ItemEvidence:
    """What a page knows of its drawn items, beside the states.

    Attributes
    ----------
    observed
        The window's answers by ability.
    estimates
        What the nights estimated.
    reference
        The newest accepted state whose window shares no day with tonight's; None before one.
    trouble
        Why the answers could not be read; empty where they could.
    """

    observed: Mapping[ItemKey, ObservedProportions]
    estimates: Mapping[ItemKey, Sequence[ItemEstimate]]
    reference: CalibrationState | None
    trouble: str = ""


@dataclass(frozen=True)
class ItemStory:
    """One flagged item: its flags as (reason, explanation), and its charts."""

    key: ItemKey
    is_new: bool
    flags: tuple[tuple[str, str], ...]
    charts: tuple[Chart, ...]


def items_to_draw(standing: FlagStanding, limit: int) -> tuple[tuple[ItemKey, ...], int]:
    """Choose items with open flags: new ones first, then by the strongest evidence of tonight.

    Returns
    -------
    The items, and how many there are in all.
    """
    strongest: dict[ItemKey, tuple[bool, float]] = {}
    for is_known, flags in ((False, standing.new), (True, standing.known)):
        for flag in flags:
            rank = (is_known, -abs(flag.z) if math.isfinite(flag.z) else 0.0)
            strongest[flag.key] = min(strongest.get(flag.key, rank), rank)
    ordered = sorted(strongest, key=lambda key: (strongest[key], key))
    return tuple(ordered[:limit]), len(ordered)


def item_stories(
    keys: Sequence[ItemKey],
    standing: FlagStanding,
    state: CalibrationState,
    parent: CalibrationState | None,
    evidence: ItemEvidence,
    scaling_constant: float,
    pencil: Pencil,
) -> tuple[ItemStory, ...]:
    """Tell the story of each item, in the order given."""
    position = {key: j for j, key in enumerate(state.keys)}
    new = {flag.key for flag in standing.new}
    flags: dict[ItemKey, list[Flag]] = {}
    for flag in (*standing.new, *standing.known):
        flags.setdefault(flag.key, []).append(flag)
    stories = []
    for number, key in enumerate(keys):
        j, name = position[key], f"item{number}"
        now, before = _curves(state, evidence.reference, parent, j)
        charts = [
            curve_chart(
                name, now, before, evidence.observed.get(key), scaling_constant, pencil,
                is_held=bool(state.is_anchor[j]),
            )
        ]  # fmt: skip
        # On nights without a fit an anchor has no shadow, and no error.
        estimates = [e for e in evidence.estimates.get(key, ()) if e.difficulty_se > 0.0]
        if estimates:
            held = float(state.parameters[j, 1]) if state.is_anchor[j] else None
            charts.append(trajectory_chart(name, estimates, held, pencil))
        told = tuple(
            (reason_of(f.reason).label, _explained(f, evidence.observed.get(key)))
            for f in flags[key]
        )
        stories.append(ItemStory(key, key in new, told, tuple(charts)))
    return tuple(stories)


def _explained(flag: Flag, observed: ObservedProportions | None) -> str:
    """Why it was flagged; of a suspected leak also what the answers since then look like."""
    if flag.reason != SUSPECTED_LEAK or observed is None or observed.since_onset is None:
        return flag.explanation
    return f"{flag.explanation}. {observed.since_onset.words}"


def _curves(
    state: CalibrationState,
    reference: CalibrationState | None,
    parent: CalibrationState | None,
    j: int,
) -> tuple[Curve, Curve | None]:
    """Tonight's curve, and the one to hold it against.

    Of an anchor the latter is its reference. Of other items it is the one of a window ago, which
    rests on none of tonight's answers; of last night where there is no such night yet.
    """
    key, night = state.keys[j], state.partition
    if state.is_anchor[j]:
        shadow = Curve(f"{night}, refitted", state.shadow_parameters[j])
        return shadow, Curve("reference", state.parameters[j])
    now = Curve(str(night), state.parameters[j])
    for earlier in (reference, parent):
        if earlier is not None and key in earlier.keys:
            row = earlier.keys.index(key)
            if np.isfinite(earlier.parameters[row]).all():
                return now, Curve(_before(earlier.partition), earlier.parameters[row])
    return now, None


def _before(night: date) -> str:
    return f"{night}, before"
