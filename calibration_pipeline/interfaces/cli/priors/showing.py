"""``calibrate priors list`` and ``show``: fits, what they learned, and the prior of an item."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts

if TYPE_CHECKING:
    from calibration_pipeline.records import ItemPriorFit, ScaleItemPriors
    from calibration_pipeline.store.connection import Database

COORDINATES = ("log a", "b", "logit c")
_LIST_COLUMNS = {
    "number": "Priors",
    "night": "Learned from",
    "effective_from": "From night",
    "is_accepted": "Accepted",
    "fitted_by": "Fitted by",
    "recorded_at": "Stored",
    "reasons": "Why not",
}
_COORDINATE_COLUMNS = {
    "scale": "Scale",
    "coordinate": "",
    "mean": "Mean",
    "residual_sd": "± in a family",
    "family_sd": "± of families",
    "option_slope": "By options",
    "covered": "Covered",
    "judged": "Judged by",
    "covered_new": "Covered, new",
    "judged_new": "Judged by",
}
_ITEM_COLUMNS = {
    "item_id": "Item",
    "content_version": "Content",
    "scale": "Scale",
    "log_a": "log a",
    "log_a_sd": "±",
    "b": "b",
    "b_sd": "±",
    "logit_c": "logit c",
    "logit_c_sd": "±",
    "teaches": "Teaches",
}


@click.command("list")
@json_option
def list_fits(as_json: bool) -> None:
    """List the priors that were learned, the newest first; nights use the newest accepted ones.

    Example: calibrate priors list --json
    """
    with configured_database() as database:
        from calibration_pipeline.store.item_priors import list_item_priors

        rows = [asdict(stored) for stored in list_item_priors(database)]
    if not as_json:
        for row in rows:
            row["recorded_at"] = f"{row['recorded_at']:%Y-%m-%d %H:%M:%S %Z}"
            row["reasons"] = "; ".join(row["reasons"])
    empty = "Nothing has been learned yet: `calibrate priors fit`, or wait for Sunday."
    print_table(rows, _LIST_COLUMNS, as_json=as_json, empty=empty)


@click.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--item", "items", multiple=True, help="Show this item's prior; repeatable.")
@click.option("--rows", type=click.IntRange(min=0), default=0, help="Priors of items to show.")
@json_option
def show(number: int | None, items: tuple[str, ...], rows: int, as_json: bool) -> None:
    """Show what was learned: of authors, families and options, and whether it can be trusted.

    Without a number, the newest fit. JSON holds every item's prior, with its covariance.

    Example: calibrate priors show --item item-0004
    """
    with configured_database() as database:
        from calibration_pipeline.store import item_priors as stored

        listed = stored.list_item_priors(database)
        if number is None and not listed:
            raise BadInputError("there are no priors yet: learn some with `calibrate priors fit`")
        fit = stored.read_item_priors(database, number or listed[0].number)
        priors = [row for scale in fit.scales for row in _item_rows(scale)]
        if missing := set(items) - {row["item_id"] for row in priors}:
            priors += _imported_since(database, fit, missing)
    if items:
        priors = [row for row in priors if row["item_id"] in items]
        if missing := set(items) - {row["item_id"] for row in priors}:
            raise BadInputError(
                f"there is no prior of {', '.join(sorted(missing))} in number {fit.number}, and no "
                "such item in the bank on a scale that it is of: check the id"
            )
    if as_json:
        print_json(document_of(fit) | {"items": priors})
        return
    print_fit(document_of(fit))
    shown = priors if items else priors[:rows]
    if shown:
        print_table(shown, _ITEM_COLUMNS)


def document_of(fit: ItemPriorFit) -> dict[str, Any]:
    """Put a fit together without its items and draws."""
    return {
        "number": fit.number,
        "is_accepted": fit.is_accepted,
        "reasons": fit.reasons,
        "night": fit.state[0],
        "effective_from": fit.effective_from,
        "seed": fit.seed,
        "digest": fit.digest,
        "scales": {scale.scale: scale.diagnostics for scale in fit.scales},
    }


def print_fit(document: dict[str, Any]) -> None:
    """Print a fit: facts, then a row by scale and coordinate."""
    facts = {name: value for name, value in document.items() if name not in ("scales", "reasons")}
    if document["reasons"]:
        facts["rejected because"] = "; ".join(document["reasons"])
    rows = []
    for scale, found in document["scales"].items():
        for name in ("teachers", "items", "families", "pareto_k", "effective_draws"):
            facts[f"{scale}: {name}"] = found[name]
        bias, slope, error = (found[f"author_{n}"]["mean"] for n in ("bias", "scale", "error_sd"))
        facts[f"{scale}: authors state"] = f"{bias:.2f} + {slope:.2f} b, ± {error:.2f}"
        rows += _coordinate_rows(scale, found)
    print_facts("Priors of new items", facts)
    print_table(rows, _COORDINATE_COLUMNS)


def _coordinate_rows(scale: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    learned = ("mean", "residual_sd", "family_sd", "option_slope")
    # Fits of before new items were judged have none.
    new = found.get("new_items", {"covered": [None] * 3, "judged": [0] * 3})
    return [
        {"scale": scale, "coordinate": name}
        | {column: found[column]["mean"][k] for column in learned}
        | {column: found[column][k] for column in ("covered", "judged")}
        | {f"{column}_new": new[column][k] for column in ("covered", "judged")}
        for k, name in enumerate(COORDINATES)
    ]


def _imported_since(
    database: Database, fit: ItemPriorFit, wanted: set[str]
) -> list[dict[str, Any]]:
    from calibration_pipeline.policy.item_priors import predicted_since
    from calibration_pipeline.store.bank import read_bank

    bank = read_bank(database, date.max)
    if wanted.isdisjoint(item_id for item_id, _ in bank.keys):
        return []
    return [row for scale in fit.scales for row in _item_rows(predicted_since(scale, bank, wanted))]


def _item_rows(scale: ScaleItemPriors) -> list[dict[str, Any]]:
    names = ("log_a", "b", "logit_c")
    return [
        {"item_id": key[0], "content_version": key[1], "scale": scale.scale}
        | {name: mean[k] for k, name in enumerate(names)}
        | {f"{name}_sd": covariance[k, k] ** 0.5 for k, name in enumerate(names)}
        | {"covariance": covariance.tolist(), "teaches": bool(teaches)}
        for key, mean, covariance, teaches in zip(
            scale.keys, scale.mean, scale.covariance, scale.teaches, strict=True
        )
    ]
