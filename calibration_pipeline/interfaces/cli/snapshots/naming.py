"""Versions as they are named on the command line: by number, or by the alias `current`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration_pipeline.errors import BadInputError, NothingPublishedError

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database

CURRENT = "current"


def resolved(database: Database, version: str) -> int:
    """Give the number of a version that was named by it, or by the alias.

    Raises
    ------
    NothingPublishedError
        The alias points at none yet.
    BadInputError
        It is no name of a version.
    """
    from calibration_pipeline.store.aliases import current_version

    if version == CURRENT:
        found = current_version(database)
        if found is None:
            raise NothingPublishedError("nothing has been published yet: run `calibrate night`")
        return found
    # PostgreSQL's integer ends at 2³¹ − 1: no version can have a longer number.
    if not (version.isascii() and version.isdecimal() and int(version) < 2**31):
        raise BadInputError(
            f"{version!r} is no version: give a number that `calibrate snapshots list` shows, "
            f"or {CURRENT}"
        )
    return int(version)
