"""``calibrate snapshots list``, ``show`` and ``export``: published versions as they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.completing import versions
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.snapshots.naming import resolved

if TYPE_CHECKING:
    from calibration_pipeline.records import SnapshotItem

_LIST_COLUMNS = {
    "version": "Version",
    "is_current": "Current",
    "partition": "Night",
    "attempt": "Attempt",
    "parent_version": "Follows",
    "window_start": "Window from",
    "window_end": "to",
    "published_at": "Published",
}
ITEM_COLUMNS = {
    "item_id": "Item",
    "content_version": "Content",
    "scale": "Scale",
    "discrimination": "a",
    "discrimination_se": "± a",
    "difficulty": "b",
    "difficulty_se": "± b",
    "guessing": "c",
    "guessing_se": "± c",
    "source": "Source",
    "track": "Track",
    "total_count": "Answers",
}


@click.command("list")
@json_option
def list_versions(as_json: bool) -> None:
    """List the versions, newest first.

    Example: calibrate snapshots list --json
    """
    with configured_database() as database:
        from calibration_pipeline.store import snapshots as store

        current = store.current_version(database)
        manifests = store.list_snapshots(database)
    rows = [
        {
            "version": manifest.version,
            "is_current": manifest.version == current,
            "partition": manifest.partition,
            "attempt": manifest.attempt,
            "parent_version": manifest.parent_version,
            "window_start": manifest.window_start,
            "window_end": manifest.window_end,
            "scaling_constant": manifest.scaling_constant,
            "content_digest": manifest.content_digest,
            "run_id": manifest.run_id,
            "published_at": manifest.published_at,
        }
        for manifest in manifests
    ]
    if not as_json:
        for row in rows:
            row["published_at"] = f"{row['published_at']:%Y-%m-%d %H:%M:%S %Z}"
    empty = "Nothing has been published yet: run `calibrate night`."
    print_table(rows, _LIST_COLUMNS, as_json=as_json, empty=empty)


@click.command()
@click.argument("version", shell_complete=versions)
@click.option(
    "--rows", type=click.IntRange(min=0), default=10, show_default=True, help="Items to show."
)
@json_option
def show(version: str, rows: int, as_json: bool) -> None:
    """Show a version (its number, or `current`): manifest, audit, counts and first items.

    Example: calibrate snapshots show current --rows 20
    """
    with configured_database() as database:
        from calibration_pipeline.store import snapshots as store
        from calibration_pipeline.store.snapshot_files import item_document, manifest_document

        number = resolved(database, version)
        manifest = manifest_document(store.read_manifest(database, number))
        audit = store.read_audit(database, number)
        items = store.read_snapshot_items(database, number)
    findings = [
        {"rule": finding.rule, "passed": finding.passed, "detail": finding.detail}
        for finding in audit
    ]
    counts = _counts(items)
    first_items = [item_document(item) for item in items[:rows]]
    if as_json:
        document = {"manifest": manifest, "audit": findings, "counts": counts}
        print_json(document | {"items": first_items})
        return
    _print_manifest(number, manifest)
    print_table(findings, {"rule": "Audit", "passed": "Passed", "detail": "Finding"})
    print_table(counts, {"source": "Source", "track": "Track", "items": "Items"})
    if rows:
        print_table(first_items, ITEM_COLUMNS, title=f"{len(first_items)} of {len(items):,} items")


@click.command()
@click.argument("version", shell_complete=versions)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write; .csv, .parquet or .json.",
)
@click.option("--force", is_flag=True, help="Write over a file of that name.")
def export(version: str, out: Path, force: bool) -> None:
    """Write the items of a version (its number, or `current`) to a file that you alone can read.

    Every row states the version and its scaling constant D. Parquet and JSON hold the manifest
    and the items' covariances too.

    Example: calibrate snapshots export current --out items.csv
    """
    with configured_database() as database:
        from calibration_pipeline.store import snapshots as store
        from calibration_pipeline.store.snapshot_files import write_snapshot

        number = resolved(database, version)
        manifest = store.read_manifest(database, number)
        items = store.read_snapshot_items(database, number)
        write_snapshot(out, manifest, items, replace=force)
    say(f"Wrote {len(items):,} items of version {number} to {out}.")


def _counts(items: Sequence[SnapshotItem]) -> list[dict[str, Any]]:
    counted = Counter((item.source, item.track) for item in items)
    return [
        {"source": source, "track": track, "items": count}
        for (source, track), count in sorted(counted.items())
    ]


def _print_manifest(number: int, manifest: Mapping[str, Any]) -> None:
    """Show what fits on a screen; configuration and package versions stand in the JSON."""
    facts: dict[str, Any] = {
        "night": f"{manifest['partition']}, attempt {manifest['attempt']}",
        "window": f"{manifest['window_start']} to {manifest['window_end']}",
        "follows version": manifest["parent_version"],
        "scaling constant D": f"{manifest['scaling_constant']:g}",
        "run": manifest["run_id"],
        "published": manifest["published_at"],
        "content digest": manifest["content_digest"],
        "data digest": manifest["data_digest"],
    }
    for scale, population in manifest["population"].items():
        values = ", ".join(f"{name} {_short(value)}" for name, value in population.items())
        facts[f"population of {scale}"] = values
    for link in manifest["links"]:
        left_out = f"{len(link['anchors_left_out'])} left out"
        facts[f"link of {link['scale']}"] = (
            f"{link['method']}: slope {_short(link['slope'])}, intercept "
            f"{_short(link['intercept'])}, {link['anchors_used']} anchors used, {left_out}"
        )
    print_facts(f"Version {number}", facts)


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
