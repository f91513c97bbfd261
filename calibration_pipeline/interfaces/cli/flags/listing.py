"""``calibrate flags list``: flags by how they stand."""

from __future__ import annotations

import click

from calibration_pipeline.interfaces.cli.completing import flag_reasons
from calibration_pipeline.interfaces.cli.console import json_option, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.flags.reading import flags_now

_COLUMNS = {
    "item": "Item",
    "reason": "Flag",
    "z": "z",
    "status": "Status",
    "opened_on": "Opened",
    "last_seen": "Last seen",
    "nights_seen": "Nights",
    "explanation": "What",
}


@click.command("list")
@click.option("--open", "which", flag_value="open", default="open", help="What is open.  [default]")
@click.option("--new", "which", flag_value="new", help="What is open since the newest night.")
@click.option("--all", "which", flag_value="all", help="Dismissed and resolved ones too.")
@click.option(
    "--reason",
    metavar="FLAG",
    shell_complete=flag_reasons,
    help="One kind of flag, such as reference_drift.",
)
@json_option
def list_flags(which: str, reason: str | None, as_json: bool) -> None:
    """List flags, the strongest evidence first; open and acknowledged ones unless told otherwise.

    A flag is new on the night on which it opens, or wakes after having been dismissed.

    Example: calibrate flags list --new --reason reference_drift
    """
    with configured_database() as database:
        from calibration_pipeline.interfaces.flag_reviews import chosen_reviews, review_document
        from calibration_pipeline.policy.flag_reasons import REASONS

        if reason is not None and reason not in REASONS:
            raise click.BadParameter(
                f"there is no flag {reason!r}: choose one of {', '.join(REASONS)}",
                param_hint="--reason",
            )
        now = flags_now(database)
    chosen = [r for r in chosen_reviews(now, which) if reason in (None, r.episode.reason)]
    chosen.sort(key=lambda review: -abs(review.episode.newest.z))
    rows = [review_document(review) for review in chosen]
    empty = "No night has been calibrated yet: run `calibrate night`."
    if now.night is not None:
        empty = f"No flag to show as of the night of {now.night}."
    print_table(rows, _COLUMNS, as_json=as_json, empty=empty)
