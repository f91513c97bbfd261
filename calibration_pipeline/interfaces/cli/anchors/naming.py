"""Anchor sets as they are named on the command line: by number, or the one in force."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from calibration_pipeline.errors import AnchorSetError, BadInputError

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database

CURRENT = "current"


def resolved(database: Database, name: str) -> int:
    """Give the number of a set that was named by it, or of the one that the next night uses.

    Raises
    ------
    AnchorSetError
        No set is in force.
    BadInputError
        It is no name of a set.
    """
    if name == CURRENT:
        found = set_in_force(database)
        if found is None:
            raise AnchorSetError(
                "no anchor set is in force: import a bank with anchors, or activate a set that "
                "`calibrate anchors list` shows"
            )
        return found
    # PostgreSQL's integer ends at 2³¹ − 1: no set can have a longer number.
    if not (name.isascii() and name.isdecimal() and int(name) < 2**31):
        raise BadInputError(
            f"{name!r} is no anchor set: give a number that `calibrate anchors list` shows, "
            f"or {CURRENT}"
        )
    return int(name)


def set_in_force(database: Database) -> int | None:
    """Give the number of the set that the night after the newest calibrated one uses."""
    from calibration_pipeline.store.anchor_sets import next_night
    from calibration_pipeline.store.anchors import read_anchor_set

    return read_anchor_set(database, next_night(database) or date.max).anchor_set_id
