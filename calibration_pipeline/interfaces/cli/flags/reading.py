"""Flags as they stand now, and items as they are named on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.records import FlagNight, FlagReview, ItemKey
    from calibration_pipeline.store.connection import Database


@dataclass(frozen=True)
class FlagsNow:
    """Flags after the newest accepted night, with every decision that has been made.

    `night` is None before the first night.
    """

    night: date | None
    history: tuple[FlagNight, ...]
    reviews: tuple[FlagReview, ...]


def flags_now(database: Database, key: ItemKey | None = None) -> FlagsNow:
    """Read how flags stand; of one item alone, and all that nights found of it, if one is named."""
    from calibration_pipeline.policy.flag_reviews import review_flags
    from calibration_pipeline.store import flag_decisions, flags

    configuration = load_settings().policy
    night = flags.newest_flagged_night(database)
    if night is None:
        return FlagsNow(None, (), ())
    only_credible = configuration.flags.review_only_credible and key is None
    item_id = key[0] if key else None
    history = flags.read_flag_history(database, night, only_credible=only_credible, item_id=item_id)
    decisions = flag_decisions.read_flag_decisions(database, item_id=item_id)
    retired = flag_decisions.read_retirements(database, date.max)
    reviews = review_flags(history, decisions, retired, configuration)
    return FlagsNow(night, history, tuple(r for r in reviews if key in (None, r.episode.key)))


def named_item(database: Database, name: str) -> ItemKey:
    """Give the item that is named by its id, or as ``id@content_version``; else its newest version.

    Raises
    ------
    BadInputError
        The bank has no such item.
    """
    from calibration_pipeline.store.bank import content_versions

    versions = content_versions(database, name)
    if versions:
        return name, max(versions)
    item_id, _, version = name.rpartition("@")
    if version.isdecimal() and int(version) in content_versions(database, item_id):
        return item_id, int(version)
    raise BadInputError(
        f"the bank has no item {name!r}: give an id that `calibrate flags list` shows, or "
        "id@content_version"
    )
