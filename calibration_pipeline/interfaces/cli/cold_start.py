"""``calibrate cold-start``: which items are not known well enough, and where to show them."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import ColdStartItem

_HEADINGS = {
    "item": "Item",
    "total_count": "Answers",
    "difficulty_se": "SE of b",
    "answers_needed": "More needed",
    "answers_cautious": "In nine of ten",
    "answers_unaimed": "Unaimed",
    "show_to": "Show to (share of answers)",
}


@click.command("cold-start")
@click.option("--scale", help="Only items of one scale.")
@click.option("--rows", default=20, show_default=True, help="Items to show, the nearest first.")
@json_option
def cold_start(scale: str | None, rows: int, as_json: bool) -> None:
    """Show the items that are not known well enough, and where each should be shown.

    The newest night's list: how many more answers an item needs until its difficulty has the
    standard error that is wanted (CALIBRATION_POLICY__COLD_START__DIFFICULTY_SE), and which
    abilities teach most about it. The JSON holds every item.

    Example: calibrate cold-start --rows 50
    """
    with configured_database() as database:
        from calibration_pipeline.store.cold_start import newest_cold_start_night, read_cold_start

        night = newest_cold_start_night(database)
        items = read_cold_start(database, night) if night else ()
    chosen = [item for item in items if scale in (None, item.scale)]
    wanted = load_settings().policy.cold_start.difficulty_se
    if as_json:
        documents = [_document(item) for item in chosen]
        print_json({"night": night, "difficulty_se": wanted, "items": documents})
        return
    chosen.sort(key=lambda item: (item.answers_needed or math.inf, item.key))
    nothing = (
        f"Every item's difficulty is known to {wanted} or better as of {night}."
        if night
        else "No accepted night has a cold-start list yet: run `calibrate night`."
    )
    print_table(
        [_row(item) for item in chosen[:rows]],
        _HEADINGS,
        title=f"{len(chosen)} items whose difficulty is not known to {wanted} as of {night}",
        empty=nothing,
    )


def _document(item: ColdStartItem) -> dict[str, Any]:
    values = asdict(item)
    item_id, content_version = values.pop("key")
    return {"item_id": item_id, "content_version": content_version, **values}


def _row(item: ColdStartItem) -> dict[str, Any]:
    item_id, version = item.key
    pairs = zip(item.abilities, item.shares, strict=True)
    return {
        "item": item_id if version == 1 else f"{item_id}@{version}",
        "total_count": item.total_count,
        "difficulty_se": item.difficulty_se,
        "answers_needed": _or_more(item.answers_needed),
        "answers_cautious": _or_more(item.answers_cautious),
        "answers_unaimed": _or_more(item.answers_unaimed),
        "show_to": ", ".join(f"{ability:+.1f} ({share:.0%})" for ability, share in pairs),
    }


def _or_more(answers: int | None) -> int | str:
    return "more" if answers is None else answers
