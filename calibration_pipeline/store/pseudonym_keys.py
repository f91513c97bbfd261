"""Which key the database's pseudonyms are made with, so that a wrong one is noticed.

Under another key nobody who is archived, forgotten or erased is recognised: whoever was erased
would be taken in again, and nothing would look amiss.
"""

import hmac
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonyms import (
    PSEUDONYM_BYTES,
    has_pseudonyms,
    pseudonym_key,
    pseudonyms_of,
)
from calibration_pipeline.store.tables import candidate_map, pseudonym_keys, suppressions

_PIPELINE = "the pipeline"
_COMPARED = 100
"""Links to people that a key is tried on where none is on record: a database of before there was
a record. One that fits is enough: others may stem from a key that was given up since."""


def known_key(chosen: str | None, home: Path, engine: sa.Engine, *, keep: bool = True) -> bytes:
    """Give the key as `pseudonym_key` does, and refuse one that isn't the one in use.

    Parameters
    ----------
    chosen, home, engine
        See `pseudonym_key`.
    keep
        Keep a key that is made, and record the first one; not so in a dry run.

    Raises
    ------
    BadInputError
        The key can't be used, is missing where it is needed, or is another one.
    LockHeldError
        Nothing has been done with the one in use, but somebody is at work who may just do it.
    """
    key = pseudonym_key(chosen, home, engine, keep=keep)
    with engine.connect() as connection:
        number, in_use = _in_use(connection)
        if in_use == fingerprint(key):
            return key
        may_be_first = (
            _fits_the_map(connection, key) if in_use is None else not has_pseudonyms(connection)
        )
    if may_be_first and keep:
        may_be_first = _record_first(engine, number + 1, key)
    if not may_be_first:
        raise BadInputError(
            "the pseudonym key isn't the one that this database's pseudonyms were made with: "
            "nobody who was forgotten or erased would be recognised; restore `pseudonym.key` in "
            "the home folder, or correct CALIBRATION_PSEUDONYM_KEY (if that key is lost for good: "
            "`calibrate db accept-key`); nothing was done"
        )
    return key


def accept_key(engine: sa.Engine, key: bytes, *, accepted_by: str, reason: str) -> None:
    """Put a key in the place of the one in use.

    Raises
    ------
    BadInputError
        It is in use already, or another one has just been accepted.
    LockHeldError
        A night is running, which would go on under the old one.
    """
    with CalibrationLock(engine, "calibrate db accept-key"):
        with engine.connect() as connection:
            number, in_use = _in_use(connection)
        if in_use == fingerprint(key):
            raise BadInputError("the pseudonym key that is set is in use already: nothing was done")
        if not _record(engine, number + 1, key, accepted_by, reason):
            raise BadInputError(
                "another key has just been accepted: nothing was done; look who did"
            )


def may_have_forgotten_others(connection: sa.Connection) -> bool:
    """Tell whether people were forgotten under a key that has been given up since.

    Whether an id is one of theirs can't be found out.
    """
    newest = (
        sa.select(pseudonym_keys.c.recorded_at, pseudonym_keys.c.accepted_by)
        .order_by(pseudonym_keys.c.ordinal.desc())
        .limit(1)
        .subquery()
    )
    is_older = suppressions.c.recorded_at < newest.c.recorded_at
    found = sa.exists().where(is_older, newest.c.accepted_by != _PIPELINE)
    return bool(connection.scalar(sa.select(found)))


def _record_first(engine: sa.Engine, number: int, key: bytes) -> bool:
    """Record a key that is the first, or the first to be used."""
    record = (engine, number, key, _PIPELINE, "no other was in use")
    if number == 1:
        return _record(*record)
    # Whoever has begun under the one in use holds the lock, and may be about to use it.
    with CalibrationLock(engine, "another pseudonym key"):
        with engine.connect() as connection:
            is_unused = not has_pseudonyms(connection)
        return is_unused and _record(*record)


def _record(engine: sa.Engine, number: int, key: bytes, accepted_by: str, reason: str) -> bool:
    """Tell whether the key is in use now: another process may have come first with its own."""
    row = {
        "ordinal": number,
        "fingerprint": fingerprint(key),
        "accepted_by": accepted_by,
        "reason": reason,
    }
    with engine.begin() as connection:
        connection.execute(postgresql.insert(pseudonym_keys).values(row).on_conflict_do_nothing())
        return _in_use(connection)[1] == fingerprint(key)


def fingerprint(key: bytes) -> bytes:
    """Give what a key is recognised by, which is no pseudonym of anything: 16 bytes."""
    return hmac.digest(key, b"pseudonym key\0", "sha256")[:PSEUDONYM_BYTES]


def _in_use(connection: sa.Connection) -> tuple[int, bytes | None]:
    """Give the number of the key in use and its fingerprint; 0 and None if none is on record."""
    columns = (pseudonym_keys.c.ordinal, pseudonym_keys.c.fingerprint)
    newest = sa.select(*columns).order_by(pseudonym_keys.c.ordinal.desc()).limit(1)
    found = connection.execute(newest).first()
    return (0, None) if found is None else (found.ordinal, found.fingerprint)


def _fits_the_map(connection: sa.Connection, key: bytes) -> bool:
    links = connection.execute(
        sa.select(candidate_map.c.pseudonym, candidate_map.c.candidate_id)
        .order_by(candidate_map.c.recorded_at.desc())
        .limit(_COMPARED)
    ).all()
    made = pseudonyms_of(key, "candidate", [link.candidate_id for link in links])
    return not links or any(a.pseudonym == b for a, b in zip(links, made, strict=True))
