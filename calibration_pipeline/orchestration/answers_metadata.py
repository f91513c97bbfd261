"""What the Dagster UI shows of the answers: what was left out, and whether there are enough."""

import math
from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.quarantine_reasons import bad_rows, in_words
from calibration_pipeline.policy.readiness import Readiness
from calibration_pipeline.records import DayRevision
from calibration_pipeline.store.quarantine_reading import QuarantinedRow
from calibration_pipeline.store.sources.base import ResponseSource


def of_source(source: ResponseSource) -> Metadata:
    """Where the answers came from, and what was noticed there."""
    noticed = {"noticed at the source": "; ".join(source.warnings)} if source.warnings else {}
    return {"source": source.kind, **noticed}


def of_remarks(remarks: Sequence[str]) -> Metadata:
    """What is odd about a day's answers, and stops nothing; nothing if all is as usual."""
    return {"worth a look": "; ".join(remarks)} if remarks else {}


def of_quarantine(revision: DayRevision, examples: Sequence[QuarantinedRow]) -> Metadata:
    """What was left out of one extracted day: counts that plot, their meaning, some of the rows."""
    counts = revision.quarantine_counts
    left_out = sum(counts.values())
    rows = revision.response_count + left_out
    return {
        "quarantined": left_out,
        "share of bad rows": round(bad_rows(counts) / max(rows, 1), 4),
        "quarantined by reason": dg.MetadataValue.md(
            table(
                ("reason", "rows", "share", "what it means"),
                [
                    (reason, n, f"{n / rows:.2%}", in_words(reason).meaning)
                    for reason, n in sorted(counts.items(), key=lambda found: (-found[1], found[0]))
                ],
            )
        ),
        "examples of quarantined rows": dg.MetadataValue.md(
            table(
                ("reason", "session", "candidate", "item", "answered at", "result", "as written"),
                [_example(row) for row in examples],
            )
        ),
    }


def of_readiness(
    readiness: Readiness, last: date, configuration: CalibrationConfiguration
) -> Metadata:
    """How far the pool has come, by scale and content family; what is next, and what is stuck."""
    near = [item for item in readiness.items if math.isfinite(item.next_crossing)]
    return {
        "scales that can be fitted": ", ".join(readiness.fittable) or "none",
        "items": len(readiness.items),
        "items with answers": sum(group.answered for group in readiness.scales),
        "items eligible": sum(group.eligible for group in readiness.scales),
        "items trusted": sum(group.trusted for group in readiness.scales),
        "items that will never be eligible at this rate": sum(
            math.isinf(item.days_to_eligible) for item in readiness.items
        ),
        "readiness": dg.MetadataValue.md(_table_of_groups(readiness, configuration)),
        "next to cross a threshold": dg.MetadataValue.md(
            table(
                ("item", "in window", "in all", "a day", "eligible", "trusted"),
                [
                    (item_name(item.key), item.window_count, item.total_count,
                     f"{item.answers_a_day:.1f}", _when(last, item.days_to_eligible),
                     _when(last, item.days_to_trusted))
                    for item in near[:ROWS]
                ],
            )
        ),
    }  # fmt: skip


def _table_of_groups(readiness: Readiness, configuration: CalibrationConfiguration) -> str:
    """Scales, and the families that have come furthest."""
    families = sorted(readiness.families, key=lambda group: (-group.trusted, -group.eligible))
    named = [group for group in families if group.family]
    return table(
        ("scale", "family", "items", "any answer", f"{configuration.minimum_responses} in window",
         f"{configuration.trust_threshold} in all", "most answered", "anchors ready",
         "tenths covered"),
        [
            (g.scale, "all" if g.family is None else g.family, g.items, g.answered, g.eligible,
             g.trusted, f"{item_name(g.most_answered)} ({g.most_answers})" if g.most_answered
             else "–", f"{g.anchors_ready} of {g.anchors}", f"{g.deciles_covered} of {g.deciles}")
            for g in (*readiness.scales, *named[:ROWS])
        ],
    )  # fmt: skip


def _when(last: date, days: float) -> str:
    if days == 0:
        return "yes"
    return "never at this rate" if math.isinf(days) else str(last + timedelta(days=int(days)))


def _example(row: QuarantinedRow) -> tuple[str, ...]:
    """People by the first digits of their pseudonyms; the source's own text as code."""
    moment = f"{row.answered_at:%Y-%m-%d %H:%M:%S %Z}" if row.answered_at else "–"
    people = (row.session or "–", row.candidate or "–")
    texts = (_code(row.result_text), _code(row.spelling_text))
    return (row.reason, *people, _code(row.item_text), moment, *texts)


def _code(text: str) -> str:
    """Text that isn't ours: no Markdown or HTML in it is taken for such."""
    return "`" + text.replace("`", "'") + "`"
