"""``calibrate anchors select``: propose a set."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import click

from calibration_pipeline.interfaces.cli.anchors.showing import candidate_row
from calibration_pipeline.interfaces.cli.console import (
    json_option,
    print_json,
    print_table,
    progress,
    say,
)
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import AnchorProposal


@click.command()
@click.option(
    "--as-of",
    type=DAY,
    help="Select from the newest accepted night up to this one.  [default: of all]",
)
@json_option
def select(as_of: datetime | None, as_json: bool) -> None:
    """Propose an anchor set from the newest accepted night; nothing changes by it.

    Every item of the pool is judged: stable for long enough, enough answers, no open flag, and a
    difficulty that has not moved as far as can be told. The set is spread over difficulty and
    content family as the pool is; present anchors that still qualify stay.

    Example: calibrate anchors select --as-of 2026-03-31
    """
    with configured_database() as database:
        from calibration_pipeline.orchestration.anchor_proposals import propose_anchors

        with progress("Selecting anchors") as reporter:
            found = propose_anchors(
                database,
                load_settings().policy,
                proposed_by=operator_name(),
                as_of=as_of.date() if as_of else None,
                tell=reporter.reach,
            )
    number, proposal = found.anchor_set_id, found.proposal
    if as_json:
        items = [candidate_row(item) for item in proposal.candidates]
        document = {"anchor_set_id": number, "night": proposal.night, "remarks": proposal.remarks}
        print_json(document | {"candidates": items})
    else:
        _print_proposal(number, proposal)
    if all(item.is_chosen == item.is_present for item in proposal.candidates):
        say("It has the same anchors as the set of that night, held where they are: nothing to do.")
        return
    say(
        f"Nothing has changed yet. To look: calibrate anchors diff current {number}; to put it in "
        f"force from the next night on: calibrate anchors activate {number} --reason TEXT"
    )


def _print_proposal(number: int, proposal: AnchorProposal) -> None:
    chosen = [item for item in proposal.candidates if item.is_chosen]
    facts = {
        "selected from the night": proposal.night,
        "items judged": len(proposal.candidates),
        "anchors": len(chosen),
        "anchors before": sum(item.is_present for item in proposal.candidates),
        "of these stay": sum(item.is_present for item in chosen),
    }
    facts |= {f"scale {name}": remark for name, remark in proposal.remarks.items()}
    print_facts(f"Anchor set {number}, proposed", facts)
    counted = Counter(_kind(item.reason) for item in proposal.candidates)
    rows = [{"reason": reason, "items": count} for reason, count in counted.most_common()]
    print_table(rows, {"reason": "Why items were chosen or not", "items": "Items"})


def _kind(reason: str) -> str:
    """A reason without its numbers, so that items with the same one can be counted."""
    first = reason.split("; ")[0]
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in first.split())
