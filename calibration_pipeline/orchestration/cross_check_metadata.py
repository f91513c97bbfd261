"""What the Dagster UI shows of the cross-checks."""

import base64
from collections.abc import Sequence

import dagster as dg
import numpy as np

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.posterior_comparison import (
    COORDINATES,
    AuditVerdict,
    PosteriorComparison,
)
from calibration_pipeline.policy.second_opinion import Agreement
from calibration_pipeline.records import ItemKey
from calibration_pipeline.reports.posterior_chart import (
    Interval,
    PosteriorRow,
    agreement_chart,
    posterior_chart,
)

_CHARTED = 20
_Z95 = 1.959963984540054


def of_audit(compared: Sequence[PosteriorComparison], verdict: AuditVerdict) -> Metadata:
    """Every audited item's comparison in figures; the worst ones in a table and a chart."""
    worst = sorted(compared, key=lambda item: (not item.is_poor, -item.worst))
    shown: dict[str, dg.MetadataValue[str] | str | int | float] = {
        "dagster/row_count": len(compared),
        "items audited": len(compared),
        "flagged items audited": sum(item.is_flagged for item in compared),
        "poorly approximated": sum(item.is_poor for item in compared),
        "not judged": sum(not item.is_judged for item in compared),
        "verdict": verdict.detail,
    }
    if not compared:
        return shown
    return shown | {
        "median distance of means in sd": _middle([np.abs(c.mean_shift).max() for c in compared]),
        "median ratio of sds of b": _middle([c.sd_ratio[1] for c in compared]),
        "highest R-hat": round(max(float(c.r_hat.max()) for c in compared), 4),
        "fewest effective draws": round(min(float(c.effective_draws.min()) for c in compared)),
        "worst items": dg.MetadataValue.md(_table_of_items(worst[:ROWS])),
        "intervals": _image(posterior_chart(COORDINATES, [_row(c) for c in worst[:_CHARTED]])),
    }


def of_agreement(found: Agreement, names: Sequence[ItemKey], sampled: int) -> Metadata:
    """How two calibrations agree: figures that plot, the items that differ most, and a chart.

    Parameters
    ----------
    names
        Keys of the items that were compared, in order.
    sampled
        Answers of the sample.
    """
    difference = found.difference
    most = np.argsort(-np.abs(difference), kind="stable")[:ROWS]
    return {
        "dagster/row_count": len(found.items),
        "items compared": len(found.items),
        "answers in the sample": sampled,
        "correlation of difficulties": round(found.correlation, 4),
        "rank correlation of difficulties": round(found.rank_correlation, 4),
        "rank correlation of discriminations": round(found.discrimination_rank_correlation, 4),
        "slope to our scale": round(found.slope, 4),
        "intercept to our scale": round(found.intercept, 4),
        "root mean square difference": round(float(np.sqrt(np.mean(difference**2))), 4),
        "most different items": dg.MetadataValue.md(
            table(
                ("item", "answers", "half right at, ours", "py-irt's", "difference"),
                [
                    (item_name(names[k]), int(found.answers[k]), f"{found.ours[k]:+.2f}",
                     f"{found.theirs[k]:+.2f}", f"{difference[k]:+.2f}")
                    for k in most
                ],
            )
        ),
        "difficulties": _image(agreement_chart(found.ours.tolist(), found.theirs.tolist())),
    }  # fmt: skip


def _table_of_items(compared: Sequence[PosteriorComparison]) -> str:
    return table(
        ("item", "answers", "flagged", "Δ means (sd)", "ratio of sds", "R-hat", "draws", "why"),
        [
            (item_name(c.key), c.n_answers, "yes" if c.is_flagged else "no",
             " ".join(f"{shift:+.2f}" for shift in c.mean_shift),
             " ".join(f"{ratio:.2f}" for ratio in c.sd_ratio),
             f"{c.r_hat.max():.3f}", f"{c.effective_draws.min():.0f}",
             "; ".join(c.reasons) or ("fine" if c.is_judged else "the sampler did not converge"))
            for c in compared
        ],
    )  # fmt: skip


def _row(compared: PosteriorComparison) -> PosteriorRow:
    unit = np.where(compared.exact_sd > 0.0, compared.exact_sd, 1.0)
    ends = compared.mean + _Z95 * compared.sd * np.array([[-1.0], [1.0]])
    gaussian = (ends - compared.exact_mean) / unit
    exact = gaussian - compared.interval_shift
    return PosteriorRow(
        item_name(compared.key),
        compared.is_poor,
        [Interval(low, 0.0, high) for low, high in exact.T.tolist()],
        [
            Interval(low, centre, high)
            for (low, high), centre in zip(
                gaussian.T.tolist(), compared.mean_shift.tolist(), strict=True
            )
        ],
    )


def _image(svg: str) -> dg.MetadataValue[str]:
    """An image that Dagster's page holds itself: Markdown may show data URLs."""
    data = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![chart](data:image/svg+xml;base64,{data})")


def _middle(values: Sequence[float]) -> float:
    return round(float(np.median(values)), 4)
