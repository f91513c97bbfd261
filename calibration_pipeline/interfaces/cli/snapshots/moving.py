"""``calibrate snapshots promote`` and ``moves``: which version is in force, and since when."""

from __future__ import annotations

from dataclasses import asdict

import click

from calibration_pipeline.interfaces.cli.completing import versions
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.interfaces.cli.snapshots.naming import CURRENT, resolved

_MOVE_COLUMNS = {
    "moved_at": "Moved",
    "from_version": "From",
    "to_version": "To",
    "moved_by": "By",
    "reason": "Reason",
    "run_id": "Run",
}
_UNTIL_THE_NEXT_RUN = (
    "The next run that publishes a night moves it on again; to keep it there: "
    "calibrate snapshots freeze --reason TEXT"
)
_WHILE_FROZEN = "Publication is frozen: it stays there until `calibrate snapshots thaw`."


@click.command()
@click.argument("version", shell_complete=versions)
@click.option("--reason", required=True, help="Why, for the log of moves.")
@click.option(
    "--expect", type=click.IntRange(min=1), help="Only if `current` points at this version now."
)
@json_option
def promote(version: str, reason: str, expect: int | None, as_json: bool) -> None:
    """Point `current` at another version: back to an earlier one, or forward again.

    Nothing is deleted, and engines read it from their next session on. The move is logged with
    your name and reason. A night that is being calibrated doesn't overrule it: that night
    publishes nothing and says so. The next run moves `current` on, unless publication is frozen.

    Example: calibrate snapshots promote 12 --reason "wrong key of item 4711" --expect 14
    """
    with configured_database() as database:
        from calibration_pipeline.store import aliases
        from calibration_pipeline.store.publication_switch import read_switch

        number = resolved(database, version)
        move = aliases.promote(
            database, number, moved_by=operator_name(), reason=reason, expected=expect
        )
        switch = read_switch(database)
    if as_json:
        print_json(asdict(move) if move else None)
    if move is None:
        say(f"`{CURRENT}` points at version {number} already: nothing was moved.")
        return
    since = "nothing" if move.from_version is None else f"version {move.from_version}"
    say(f"`{CURRENT}` points at version {number}; before, at {since}.")
    say(_WHILE_FROZEN if switch and switch.is_frozen else _UNTIL_THE_NEXT_RUN)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Newest.")
@json_option
def moves(limit: int, as_json: bool) -> None:
    """List the moves of `current`, the newest first: by whom, from where to where, and why.

    Example: calibrate snapshots moves --limit 50 --json
    """
    with configured_database() as database:
        from calibration_pipeline.store.aliases import list_moves

        found = [asdict(move) for move in list_moves(database, limit=limit)]
    if not as_json:
        for row in found:
            row["moved_at"] = f"{row['moved_at']:%Y-%m-%d %H:%M:%S %Z}"
    empty = "Nothing has been published yet: run `calibrate night`."
    print_table(found, _MOVE_COLUMNS, as_json=as_json, empty=empty)
