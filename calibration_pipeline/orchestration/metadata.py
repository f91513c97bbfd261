"""What the Dagster UI shows of a night: figures that plot, and tables that a person reads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.link_reasons import kind_of
from calibration_pipeline.policy.publication import eligible_items
from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    DayRevision,
    Flag,
    ScaleLink,
    ScaleState,
    ScreeningCounts,
    SnapshotItem,
)
from calibration_pipeline.store.late_answers import LateDay

Metadata = Mapping[str, dg.MetadataValue[Any] | str | int | float]
ROWS = 10


def skipped(reason: str) -> Metadata:
    """A night that this step had nothing to do for."""
    return {"skipped": reason}


def of_revision(revision: DayRevision) -> Metadata:
    """One extracted day; what was left out of it is another matter (`answers_metadata`)."""
    return {
        "dagster/row_count": revision.response_count,
        "sessions": revision.session_count,
        "revision": revision.revision,
        "digest": revision.digest,
    }


def of_erased_sessions(count: int) -> Metadata:
    """Say how many sessions of erased candidates the source still holds; nothing if none."""
    return {"sessions of erased candidates left out": count} if count else {}


def of_late_answers(late: Sequence[LateDay]) -> Metadata:
    """What has come for folded days since they were folded: it doesn't count."""
    newest = sorted(late, key=lambda found: found.day, reverse=True)[:ROWS]
    return {
        "late answers to folded days": sum(found.answers for found in late),
        "folded days that changed": len(late),
        "late answers by day": dg.MetadataValue.md(
            table(
                ("day", "late answers"),
                [(str(found.day), found.answers or "corrected") for found in newest],
            )
        ),
    }


def of_state(state: CalibrationState, configuration: CalibrationConfiguration) -> Metadata:
    """One night's fit."""
    refitted = eligible_items(state, configuration)
    waiting = state.is_updated & ~refitted
    unseen = (state.window_counts == 0) & ~state.is_anchor
    return {
        "accepted": dg.MetadataValue.bool(state.is_accepted),
        "reasons": "; ".join(state.reasons) or "none",
        "attempt": state.attempt,
        "responses in window": int(state.window_counts.sum()),
        "days in window": len(state.window),
        "days folded": len(state.folded),
        "items refitted": int(refitted.sum()),
        f"items below {configuration.minimum_responses} responses": int(waiting.sum()),
        "items without responses": int(unseen.sum()),
        "anchors": int(state.is_anchor.sum()),
        **_of_released(state.scales),
        "median standard error of difficulty": _median_error(state, refitted),
        "scales": dg.MetadataValue.md(
            table(
                ("scale", "mean", "sd", "cycles", "converged", "sessions", "note"),
                [
                    (s.name, f"{s.population_mean:.3f}", f"{s.population_sd:.3f}", s.cycles,
                     "yes" if s.converged else "no", s.session_count, s.reason)
                    for s in state.scales
                ],
            )
        ),
        "population mean": _rounded(state.scales[0].population_mean),
        "population sd": _rounded(state.scales[0].population_sd),
        "groups": dg.MetadataValue.md(_table_of_groups(state.scales)),
        "items compared between groups": len({found.key for found in state.differences}),
        **_of_answers([scale.screening for scale in state.scales]),
        **_of_contradictions(state),
        "starts from": str(state.parent[0]) if state.parent else "the first night",
        "folded through": str(state.folded_through),
        "state digest": state.digest,
    }  # fmt: skip


def of_flags(flags: Sequence[Flag]) -> Metadata:
    """The night's flags: counts that plot, and the ten most credible."""
    credible = [flag for flag in flags if flag.is_credible]
    worst = sorted(flags, key=lambda flag: -abs(flag.z))[:ROWS]
    return {
        "dagster/row_count": len(flags),
        "flags": len(flags),
        "credible flags": len(credible),
        "by reason": dg.MetadataValue.md(
            table(
                ("reason", "credible", "all"),
                [
                    (reason, sum(flag.reason == reason for flag in credible), n)
                    for reason, n in sorted(Counter(flag.reason for flag in flags).items())
                ],
            )
        ),
        "items to look at": dg.MetadataValue.md(
            table(
                ("item", "reason", "value", "z", "credible"),
                [
                    (item_name(f.key), f.reason, f"{f.value:.2f}", f"{f.z:.1f}",
                     "yes" if f.is_credible else "no")
                    for f in worst
                ],
            )
        ),
        "what they show": dg.MetadataValue.md(
            table(
                ("item", "reason", "what"),
                [(item_name(f.key), f.reason, f.explanation) for f in worst],
            )
        ),
    }  # fmt: skip


