"""What became of a night, in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from calibration_pipeline.records import AuditFinding, CalibrationState, FlagCounts, SnapshotItem
from calibration_pipeline.reports.templating import counted

PUBLISHED, REJECTED, UNPUBLISHED = "published", "rejected", "unpublished"


@dataclass(frozen=True)
class Verdict:
    """The outcome (published, rejected or unpublished) and the sentence that says why."""

    outcome: str
    sentence: str


def verdict_of(
    state: CalibrationState,
    items: Sequence[SnapshotItem] | None,
    flags: FlagCounts,
    findings: Sequence[AuditFinding],
    version: int | None,
) -> Verdict:
    """Say whether the night published, and if not, what stopped it.

    The order is that of the night: the fit is judged first, then whether there was anything to
    fit, then the audit; what remains was stopped from outside.
    """
    if version is not None:
        return Verdict(PUBLISHED, _published(version, items or (), flags))
    failed = [finding.rule for finding in findings if not finding.passed]
    if not state.is_accepted:
        why = "; ".join(state.reasons) or "no reason was recorded"
        return Verdict(REJECTED, f"The fit was rejected, nothing was published: {why}.")
    if failed:
        return Verdict(
            REJECTED,
            f"Nothing was published: the audit failed {len(failed)} of "
            f"{counted(len(findings), 'rule')} ({'; '.join(failed)}).",
        )
    if not any(scale.fitted for scale in state.scales):
        return Verdict(
            UNPUBLISHED, "Nothing was eligible: no scale had enough answers, nothing was published."
        )
    return Verdict(
        UNPUBLISHED,
        "The fit was accepted but no version was written: a dry run, or publication was stopped.",
    )


def _published(version: int, items: Sequence[SnapshotItem], flags: FlagCounts) -> str:
    refitted = sum(item.source == "fitted" for item in items)
    return (
        f"Published version {version}: {refitted:,} of {counted(len(items), 'item')} refitted, "
        f"{flags}."
    )
