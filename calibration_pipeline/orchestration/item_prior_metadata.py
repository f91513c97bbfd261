"""What the Dagster UI shows of a fit of item priors: figures that plot, and a table by scale."""

from typing import Any

import dagster as dg
import numpy as np

from calibration_pipeline.orchestration.item_prior_fitting import NewItemPriors
from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.item_priors import COORDINATES
from calibration_pipeline.records import FloatArray, ScaleItemPriors
from calibration_pipeline.reports.inline_charts import histogram


def of_item_priors(found: NewItemPriors) -> Metadata:
    """A fit: its verdict, its diagnostics and what it learned."""
    fit = found.fit
    shown: dict[str, Any] = {
        "dagster/row_count": sum(len(scale.keys) for scale in fit.scales),
        "number": fit.number if fit.number is not None else "not stored",
        "new version": found.is_new,
        "accepted": fit.is_accepted,
        "night": str(fit.state[0]),
        "seed": fit.seed,
        "digest": fit.digest,
    }
    if fit.reasons:
        shown["rejected because"] = "; ".join(fit.reasons)
    for scale in fit.scales:
        facts = scale.diagnostics
        shown |= {
            f"{scale.scale}: Pareto k": facts["pareto_k"],
            f"{scale.scale}: effective draws": facts["effective_draws"],
            f"{scale.scale}: teachers": facts["teachers"],
            f"{scale.scale}: families": facts["families"],
            f"{scale.scale}: authors": _authors(facts),
            f"{scale.scale}: coordinates": dg.MetadataValue.md(_coordinates(scale)),
            f"{scale.scale}: items to look at": dg.MetadataValue.md(_widest(scale)),
            f"plot: {scale.scale}, standard deviation of b": dg.MetadataValue.md(
                histogram(_spread(scale), "what the prior leaves open of the difficulty", 2)
            ),
        }
    return shown


def _authors(facts: Any) -> str:
    bias, scale, error = (facts[f"author_{name}"] for name in ("bias", "scale", "error_sd"))
    return f"stated = {bias['mean']:.2f} + {scale['mean']:.2f} · b, error {error['mean']:.2f}"


def _coordinates(scale: ScaleItemPriors) -> str:
    facts = scale.diagnostics
    rows = [
        (
            name,
            f"{facts['mean']['mean'][k]:.2f}",
            f"{facts['residual_sd']['mean'][k]:.2f}",
            f"{facts['family_sd']['mean'][k]:.2f}",
            f"{facts['option_slope']['mean'][k]:.2f}",
            _share(facts["covered"][k]),
            facts["judged"][k],
            _share(facts["new_items"]["covered"][k]),
            facts["new_items"]["judged"][k],
        )
        for k, name in enumerate(COORDINATES)
    ]
    heads = (
        "", "mean", "sd in a family", "sd of families", "by options",
        "covered", "judged by", "new ones covered", "judged by",
    )  # fmt: skip
    return table(heads, rows)


def _spread(scale: ScaleItemPriors) -> FloatArray:
    """Standard deviation of each item's difficulty under its prior, ``(n_items,)``."""
    return np.asarray(np.sqrt(scale.covariance[:, 1, 1]))


def _widest(scale: ScaleItemPriors) -> str:
    """The new items of which least is known beforehand: they need most answers."""
    spread, new = _spread(scale), np.flatnonzero(~scale.teaches)
    widest = new[np.argsort(-spread[new], kind="stable")][:ROWS]
    rows = [
        (item_name(scale.keys[j]), f"{scale.mean[j, 1]:+.2f}", f"{spread[j]:.2f}")
        for j in widest.tolist()
    ]
    return table(("item", "b expected", "sd"), rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
