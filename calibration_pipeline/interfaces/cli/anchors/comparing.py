"""``calibrate anchors diff``: what another set would change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.anchors.naming import resolved
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibration_pipeline.store.anchors import StoredAnchor

_COLUMNS = {
    "item_id": "Item",
    "content_version": "Content",
    "change": "Change",
    "difficulty_before": "b before",
    "difficulty_after": "b after",
    "reason": "Why",
}


@click.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Items to show."
)
@json_option
def diff(before: str, after: str, rows: int, as_json: bool) -> None:
    """Show how anchor set AFTER differs from BEFORE (numbers, or `current`).

    Items that leave, that come, and that would be held at other values; for a set that was selected
    also why. The JSON holds all of them.

    Example: calibrate anchors diff current 3
    """
    with configured_database() as database:
        from calibration_pipeline.store.anchor_sets import (
            read_anchors,
            read_candidates,
            read_set,
        )

        numbers = [resolved(database, name) for name in (before, after)]
        for number in numbers:
            read_set(database, number)
        earlier, later = (read_anchors(database, number) for number in numbers)
        reasons = {c.key: c.reason for c in read_candidates(database, numbers[1])}
    changes = _changes(earlier, later)
    for row in changes:
        row["reason"] = reasons.get((row["item_id"], row["content_version"]))
    counts = Counter(row["change"] for row in changes)
    facts = {"anchors before": len(earlier), "anchors after": len(later)}
    facts |= {change: counts[change] for change in ("leaves", "comes", "held elsewhere")}
    if as_json:
        document = {"before": numbers[0], "after": numbers[1], "counts": facts}
        print_json(document | {"items": changes})
        return
    print_facts(f"From anchor set {numbers[0]} to {numbers[1]}", facts)
    if rows:
        title = f"{len(changes[:rows]):,} of {len(changes):,} items that change"
        print_table(changes[:rows], _COLUMNS, title=title, empty="No item changes.")


def _changes(
    before: Mapping[tuple[str, int], StoredAnchor], after: Mapping[tuple[str, int], StoredAnchor]
) -> list[dict[str, Any]]:
    """Items that are not the same in both, those that leave first, then by key."""
    rows = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old and new and old.values == new.values:
            continue
        change = "held elsewhere" if old and new else "leaves" if old else "comes"
        rows.append(
            {
                "item_id": key[0],
                "content_version": key[1],
                "change": change,
                "difficulty_before": old.values[1] if old else None,
                "difficulty_after": new.values[1] if new else None,
            }
        )
    return sorted(rows, key=lambda row: row["change"] != "leaves")
