"""``calibrate flags show``: the evidence of every night on one item, and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.completing import item_ids
from calibration_pipeline.interfaces.cli.console import json_option, print_json, print_table, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.interfaces.cli.flags.reading import flags_now, named_item
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.interfaces.flag_reviews import FlagsNow
    from calibration_pipeline.records import ItemKey
    from calibration_pipeline.store.connection import Database

_REVIEWS = {
    "reason": "Flag",
    "status": "Status",
    "since": "Since",
    "opened_on": "Opened",
    "last_seen": "Last seen",
    "nights_seen": "Nights",
    "resolved_on": "Resolved",
    "explanation": "What",
    "compared_with": "Compared with",
    "compared_on": "As of",
}
_EVIDENCE = {
    "night": "Night",
    "reason": "Flag",
    "value": "Value",
    "reference": "Against",
    "threshold": "Limit",
    "z": "z",
    "is_credible": "Credible",
}
_DECISIONS = {
    "decided_at": "Decided",
    "decision": "Decision",
    "about": "On",
    "holds_from": "Holds after",
    "decided_by": "By",
    "reason": "Reason",
}
_MOVES = (0.2, 0.3, 0.4)


@click.command()
@click.argument("item", shell_complete=item_ids)
@json_option
def show(item: str, as_json: bool) -> None:
    """Show every night's evidence on ITEM (its id, or id@content_version), and the decisions.

    Thresholds that were crossed by chance are listed too. Beside them stands what a comparison
    with the reference can see at this item's traffic: how small a move, and from how many answers.

    Example: calibrate flags show item-0815
    """
    with configured_database() as database:
        from calibration_pipeline.interfaces.flag_reviews import (
            decision_documents,
            evidence_documents,
            review_document,
        )

        key = named_item(database, item)
        now = flags_now(database, key)
        decisions = decision_documents(database, key)
        power, why_none = _power(database, key, now)
    reviews = [review_document(review) for review in now.reviews]
    evidence = evidence_documents(key, now)
    if as_json:
        document = {"item_id": key[0], "content_version": key[1], "flags": reviews}
        document |= {"evidence": evidence, "decisions": decisions, "power": power}
        print_json(document | {"not_compared": why_none})
        return
    print_table(reviews, _REVIEWS, title=f"{key[0]}@{key[1]}", empty="It has not been flagged.")
    print_table(evidence, _EVIDENCE, title="Evidence", empty="No threshold was ever crossed.")
    if decisions:
        print_table(decisions, _DECISIONS, title="Decisions")
    if power:
        print_facts("What a comparison with the reference can see", power)
    else:
        say(f"It can't be compared with a reference of a window ago: {why_none}.")


def _power(database: Database, key: ItemKey, now: FlagsNow) -> tuple[dict[str, Any], str]:
    """What the newest night could see of the item; nothing, and why, where it isn't compared."""
    from datetime import timedelta

    from calibration_pipeline.policy import flag_power
    from calibration_pipeline.policy.flag_reference import shift_from_reference, why_not_compared
    from calibration_pipeline.store.history import newest_accepted_key
    from calibration_pipeline.store.states import read_state

    if now.night is None:
        return {}, "no night has been accepted yet"
    policy = load_settings().policy
    newest = newest_accepted_key(database, now.night + timedelta(days=1))
    oldest = newest_accepted_key(database, now.night - timedelta(days=policy.window_days - 1))
    state = read_state(database, *newest) if newest else None
    reference = read_state(database, *oldest) if oldest else None
    if state is None or key not in state.keys:
        return {}, "the newest accepted night lacks it"
    j = state.keys.index(key)
    found = shift_from_reference(state, reference) if reference else None
    if reference is None or found is None or not found.is_compared[j]:
        return {}, why_not_compared(state, reference, j)
    z, error = policy.flags.drift_credible_z, float(found.shift_se[j])
    power = {
        "reference": reference.partition,
        "answers in the window": int(state.window_counts[j]),
        "standard error of the comparison": error,
        "smallest move that is seen 4 times in 5": flag_power.smallest_move(error, z),
    }
    return power | {
        f"answers needed for a move of {move:g}": _count(
            flag_power.answers_needed_per_item(state, reference, move, z)[j]
        )
        for move in _MOVES
    }, ""


def _count(answers: float) -> int | None:
    """No number of answers is enough where the reference itself is known too badly."""
    return int(answers) if answers < float("inf") else None
