"""``calibrate snapshots drafts``: what failed its audit, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.snapshots.reading import ITEM_COLUMNS

if TYPE_CHECKING:
    from calibration_pipeline.store.drafts import StoredDraft

_COLUMNS = {
    "draft_id": "Draft",
    "partition": "Night",
    "attempt": "Attempt",
    "parent_version": "To follow",
    "state": "Audit",
    "failed_rules": "Rules that failed",
    "recorded_at": "Written",
}


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def drafts(context: click.Context, as_json: bool) -> None:
    """List the drafts that are kept: those that failed their audit, and what a crash left.

    No reader sees a draft. A night's leftovers are removed when it writes its next draft; failed
    ones stay until the retention period is over.

    Example: calibrate snapshots drafts --json
    """
    if context.invoked_subcommand:
        return
    with configured_database() as database:
        from calibration_pipeline.store.drafts import list_drafts

        rows = [_document(stored) for stored in list_drafts(database)]
    if not as_json:
        for row in rows:
            row["recorded_at"] = f"{row['recorded_at']:%Y-%m-%d %H:%M:%S %Z}"
            row["failed_rules"] = "; ".join(row["failed_rules"])
    print_table(rows, _COLUMNS, as_json=as_json, empty="No draft is kept.")


@drafts.command("show")
@click.argument("draft_id", type=click.IntRange(min=1, max=2**63 - 1))
@click.option(
    "--rows", type=click.IntRange(min=0), default=10, show_default=True, help="Items to show."
)
@json_option
def show_draft(draft_id: int, rows: int, as_json: bool) -> None:
    """Show a draft: what its audit found, and its first items.

    Example: calibrate snapshots drafts show 7 --rows 20
    """
    with configured_database() as database:
        from calibration_pipeline.store.drafts import read_draft, read_draft_items
        from calibration_pipeline.store.snapshot_files import item_document

        stored = read_draft(database, draft_id)
        items = read_draft_items(database, draft_id)
    findings = [
        {"rule": finding.rule, "passed": finding.passed, "detail": finding.detail}
        for finding in stored.findings
    ]
    document, first_items = _document(stored), [item_document(item) for item in items[:rows]]
    if as_json:
        print_json({"draft": document, "audit": findings, "items": first_items})
        return
    document["failed_rules"] = len(document["failed_rules"])
    print_facts(f"Draft {draft_id}", document)
    print_table(findings, {"rule": "Audit", "passed": "Passed", "detail": "Finding"})
    if rows:
        print_table(first_items, ITEM_COLUMNS, title=f"{len(first_items)} of {len(items):,} items")


def _document(stored: StoredDraft) -> dict[str, Any]:
    return {
        "draft_id": stored.draft_id,
        "partition": stored.draft.partition,
        "attempt": stored.draft.attempt,
        "parent_version": stored.draft.parent_version,
        "state": stored.state,
        "failed_rules": [finding.rule for finding in stored.findings if not finding.passed],
        "content_digest": stored.content_digest,
        "run_id": stored.draft.run_id,
        "recorded_at": stored.recorded_at,
    }
