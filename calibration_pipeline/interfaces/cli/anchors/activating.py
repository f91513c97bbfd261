"""``calibrate anchors activate``: put a set in force."""

from __future__ import annotations

from datetime import datetime

import click

from calibration_pipeline.interfaces.cli.anchors.naming import resolved
from calibration_pipeline.interfaces.cli.console import json_option, print_json, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.days import DAY
from calibration_pipeline.interfaces.cli.operator import operator_name


@click.command()
@click.argument("anchor_set", metavar="SET")
@click.option("--reason", required=True, help="Why, for the record.")
@click.option(
    "--from",
    "start",
    type=DAY,
    help="First night that it is for.  [default: the next one to be calibrated]",
)
@json_option
def activate(anchor_set: str, reason: str, start: datetime | None, as_json: bool) -> None:
    """Put an anchor set in force from a night on; earlier ones can be put in force again.

    Nights that have been calibrated keep the set that they had, and running one of them again gives
    the same result. Who decided, when and why is kept.

    Example: calibrate anchors activate 3 --reason "quarterly review"
    """
    with configured_database() as database:
        from calibration_pipeline.store.anchor_sets import activate_set

        number = resolved(database, anchor_set)
        night = activate_set(
            database,
            number,
            reason=reason,
            decided_by=operator_name(),
            effective_from=start.date() if start else None,
        )
    if as_json:
        print_json({"anchor_set_id": number, "effective_from": night})
    say(f"Anchor set {number} is in force from the night of {night} on.")
