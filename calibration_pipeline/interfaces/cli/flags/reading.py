"""Flags as they stand now, and items as they are named on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.settings import load_settings

if TYPE_CHECKING:
    from calibration_pipeline.interfaces.flag_reviews import FlagsNow
    from calibration_pipeline.records import ItemKey
    from calibration_pipeline.store.connection import Database


def flags_now(database: Database, key: ItemKey | None = None) -> FlagsNow:
    """Read how flags stand; of one item alone, and all that nights found of it, if one is named."""
    from calibration_pipeline.interfaces import flag_reviews

    return flag_reviews.flags_now(database, load_settings().policy, key)


def named_item(database: Database, name: str) -> ItemKey:
    """Give the item that is named by its id, or as ``id@content_version``; else its newest version.

    Raises
    ------
    BadInputError
        The bank has no such item.
    """
    from calibration_pipeline.store.bank import content_versions
    from calibration_pipeline.store.names import near_names

    versions = content_versions(database, name)
    if versions:
        return name, max(versions)
    item_id, _, version = name.rpartition("@")
    known = content_versions(database, item_id) if version.isdecimal() else ()
    if known and int(version) in known:
        return item_id, int(version)
    if known:
        raise BadInputError(
            f"{item_id} has no content version {version}: the bank has "
            f"{', '.join(map(str, sorted(known)))}"
        )
    near = near_names(database, item_id if version.isdecimal() else name)
    meant = f"did you mean {' or '.join(near)}? Otherwise " if near else ""
    raise BadInputError(
        f"the bank has no item {name!r}: {meant}give an id that `calibrate flags list` shows, or "
        "id@content_version"
    )
