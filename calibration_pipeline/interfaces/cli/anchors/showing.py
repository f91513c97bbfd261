"""``calibrate anchors list`` and ``show``: sets, their items, and an anchor's nights."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.anchors.naming import CURRENT, resolved, set_in_force
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts

if TYPE_CHECKING:
    from calibration_pipeline.records import AnchorCandidate
    from calibration_pipeline.store.anchor_sets import StoredAnchorSet
    from calibration_pipeline.store.anchors import StoredAnchor
    from calibration_pipeline.store.connection import Database

_LIST_COLUMNS = {
    "anchor_set_id": "Set",
    "origin": "Origin",
    "anchors": "Anchors",
    "night": "From night",
    "proposed_by": "Proposed by",
    "recorded_at": "Stored",
    "status": "Status",
}
_ANCHOR_COLUMNS = {
    "item_id": "Item",
    "content_version": "Content",
    "discrimination": "a",
    "difficulty": "b",
    "guessing": "c",
    "difficulty_se": "± b",
}
_CANDIDATE_COLUMNS = {
    "item_id": "Item",
    "content_version": "Content",
    "scale": "Scale",
    "stratum": "Stratum",
    "family": "Family",
    "difficulty": "b",
    "difficulty_se": "± b",
    "total_count": "Answers",
    "movement": "Moved",
    "movement_se": "± moved",
    "reason": "Why",
}
_HISTORY_COLUMNS = {
    "night": "Night",
    "anchor_set_id": "Set",
    "is_anchor": "Anchor",
    "difficulty": "b",
    "shadow_difficulty": "Shadow b",
    "shadow_se": "±",
    "shift": "Shift",
    "window_count": "Answers",
}


@click.command("list")
@json_option
def list_sets(as_json: bool) -> None:
    """List the anchor sets, the newest first, and which one is in force.

    Example: calibrate anchors list --json
    """
    with configured_database() as database:
        from calibration_pipeline.store.anchor_sets import list_sets as stored_sets

        found, current = stored_sets(database), set_in_force(database)
    rows = [_header(stored, current) for stored in found]
    if not as_json:
        for row in rows:
            row["recorded_at"] = f"{row['recorded_at']:%Y-%m-%d %H:%M:%S %Z}"
    empty = "No anchor set yet: import a bank with anchors, or run `calibrate anchors select`."
    print_table(rows, _LIST_COLUMNS, as_json=as_json, empty=empty)


@click.command()
@click.argument("anchor_set", metavar="[SET]", default=CURRENT)
@click.option("--refused", is_flag=True, help="Show the items that were not chosen, and why.")
@click.option("--history", "item", metavar="ITEM", help="Show this item's accepted nights instead.")
@click.option(
    "--content-version", type=click.IntRange(min=1), help="Of that item.  [default: newest]"
)
@click.option(
    "--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to show."
)
@json_option
def show(
    anchor_set: str,
    refused: bool,
    item: str | None,
    content_version: int | None,
    rows: int,
    as_json: bool,
) -> None:
    """Show an anchor set (its number, or `current`): where it comes from, and its items.

    With --history, an item's nights: where it was held, and where the shadow refit put it. JSON
    holds all rows.

    Example: calibrate anchors show current --history item-0004
    """
    with configured_database() as database:
        if item is not None:
            _show_history(database, item, content_version, rows, as_json)
            return
        number = resolved(database, anchor_set)
        from calibration_pipeline.store import anchor_sets

        header = _header(anchor_sets.read_set(database, number), set_in_force(database))
        anchors = [
            anchor_row(key, anchor)
            for key, anchor in anchor_sets.read_anchors(database, number).items()
        ]
        candidates = [candidate_row(c) for c in anchor_sets.read_candidates(database, number)]
    if as_json:
        print_json(header | {"items": anchors, "candidates": candidates})
        return
    _print_header(number, header)
    chosen = [row for row in candidates if row["is_chosen"] is not refused]
    found, columns = (chosen, _CANDIDATE_COLUMNS) if candidates else (anchors, _ANCHOR_COLUMNS)
    if refused and not candidates:
        found = []
    kind = "items that were not chosen" if refused else "anchors"
    empty = f"No {kind}." if candidates else "An imported set: nobody was judged for it."
    if rows:
        title = f"{len(found[:rows]):,} of {len(found):,} {kind}"
        print_table(found[:rows], columns, title=title, empty=empty)


def _show_history(
    database: Database, item: str, version: int | None, rows: int, as_json: bool
) -> None:
    from calibration_pipeline.store.anchor_history import newest_version_of, read_anchor_history

    version = version or newest_version_of(database, item)
    nights = read_anchor_history(database, (item, version)) if version else ()
    if not nights:
        raise BadInputError(
            f"no accepted night knows the item {item!r}: check its id, as `calibrate snapshots "
            "show current` lists it"
        )
    found = [asdict(night) | {"shift": night.shift} for night in nights]
    shown = found if as_json else found[-rows:] if rows else []
    title = f"The last {len(shown)} of {len(found)} nights of {item} (content version {version})"
    print_table(shown, _HISTORY_COLUMNS, as_json=as_json, title=title)


def anchor_row(key: tuple[str, int], anchor: StoredAnchor) -> dict[str, Any]:
    """One anchor as a flat row; the error is that of its reference difficulty."""
    discrimination, difficulty, guessing = anchor.values
    variance = anchor.covariance[4] if anchor.covariance else 0.0
    return {
        "item_id": key[0],
        "content_version": key[1],
        "discrimination": discrimination,
        "difficulty": difficulty,
        "guessing": guessing,
        "difficulty_se": variance**0.5,
    }


def candidate_row(candidate: AnchorCandidate) -> dict[str, Any]:
    """One item of the pool, as the selection saw it."""
    row = asdict(candidate)
    item_id, version = row.pop("key")
    return {"item_id": item_id, "content_version": version} | row


def _header(stored: StoredAnchorSet, current: int | None) -> dict[str, Any]:
    return {
        "anchor_set_id": stored.anchor_set_id,
        "origin": stored.origin,
        "anchors": stored.anchor_count,
        "night": stored.night,
        "proposed_by": stored.proposed_by,
        "recorded_at": stored.recorded_at,
        "status": _status(stored, current),
        "digest": stored.digest,
        "settings": stored.settings,
        "remarks": stored.remarks,
        "activations": [asdict(activation) for activation in stored.activations],
    }


def _status(stored: StoredAnchorSet, current: int | None) -> str:
    if not stored.activations:
        return "proposed"
    start = stored.activations[-1].effective_from
    since = "the beginning" if start is None else str(start)
    return f"{'in force' if stored.anchor_set_id == current else 'activated'} from {since}"


def _print_header(number: int, header: dict[str, Any]) -> None:
    facts: dict[str, Any] = {
        "status": header["status"],
        "origin": header["origin"],
        "anchors": header["anchors"],
        "stored": f"{header['recorded_at']:%Y-%m-%d %H:%M:%S %Z}",
    }
    if header["night"]:
        facts |= {"selected from the night": header["night"], "by": header["proposed_by"]}
    facts |= {f"scale {name}": remark for name, remark in header["remarks"].items()}
    for activation in header["activations"]:
        start = activation["effective_from"] or "the beginning"
        by = f" ({activation['decided_by']})" if activation["decided_by"] else ""
        facts[f"from {start}"] = activation["reason"] + by
    print_facts(f"Anchor set {number}", facts)
