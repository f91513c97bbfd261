"""What the Dagster UI shows of exposure: how often items are seen, and what control reaches."""

from collections.abc import Sequence

import dagster as dg
import numpy as np

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.exposure import ReportedAcceptance
from calibration_pipeline.policy.exposure_control import expected_rates
from calibration_pipeline.records import FloatArray, ItemBank, ItemKey, ScaleExposure

_STANDS_OUT = 4.0
"""z from which a reported acceptance is off: among 2,400 items, by chance once in seven nights
where counts are large; `credible_z` allows for small ones."""


def of_observed(
    rates: FloatArray, bank: ItemBank, limit: float, controls: Sequence[ScaleExposure]
) -> Metadata:
    """What the window's sessions saw: against the maximum, and against what control foretells."""
    foretold = _foretold(controls)
    most = np.argsort(-rates, kind="stable")[:ROWS]
    return {
        "highest exposure rate": round(float(rates.max(initial=0.0)), 4),
        f"items above {limit:.0%}": int((rates > limit).sum()),
        "items never seen": int((rates == 0).sum()),
        "most seen items": dg.MetadataValue.md(
            table(
                ("item", "share of sessions", "maximum", "under control"),
                [
                    (item_name(bank.keys[j]), f"{rates[j]:.1%}", f"{limit:.1%}",
                     _share(foretold.get(bank.keys[j])))
                    for j in most
                ],
            )
        ),
    }  # fmt: skip


def of_control(controls: Sequence[ScaleExposure], unreachable: dict[str, str]) -> Metadata:
    """What control reaches, by scale; the figures that plot are those of the worst scale.

    Parameters
    ----------
    unreachable
        Scale → why its items can't be kept below the maximum.
    """
    shown: dict[str, dg.MetadataValue | str | int | float] = {}
    if controls:
        shown = {
            "maximum rate": max(control.maximum_rate for control in controls),
            "worst rate": max(control.worst_rate for control in controls),
            "worst rate without control": max(c.worst_rate_without for c in controls),
            "precision lost": max(control.precision_lost for control in controls),
            "items held back": sum(control.items_held_back for control in controls),
            "control": dg.MetadataValue.md(
                table(
                    ("scale", "method", "maximum", "worst rate", "without", "reached",
                     "precision lost", "held back"),
                    [
                        (c.scale, c.method, f"{c.maximum_rate:.1%}", f"{c.worst_rate:.2%}",
                         f"{c.worst_rate_without:.1%}", "yes" if c.is_reached else "NO",
                         f"{c.precision_lost:.1%}", c.items_held_back)
                        for c in controls
                    ],
                )
            ),
        }  # fmt: skip
    if unreachable:
        reasons = (f"{scale}: {why}" for scale, why in unreachable.items())
        shown["not controlled"] = "; ".join(reasons)
    return shown


def of_reports(reports: Sequence[ReportedAcceptance], unmatched: int) -> Metadata:
    """What engines report of the probabilities that they drew with; nothing if none does.

    Parameters
    ----------
    unmatched
        Proposals by probabilities that are not in the store.
    """
    if not reports and not unmatched:
        return {}
    off = [report for report in reports if abs(report.credible_z) >= _STANDS_OUT]
    worst = sorted(off, key=lambda report: -abs(report.credible_z))[:ROWS]
    return {
        "reported proposals": sum(report.proposed for report in reports),
        "reported proposals of no known control": unmatched,
        "items opened too often or too rarely": len(off),
        "acceptance by engines' reports": dg.MetadataValue.md(
            table(
                ("item", "proposed", "given", "expected", "z"),
                [
                    (item_name(r.key), r.proposed, r.given, f"{r.expected:.1f}", f"{r.z:+.1f}")
                    for r in worst
                ],
            )
        ),
    }


def _foretold(controls: Sequence[ScaleExposure]) -> dict[ItemKey, float]:
    return {
        key: float(rate)
        for control in controls
        for key, rate in zip(control.keys, expected_rates(control), strict=True)
    }


def _share(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"
