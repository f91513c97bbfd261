"""What a replay of the milestones came to, beside classical statistics of the same answers."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from studies.classical import ages_at_half, pairwise_difficulties

MINIMUM_ANSWERS = 100
MINIMUM_OF_EACH = 5
"""Items with fewer, or fewer right or wrong ones, are left out of the comparison."""


@dataclass(frozen=True)
class Replay:
    """What a replay gives.

    Attributes
    ----------
    answers, seen
        All, and those that the nights have seen.
    dropped
        Rows of the data set without an age.
    log
        One row per night, as `calibrate backfill --json` prints it.
    versions
        Some of the published versions, each indexed by item; the last one among them.
    seconds
        Duration of the backfill.
    """

    answers: pd.DataFrame
    seen: pd.DataFrame
    dropped: int
    log: pd.DataFrame
    versions: dict[int, pd.DataFrame]
    seconds: float


def compare(items: pd.DataFrame, answers: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Set estimated difficulties beside classical statistics, by item.

    Proportions correct and pairwise difficulties come from the answers that the nights have seen.
    The age at which half pass comes from all: a part of the calendar sees each item at some ages
    only.

    Parameters
    ----------
    items
        ``scale, difficulty, difficulty_se, total_count``, indexed by item.
    answers, seen
        All answers, and those that the nights have seen.
    """
    passed = seen.groupby("item_id")["correct"].agg(["sum", "size"])
    rarer = np.minimum(passed["sum"], passed["size"] - passed["sum"])
    is_judged = items["total_count"].ge(MINIMUM_ANSWERS) & rarer.ge(MINIMUM_OF_EACH)
    judged = items[is_judged.reindex(items.index)]
    scale = seen["item_id"].map(judged["scale"]).dropna()
    by_scale = seen.loc[scale.index].groupby(scale)
    return judged[["scale", "difficulty", "difficulty_se", "total_count"]].assign(
        age_at_half=ages_at_half(answers),
        proportion_correct=passed["sum"] / passed["size"],
        pairwise=pd.concat([pairwise_difficulties(rows) for _, rows in by_scale]),
    )


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Within each scale: rank correlations, and slope and error against pairwise difficulties."""
    rows = {}
    for scale, items in table.groupby("scale"):
        b = items["difficulty"] - items["difficulty"].mean()
        pairwise = items["pairwise"] - items["pairwise"].mean()
        rows[scale] = {
            "items": len(items),
            "answers": int(items["total_count"].sum()),
            "rank_age": b.corr(items["age_at_half"], method="spearman"),
            "rank_proportion": b.corr(items["proportion_correct"], method="spearman"),
            "pairwise_slope": float(b @ pairwise / (pairwise @ pairwise)),
            "pairwise_rmse": float(np.sqrt(np.mean(np.square(b - pairwise)))),
            "median_se": items["difficulty_se"].median(),
        }
    return pd.DataFrame(rows).T


def pooled_correlations(table: pd.DataFrame) -> dict[str, float]:
    """Correlations of the difficulties, each less its scale's mean, with the same of the others."""
    others = table.assign(
        log_age=np.log(table["age_at_half"]),
        logit=np.log(table["proportion_correct"] / (1.0 - table["proportion_correct"])),
    )[["difficulty", "log_age", "logit", "pairwise"]]
    finite = others[np.isfinite(others).all(axis=1)]
    centred = finite - finite.groupby(table["scale"].loc[finite.index]).transform("mean")
    return {str(k): float(v) for k, v in centred.corr()["difficulty"].drop("difficulty").items()}


def drift(versions: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Mean and spread of the change in difficulty from each version to the last, by scale."""
    last = versions[max(versions)]
    rows = []
    for version, items in sorted(versions.items())[:-1]:
        known = items["total_count"] >= MINIMUM_ANSWERS
        change = (last["difficulty"] - items["difficulty"])[known]
        of_scale = change.groupby(last["scale"])
        rows.append({"version": version} | of_scale.mean().round(2).to_dict())
    return pd.DataFrame(rows)


def print_report(replay: Replay, folder: Path) -> None:
    """Print the report in Markdown, and keep its figures in ``summary.json`` of the folder."""
    version = max(replay.versions)
    table = compare(replay.versions[version], replay.answers, replay.seen)
    log, agreed = replay.log, agreement(table)
    rejected = log[log["outcome"] != "completed"]
    summary: dict[str, Any] = {
        "answers": len(replay.answers),
        "answers_seen": len(replay.seen),
        "rows_without_age": replay.dropped,
        "nights": len(log),
        "outcomes": dict(Counter(log["outcome"])),
        "reasons": {row["night"]: row["reason"] for _, row in rejected.iterrows()},
        "seconds": round(replay.seconds, 1),
        "seconds_per_night": round(float(log["seconds"].mean()), 3),
        "version": version,
        "items_compared": len(table),
        "correlations": pooled_correlations(table),
        "scales": agreed.to_dict("index"),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    click.echo(f"# Replay of {len(log)} nights\n")
    for name in list(summary)[:-2]:
        click.echo(f"- {name.replace('_', ' ')}: {summary[name]}")
    click.echo("\nCorrelations with difficulty, all as deviations from the scale's mean:\n")
    for name, value in summary["correlations"].items():
        click.echo(f"- {name}: {value:.3f}")
    click.echo(_markdown("Agreement within each scale", agreed.reset_index(names="scale")))
    click.echo(_markdown("Mean change in difficulty to the last version", drift(replay.versions)))
    items = table.sort_values(["scale", "difficulty"]).reset_index(names="item")
    click.echo(_markdown("Items", items))


def _markdown(title: str, table: pd.DataFrame) -> str:
    lines = [f"\n## {title}\n", "| " + " | ".join(table.columns) + " |"]
    lines.append("|" + "---|" * len(table.columns))
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value) for value in row) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"
    return str(value)