def of_links(links: Sequence[ScaleLink]) -> Metadata:
    """Linking constants, and which anchors were left out."""
    first = links[0] if links else None
    left_out = Counter(
        kind_of(reason) for link in links for reason in link.anchors_left_out.values()
    )
    return {
        "dagster/row_count": len(links),
        "slope": _rounded(first.slope if first else 1.0),
        "intercept": _rounded(first.intercept if first else 0.0),
        "slope se": _rounded(first.slope_se if first else 0.0),
        "intercept se": _rounded(first.intercept_se if first else 0.0),
        "anchors used": sum(link.anchors_used for link in links),
        "anchors left out": sum(left_out.values()),
        "links": dg.MetadataValue.md(
            table(
                ("scale", "method", "slope", "se", "intercept", "se", "anchors", "within bounds"),
                [
                    (k.scale, k.method, f"{k.slope:.4f}", f"{k.slope_se:.4f}",
                     f"{k.intercept:+.4f}", f"{k.intercept_se:.4f}", k.anchors_used,
                     "yes" if k.is_within_bounds else "no")
                    for k in links
                ],
            )
        ),
        "why left out": dg.MetadataValue.md(table(("reason", "anchors"), sorted(left_out.items()))),
    }  # fmt: skip


def of_snapshot(
    version: int | None, items: Sequence[SnapshotItem], findings: Sequence[AuditFinding]
) -> Metadata:
    """A published version, or why there is none."""
    sources = Counter(item.source for item in items)
    tracks = Counter(item.track for item in items)
    return {
        "version": version if version is not None else "none published",
        "dagster/row_count": len(items),
        **{f"items {source}": n for source, n in sorted(sources.items())},
        **{f"items {track}": n for track, n in sorted(tracks.items())},
        "estimates at a bound": sum(bool(item.at_bound) for item in items),
        "audit": dg.MetadataValue.md(
            table(
                ("rule", "passed", "detail"),
                [(f.rule, "yes" if f.passed else "NO", f.detail) for f in findings],
            )
        ),
    }


def item_name(key: tuple[str, int]) -> str:
    """Name an item for people; the version only where there is more than one."""
    return key[0] if key[1] == 1 else f"{key[0]} (version {key[1]})"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells can't break out of it. Without rows it is the word 'none'."""
    if not rows:
        return "none"
    lines = [columns, ["---"] * len(columns), *rows]
    cells = (
        " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line)
        for line in lines
    )
    return "\n".join(f"| {line} |" for line in cells)


def _median_error(state: CalibrationState, rows: np.ndarray) -> float:
    variances = state.covariance[rows, 1, 1]
    return _rounded(np.sqrt(np.median(variances))) if len(variances) else 0.0


def _table_of_groups(scales: Sequence[ScaleState]) -> str:
    return table(
        ("scale", "group", "mean", "slope on the start", "sd", "sessions"),
        [
            (s.name, g.name, f"{g.mean:.3f}", f"{g.slope:.3f}", f"{g.sd:.3f}", g.session_count)
            for s in scales
            for g in s.groups
        ],
    )


def _of_released(scales: Sequence[ScaleState]) -> Metadata:
    """Anchors that the fit did not hold: a count that plots, and each with its reason."""
    released = [(s.name, *anchor) for s in scales for anchor in s.released_anchors]
    rows = table(("scale", "anchor", "why"), released)
    return {
        "anchors released": len(released),
        "released anchors": dg.MetadataValue.md(rows),
    }


def _of_answers(scales: Sequence[ScreeningCounts]) -> Metadata:
    """What was found in the answers, over all scales; a share of nothing is left out."""

    def total(name: str) -> int:
        return sum(getattr(counts, name) for counts in scales)

    answers, sessions = total("answers"), total("sessions") + total("short_sessions")
    shares = {
        "share of rapid guesses": (total("rapid_guesses"), answers if total("timed_items") else 0),
        "share of repeated exposures": (total("repeated_exposures"), answers),
        "share of aberrant sessions": (total("aberrant_sessions"), total("judged_sessions")),
        "share of short sessions": (total("short_sessions"), sessions),
    }
    return {
        **{name: _rounded(count / whole) for name, (count, whole) in shares.items() if whole},
        "items omitted": total("omitted"),
        "items not reached": total("not_reached"),
        "invalid answers": total("invalid"),
        "answers left out of suspected leaks": total("suspected"),
    }


def _of_contradictions(state: CalibrationState) -> Metadata:
    """Items whose carried information was dropped: a count that plots, the clearest ones first."""
    dropped = np.flatnonzero(state.is_contradicted)
    z = np.abs(state.carried_shift[dropped] / state.carried_shift_se[dropped])
    clearest = dropped[np.argsort(-z, kind="stable")][:ROWS]
    return {
        "items whose carried information was dropped": len(dropped),
        "carried information dropped": dg.MetadataValue.md(
            table(
                ("item", "shift in difficulty", "standard error"),
                [
                    (item_name(state.keys[j]), f"{state.carried_shift[j]:+.3f}",
                     f"{state.carried_shift_se[j]:.3f}")
                    for j in clearest
                ],
            )
        ),
    }  # fmt: skip


def _rounded(value: float) -> float:
    """Four decimals: more is noise on a screen."""
    return round(float(value), 4)
