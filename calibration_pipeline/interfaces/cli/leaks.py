"""``calibrate leaks``: who is suspected, and how soon a leak would be found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.completing import item_ids
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.flags.reading import named_item
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import LeakVerdicts

_SUSPECTED = {
    "item": "Suspected",
    "alarm_day": "Alarm",
    "onset_day": "Left out from",
    "statistic": "log Λ",
    "threshold": "Threshold",
    "share": "Share",
    "answers_per_day": "Answers a day",
}
_WEAKEST = {
    "item": "Item",
    "answers_per_day": "Answers a day",
    "uses_times": "Times",
    "delay_answers": "Answers",
    "delay_days": "Nights",
}
_NO_NIGHT = "No accepted night has watched for leaks yet: run `calibrate night`."


@click.command()
@click.argument("item", required=False, shell_complete=item_ids)
@click.option("--rows", default=10, show_default=True, help="Least protected items to show.")
@json_option
def leaks(item: str | None, rows: int, as_json: bool) -> None:
    """Show suspected leaks, and how soon a leak would be found; of ITEM alone if one is named.

    The delay is that expected at the item's present traffic, for a leak to half of its candidates
    (CALIBRATION_POLICY__LEAKS__PLANNED_SHARE). The JSON holds every item.

    Example: calibrate leaks item-0815
    """
    with configured_database() as database:
        from calibration_pipeline.interfaces.leak_documents import leak_document
        from calibration_pipeline.store.flags import newest_flagged_night
        from calibration_pipeline.store.leak_verdicts import read_leak_verdicts

        key = named_item(database, item) if item else None
        night = newest_flagged_night(database)
        found = None if night is None else read_leak_verdicts(database, night)
    if found is None:
        if as_json:
            print_json({"night": night, "items": []})
        else:
            say(_NO_NIGHT)
        return
    keys, verdicts = found
    if key is None:
        documents = [leak_document(keys, verdicts, j) for j in range(len(keys))]
        _print_all({"night": night, "items": documents}, verdicts, rows, as_json=as_json)
    elif key in keys:
        document = leak_document(keys, verdicts, keys.index(key))
        print_facts(f"{key[0]}@{key[1]}", {"night": night} | document, as_json=as_json)
    else:
        say(f"The night of {night} didn't know {key[0]}@{key[1]} yet.")


def _print_all(
    document: dict[str, Any], verdicts: LeakVerdicts, rows: int, *, as_json: bool
) -> None:
    from calibration_pipeline.policy.leak_protection import protection

    share, counts = load_settings().policy.leaks.planned_share, protection(verdicts)
    if as_json:
        print_json(document | {"planned_share": share, "protection": counts})
        return
    suspected = [row for row in document["items"] if row["is_left_out"]]
    suspected.sort(key=lambda row: row["alarm_day"], reverse=True)
    print_table(suspected, _SUSPECTED, empty=f"No leak is suspected as of {document['night']}.")
    print_facts(f"A leak to {share:.0%} of an item's candidates would be found", counts)
    watched = [row for row in document["items"] if row["is_watched"]]
    watched.sort(key=lambda row: -(row["delay_days"] or math.inf))
    print_table(watched[:rows], _WEAKEST, title="Least protected", empty="No item is watched yet.")
