"""``calibrate link``: one table of items onto the scale of another, no database."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError, LinkOutOfBoundsError
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.irt.linking_curves import CurveSettings
    from calibration_pipeline.policy.table_link import TableLink
    from calibration_pipeline.records import ItemTable

_FILE = click.Path(path_type=Path)
_METHODS = ("stocking-lord", "haebara", "mean-sigma", "mean-mean")
_RANGE: dict[str, Any] = {"nargs": 2, "type": float, "show_default": True}
_HIDDEN = ("left_out", "is_within_bounds")


@click.command()
@click.option("--new", type=_FILE, required=True, help="Items to bring onto the other scale.")
@click.option("--reference", type=_FILE, required=True, help="Items on that scale.")
@click.option(
    "--method", type=click.Choice(_METHODS), default="stocking-lord", show_default=True,
    help="Two compare curves, two means and spreads.",
)  # fmt: skip
@click.option("--symmetric", is_flag=True, help="Compare curves on both scales.")
@click.option(
    "--scaling-constant", "--D", type=click.FloatRange(min=0, min_open=True),
    help="D of both tables. [default: the setting]",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(min=2), default=40, show_default=True,
    help="Abilities at which curves are compared.",
)  # fmt: skip
@click.option("--range", "node_range", default=(-4.0, 4.0), help="From where to where.", **_RANGE)
@click.option(
    "--weights", type=click.Choice(("equal", "normal")), default="equal", show_default=True,
    help="Of the abilities.",
)  # fmt: skip
@click.option(
    "--robust/--no-robust", default=None,
    help="Leave drifted items out. [default: where NEW has standard errors]",
)  # fmt: skip
@click.option(
    "--correct-attenuation", is_flag=True,
    help="Take off the bias that the items' errors cause.",
)  # fmt: skip
@click.option("--slope-range", default=(0.5, 2.0), help="Outside: refused.", **_RANGE)
@click.option("--intercept-range", default=(-2.0, 2.0), help="Outside: refused.", **_RANGE)
@click.option("--out", type=_FILE, help="CSV file for the items of NEW on the other scale.")
@click.option("--force", is_flag=True, help="Replace that file.")
@json_option
def link(
    new: Path,
    reference: Path,
    out: Path | None,
    force: bool,
    as_json: bool,
    slope_range: tuple[float, float],
    intercept_range: tuple[float, float],
    **options: Any,
) -> None:
    """Bring the items of one file onto the scale of another, by the items that both have.

    Both files have the columns item_id, discrimination, difficulty and guessing and, where known,
    their standard errors (discrimination_se and so on), as `calibrate fit` writes them. Without
    --out the constants are printed and nothing is written. Constants outside the bounds are
    printed and refused.

    Example: calibrate link --new new/items.csv --reference old/items.csv --out linked.csv
    """
    # Here, and not above: SciPy takes longer to import than `--help` may.
    from calibration_pipeline.policy.links import within_bounds
    from calibration_pipeline.store.item_table import read_item_table, write_item_table

    if out is not None and out.exists() and not force:
        raise BadInputError(f"{out} exists: choose another place, or add --force to replace it")
    tables = read_item_table(new), read_item_table(reference)
    settings = _curve_settings(options)
    found = _linked(*tables, settings, options)
    constants = found.link.constants
    is_within = within_bounds(constants, slope_range, intercept_range)
    document = _document(found, settings, options) | {"is_within_bounds": is_within}
    _show(document, as_json)
    if not is_within:
        raise LinkOutOfBoundsError(
            f"slope {constants.slope:.3f} and intercept {constants.intercept:+.3f} are not within "
            f"{_spelled(slope_range)} and {_spelled(intercept_range)}: check that the files belong "
            "together, or widen --slope-range and --intercept-range; nothing was written"
        )
    if out is not None:
        write_item_table(out, found.linked)
        say(f"Linked items: {out}")


def _curve_settings(options: dict[str, Any]) -> "CurveSettings":
    from calibration_pipeline.irt.linking_curves import CurveSettings, Quadrature

    low, high = options["node_range"]
    if not low < high:
        raise click.UsageError(f"--range must go from a lower to a higher value, not {low} {high}")
    weighted = Quadrature.normal if options["weights"] == "normal" else Quadrature.equal
    nodes = weighted(options["nodes"], low, high)
    return CurveSettings(
        on_reference=nodes,
        on_new=nodes if options["symmetric"] else None,
        scaling_constant=options["scaling_constant"] or load_settings().policy.em.scaling_constant,
    )


def _linked(
    new: "ItemTable", reference: "ItemTable", settings: "CurveSettings", options: dict[str, Any]
) -> "TableLink":
    from calibration_pipeline.policy.table_link import (
        TableLinkOptions,
        link_tables,
        states_errors,
    )

    is_robust = options["robust"]
    if is_robust is None:
        is_robust = states_errors(new)
    elif is_robust and not states_errors(new):
        raise BadInputError(
            "robust linking judges differences by their standard errors, and the new file has "
            "none: add the column difficulty_se, or take --no-robust"
        )
    z = load_settings().policy.anchor_rejection_z if is_robust else None
    chosen = TableLinkOptions(options["method"], settings, z, options["correct_attenuation"])
    try:
        return link_tables(new, reference, chosen)
    except ValueError as error:
        raise BadInputError(f"the files can't be linked: {error}") from error


def _document(
    found: "TableLink", settings: "CurveSettings", options: dict[str, Any]
) -> dict[str, Any]:
    link, has_errors = found.link, found.has_errors
    slope_se, intercept_se = link.standard_errors.tolist() if has_errors else (None, None)
    return {
        "method": options["method"],
        **asdict(link.constants),
        "slope_se": slope_se,
        "intercept_se": intercept_se,
        "slope_intercept_covariance": float(link.covariance[0, 1]) if has_errors else None,
        "slope_is_free": found.slope_is_free,
        "common_items": found.common_count,
        "items_used": int(link.is_kept.sum()),
        "is_settled": link.is_settled,
        "symmetric": options["symmetric"],
        "corrects_attenuation": options["correct_attenuation"],
        "scaling_constant": settings.scaling_constant,
        "nodes": options["nodes"],
        "range": list(options["node_range"]),
        "weights": options["weights"],
        "left_out": [
            {"item_id": item, "reason": reason} for item, reason in found.left_out.items()
        ],
    }


def _show(document: dict[str, Any], as_json: bool) -> None:
    if document["slope_se"] is None:
        say("The new file has no standard errors, so the constants have none either.")
    if not document["is_settled"]:
        say("warning: most common items lie off the others: look at those left out")
    if as_json:
        print_json(document)
        return
    facts = {name: value for name, value in document.items() if name not in _HIDDEN}
    print_facts("Linking constants", facts | {"range": _spelled(facts["range"])})
    columns = {"item_id": "Item left out", "reason": "Why"}
    print_table(document["left_out"], columns, empty="No common item was left out.")


def _spelled(limits: Sequence[float]) -> str:
    low, high = limits
    return f"{low:g} to {high:g}"
