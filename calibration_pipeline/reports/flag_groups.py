"""A night's flags as a reader wants them: by reason, the strongest evidence first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from calibration_pipeline.records import Flag
from calibration_pipeline.reports.interval_charts import (
    Change,
    IntervalChart,
    axis_reach,
    interval_chart,
)


@dataclass(frozen=True)
class Reason:
    """How a reason is written, and what its threshold limits: a change, or the value itself.

    `measure` names the value, where the label doesn't.
    """

    label: str
    limits_change: bool = False
    limit_mark: str = ""
    measure: str = ""


REASONS = {
    "difficulty_drift": Reason("Difficulty drift", limits_change=True, limit_mark="±"),
    "reference_drift": Reason(
        "Difficulty drift since a window ago", limits_change=True, limit_mark="±"
    ),
    "carried_contradicted": Reason(
        "Contradicts its earlier answers", limits_change=True, limit_mark="±"
    ),
    "anchor_drift": Reason("Anchor drift", limits_change=True, limit_mark="±"),
    "guessing_rise": Reason("Guessing rise", limits_change=True, limit_mark="+"),
    "low_discrimination": Reason("Low discrimination"),
    "estimate_at_bound": Reason("Estimate at a bound"),
    "suspected_leak": Reason("Suspected leak", measure="log likelihood ratio"),
    "differential_functioning": Reason(
        "Difference between groups (Mantel–Haenszel delta)", limits_change=True, limit_mark="±"
    ),
    "misfit_infit": Reason("Misfit (infit)", measure="mean square"),
    "misfit_outfit": Reason("Misfit (outfit)", measure="mean square"),
}


@dataclass(frozen=True)
class FlagRow:
    """One flag, the sign of its threshold, and its chart; None where nothing can be drawn."""

    flag: Flag
    limit_mark: str
    chart: IntervalChart | None


@dataclass(frozen=True)
class FlagGroup:
    """Flags of one reason; `rows` holds the strongest, `left_out` counts the others.

    The charts of a group share the axis from −`reach` to `reach`, centred at what each flag is
    compared with.
    """

    label: str
    measure: str
    rows: tuple[FlagRow, ...]
    left_out: int
    reach: float

    @property
    def count(self) -> int:
        """Flags in the group, shown or not."""
        return len(self.rows) + self.left_out


def group_flags(flags: Sequence[Flag], *, limit: int) -> tuple[FlagGroup, ...]:
    """Group flags by reason and show at most `limit` of each, by decreasing |z|."""
    ordered = sorted(flags, key=lambda flag: (flag.reason, -_strength(flag), flag.key))
    return tuple(
        _group(reason_of(name), list(group), limit)
        for name, group in groupby(ordered, key=lambda flag: flag.reason)
    )


def reason_of(name: str) -> Reason:
    """Describe a reason; one that this page doesn't know is written out as it is."""
    return REASONS.get(name, Reason(name.replace("_", " ").capitalize()))


def _group(reason: Reason, flags: list[Flag], limit: int) -> FlagGroup:
    shown = flags[:limit]
    changes = [_change(flag, reason) for flag in shown]
    reach = axis_reach(change for change in changes if change is not None)
    rows = tuple(
        FlagRow(flag, reason.limit_mark, interval_chart(change, reach) if change else None)
        for flag, change in zip(shown, changes, strict=True)
    )
    return FlagGroup(reason.label, reason.measure, rows, len(flags) - len(shown), reach)


def _change(flag: Flag, reason: Reason) -> Change | None:
    """Give the change behind a flag, None where value or reference is unknown.

    Its standard error is what turned the change into the flag's z.
    """
    value = flag.value - flag.reference
    if not math.isfinite(value):
        return None
    error = abs(value / flag.z) if flag.z else math.nan
    if not reason.limits_change:
        limits: tuple[float, ...] = (flag.threshold - flag.reference,)
    elif reason.limit_mark == "±":
        limits = (-flag.threshold, flag.threshold)
    else:
        limits = (flag.threshold,)
    return Change(value, error, limits=limits)


def _strength(flag: Flag) -> float:
    return abs(flag.z) if math.isfinite(flag.z) else 0.0
