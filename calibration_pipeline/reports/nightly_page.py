"""The nightly page: what the data lead reads in the morning. Records in, one HTML text out.

The page stands alone: no script, no font, no picture from elsewhere. It holds items and counts,
never a candidate or a session.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    DayRevision,
    Flag,
    FlagReview,
    ItemBank,
    ItemKey,
    ScaleLink,
    ScaleState,
    ScaleWatch,
    SnapshotItem,
)
from calibration_pipeline.reports.alarms import alarms_of_night
from calibration_pipeline.reports.answers_found import Finding, answers_found, late_answers_line
from calibration_pipeline.reports.changed_items import changed_items
from calibration_pipeline.reports.flag_groups import group_flags, reason_of
from calibration_pipeline.reports.flag_standing import FlagStanding, flag_standing
from calibration_pipeline.reports.page_charts import LookBack, page_charts
from calibration_pipeline.reports.pool_changes import (
    count_sources,
    first_estimates,
    graduates,
    largest_moves,
    version_change,
)
from calibration_pipeline.reports.templating import counted, template_environment
from calibration_pipeline.reports.verdict import verdict_of

CREDIBLE_SHOWN_PER_REASON = 100
OTHERS_SHOWN_PER_REASON = 25
MOVES_SHOWN = 15
CHANGED_SHOWN = 50


@dataclass(frozen=True)
class NightlyPage:
    """Everything a night's page tells.

    Attributes
    ----------
    day
        The night's own day, as archived.
    state, parent
        Tonight's fit and verdict, and the accepted state it started from.
    flags, links
        What was flagged and linked; empty when the fit was rejected.
    items
        The version as composed, in the bank's order; None when the night got no further than
        its fit.
    previous
        Items of the newest version of an earlier night; empty before the first.
    version
        The published version's number; None when nothing was published.
    findings
        The publication audit; empty when there was none.
    bank
        The pool the night was computed on.
    window_days
        Days that a full window has.
    late_answers
        By day that had been folded in, how many answers came for it afterwards; 0 where answers
        were only corrected.
    reviews
        How flags stand with the reviewers; a credible flag that isn't among them counts as new.
    watched
        Whether each scale still stands where it stood; empty when the fit was rejected.
    leak_delays
        Number of items by how soon a leak of theirs would be found; empty where nights don't watch.
    previous_version
        Number of the version that `previous` holds.
    scaling_constant
        D, which the discriminations are stated for.
    look_back
        What earlier nights left behind, and the answers to the items that are drawn.
    """

    day: DayRevision
    state: CalibrationState
    parent: CalibrationState | None
    flags: Sequence[Flag]
    links: Sequence[ScaleLink]
    items: Sequence[SnapshotItem] | None
    previous: Mapping[ItemKey, SnapshotItem]
    version: int | None
    findings: Sequence[AuditFinding]
    bank: ItemBank
    window_days: int
    late_answers: Mapping[date, int] = field(default_factory=dict)
    reviews: Sequence[FlagReview] = ()
    watched: Sequence[ScaleWatch] = ()
    leak_delays: Mapping[str, int] = field(default_factory=dict)
    previous_version: int | None = None
    scaling_constant: float = 1.0
    look_back: LookBack = field(default_factory=LookBack)


@dataclass(frozen=True)
class ScaleRow:
    """One scale tonight, beside the accepted night before; `earlier` is None where it was new."""

    now: ScaleState
    earlier: ScaleState | None
    model: str
    item_count: int


def render_nightly_page(page: NightlyPage) -> str:
    """Write the page as one HTML document.

    The same records give the same text: no clock is read.
    """
    template = template_environment().get_template("nightly_page.html.j2")
    standing = flag_standing(page.flags, page.reviews, page.state.partition)
    return template.render(
        page=page,
        alarms=alarms_of_night(page.state, page.flags, standing.new, page.links, page.watched),
        charts=page_charts(page, standing),
        verdict=verdict_of(page.state, page.items, standing.counts, page.findings, page.version),
        scales=_scale_rows(page),
        missing_days=missing_days(page.state, page.window_days),
        window_answers=sum(scale.response_count for scale in page.state.scales),
        quarantined=sorted(
            page.day.quarantine_counts.items(), key=lambda pair: (-pair[1], pair[0])
        ),
        flag_counts=_flag_counts(page.flags),
        **_flags(standing),
        compared_count=len({difference.key for difference in page.state.differences}),
        scale_of=_scale_of(page),
        found=_found(page.state),
        has_groups=any(map(_has_groups, page.state.scales)),
        late_answers_line=late_answers_line(page.late_answers),
        changed=changed_items(page.state, page.bank, limit=CHANGED_SHOWN),
        counted=counted,
        **_pool(page),
    )


def missing_days(state: CalibrationState, window_days: int) -> tuple[tuple[date, date], ...]:
    """List the runs of days that a full window would hold and this one lacks, as (first, last)."""
    present = {day for day, _, _ in state.window}
    runs: list[tuple[date, date]] = []
    for age in range(window_days - 1, -1, -1):
        day = state.partition - timedelta(days=age)
        if day in present:
            continue
        if runs and runs[-1][1] == day - timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return tuple(runs)


def _flags(standing: FlagStanding) -> dict[str, Any]:
    """Gather the tables of flags: what waits for a reviewer comes before what is known."""
    return {
        "standing": standing,
        "new_flags": group_flags(standing.new, limit=CREDIBLE_SHOWN_PER_REASON),
        "known_flags": group_flags(standing.known, limit=CREDIBLE_SHOWN_PER_REASON),
        "silent_flags": group_flags(standing.silent, limit=OTHERS_SHOWN_PER_REASON),
        "others": group_flags(standing.others, limit=OTHERS_SHOWN_PER_REASON),
        "credible_count": sum(
            flag.is_credible for part in (standing.new, standing.known) for flag in part
        ),
    }


def _pool(page: NightlyPage) -> dict[str, Any]:
    """Gather the part of the page that exists only when a version was composed."""
    items = page.items or ()
    moves, reach = largest_moves(items, page.previous, limit=MOVES_SHOWN)
    return {
        "sources": count_sources(items),
        "change": version_change(items, page.previous),
        "graduates": graduates(items, page.previous),
        "first_estimates": first_estimates(items, page.previous),
        "at_bound": [item for item in items if item.at_bound],
        "moves": moves,
        "moves_reach": reach,
        "retired_count": int(page.bank.is_retired.sum()),
        "refitted_count": sum(item.source == "fitted" for item in items),
        "updated_count": int(page.state.is_updated.sum()),
        "anchor_count": int(page.state.is_anchor.sum()),
    }


def _scale_rows(page: NightlyPage) -> list[ScaleRow]:
    earlier = {scale.name: scale for scale in page.parent.scales} if page.parent else {}
    models = dict(zip(page.bank.scale_names, page.bank.scale_models, strict=True))
    numbers = {name: number for number, name in enumerate(page.bank.scale_names)}
    return [
        ScaleRow(
            scale,
            earlier.get(scale.name),
            models[scale.name],
            int((page.bank.scale_index == numbers[scale.name]).sum()),
        )
        for scale in page.state.scales
    ]


def _found(state: CalibrationState) -> list[tuple[ScaleState, tuple[Finding, ...]]]:
    pairs = [(scale, answers_found(scale)) for scale in state.scales]
    return [(scale, findings) for scale, findings in pairs if findings]


def _has_groups(scale: ScaleState) -> bool:
    """Say whether the groups tell more than the scale's mean and spread."""
    return len(scale.groups) > 1 or any(group.slope for group in scale.groups)


def _scale_of(page: NightlyPage) -> dict[ItemKey, str]:
    """Scale of each flagged item; empty in a pool with one scale, where it says nothing."""
    bank = page.bank
    if len(bank.scale_names) == 1:
        return {}
    keys = [flag.key for flag in page.flags]
    return {
        key: bank.scale_names[bank.scale_index[position]]
        for key, position in zip(keys, bank.positions(keys), strict=True)
    }


def _flag_counts(flags: Sequence[Flag]) -> list[tuple[str, int, int]]:
    """Reason, credible, not credible; the reason with most credible flags first."""
    counted_flags = Counter((reason_of(flag.reason).label, flag.is_credible) for flag in flags)
    counts = [
        (label, counted_flags[label, True], counted_flags[label, False])
        for label in {label for label, _ in counted_flags}
    ]
    return sorted(counts, key=lambda count: (-count[1], -count[2], count[0]))
