"""``calibrate snapshots diff``: what changed between two versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.completing import versions
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.snapshots.naming import resolved

if TYPE_CHECKING:
    from calibration_pipeline.policy.version_diff import ItemChange, Shift, VersionDiff
    from calibration_pipeline.store.connection import Database

_COLUMNS = {
    "item_id": "Item",
    "content_version": "Content",
    "scale": "Scale",
    "change": "Change",
    "difficulty_by": "b",
    "difficulty_in_standard_errors": "in ± b",
    "discrimination_by": "a",
    "discrimination_in_standard_errors": "in ± a",
    "guessing_by": "c",
    "guessing_in_standard_errors": "in ± c",
}


@click.command()
@click.argument("before", shell_complete=versions)
@click.argument("after", shell_complete=versions)
@click.option(
    "--moved-by",
    type=click.FloatRange(min=0.0),
    default=0.0,
    help="Smallest shift in b that counts as a move by itself.  [default: any other value]",
)
@click.option(
    "--rows", type=click.IntRange(min=0), default=20, show_default=True, help="Items to show."
)
@json_option
def diff(before: str, after: str, moved_by: float, rows: int, as_json: bool) -> None:
    """Show what changed from version BEFORE to version AFTER (numbers, or `current`).

    Items that moved, the largest shift in b first, by how much and in how many of the larger
    published standard errors; items that came or went, that are trusted now or provisional again,
    or whose values come from another source. The JSON holds all of them.

    Example: calibrate snapshots diff 12 current --moved-by 0.1
    """
    with configured_database() as database:
        earlier, later = resolved(database, before), resolved(database, after)
        found = _compared(database, earlier, later)
    changes = found.changes(moved_by)
    documents = [_document(change) for change in changes]
    if as_json:
        document = {"before": earlier, "after": later, "counts": found.counts}
        print_json(document | {"items": documents})
        return
    print_facts(f"From version {earlier} to {later}", found.counts)
    shown = documents[:rows]
    title = f"{len(shown)} of {len(documents):,} items that changed"
    if rows:
        print_table(shown, _COLUMNS, title=title, empty="No item changed.")


def _compared(database: Database, before: int, after: int) -> VersionDiff:
    from calibration_pipeline.policy.version_diff import diff_versions
    from calibration_pipeline.store.snapshots import read_manifest, read_snapshot_items

    manifests = [read_manifest(database, version) for version in (before, after)]
    return diff_versions(
        read_snapshot_items(database, before),
        read_snapshot_items(database, after),
        (manifests[0].scaling_constant, manifests[1].scaling_constant),
    )


def _document(change: ItemChange) -> dict[str, Any]:
    """One item as a flat row."""
    from calibration_pipeline.policy.item_story import change_in_words

    row: dict[str, Any] = {
        "item_id": change.key[0],
        "content_version": change.key[1],
        "scale": change.item.scale,
        "change": change_in_words(change),
    }
    shifts = {
        "difficulty": change.difficulty,
        "discrimination": change.discrimination,
        "guessing": change.guessing,
    }
    for name, shift in shifts.items():
        row |= _shift(name, shift)
    for name, item in (("before", change.before), ("after", change.after)):
        row[f"track_{name}"] = item.track if item else None
        row[f"source_{name}"] = item.source if item else None
    return row


def _shift(name: str, shift: Shift | None) -> dict[str, float | None]:
    values = asdict(shift) if shift else dict.fromkeys(("by", "in_standard_errors"))
    return {f"{name}_{measure}": value for measure, value in values.items()}
