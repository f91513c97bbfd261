"""Candidates who must not come back: in the database, and in a file that outlives a restore.

A backup that was taken before somebody was forgotten brings that person back. So each act is also
appended to the file `forgotten` in the home folder, from which it can be done again.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.errors import BadInputError, NightBlockedError
from calibration_pipeline.store.private_files import private_file
from calibration_pipeline.store.pseudonyms import PSEUDONYM_BYTES
from calibration_pipeline.store.tables import suppressions

_FORGET, _ERASE = "forget", "erase"


@dataclass(frozen=True)
class ForgottenPeople:
    """Pseudonyms of candidates whose link was removed, and of those who were erased."""

    forgotten: frozenset[bytes]
    erased: frozenset[bytes]


def suppressed(connection: sa.Connection) -> ForgottenPeople:
    """Read who is never to be linked, or taken in, again."""
    s = suppressions.c
    rows = connection.execute(sa.select(s.pseudonym, s.is_erased)).all()
    return _sorted_out((bytes(row.pseudonym), row.is_erased) for row in rows)


def suppress(connection: sa.Connection, pseudonyms: Collection[bytes], *, erase: bool) -> int:
    """Add candidates; give how many are new, or erased now and only forgotten before."""
    if not pseudonyms:
        return 0
    rows = [{"pseudonym": p, "is_erased": erase} for p in sorted(pseudonyms)]
    insert = postgresql.insert(suppressions)
    statement = insert.on_conflict_do_update(
        index_elements=[suppressions.c.pseudonym],
        set_={"is_erased": True},
        where=insert.excluded.is_erased & ~suppressions.c.is_erased,
    ).returning(suppressions.c.pseudonym)
    return len(connection.execute(statement, rows).all())


def remember(path: Path, pseudonyms: Iterable[bytes], *, erase: bool) -> None:
    """Append an act to the file, durably, unless it is in it already.

    Raises
    ------
    BadInputError
        The file can't be written, or isn't such a file.
    """
    known = read_remembered(path)
    done = known.erased if erase else known.erased | known.forgotten
    act = _ERASE if erase else _FORGET
    lines = "".join(f"{pseudonym.hex()} {act}\n" for pseudonym in sorted(set(pseudonyms) - done))
    if not lines:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = path.read_text(encoding="ascii") if path.exists() else ""
    with private_file(path) as file:
        file.write((before + lines).encode())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_remembered(path: Path) -> ForgottenPeople:
    """Read the file; nobody if there is none.

    Raises
    ------
    BadInputError
        It can't be read, or holds something else.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        acts = [_parsed(line) for line in lines if line]
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{path} can't be read as a list of forgotten candidates: restore it from a copy"
        ) from error
    return _sorted_out(acts)


def require_reapplied(connection: sa.Connection, path: Path) -> None:
    """Refuse a database that lacks an act of the file: it would bring people back.

    Raises
    ------
    NightBlockedError
        A backup from before the act was restored, or the act was killed before its commit.
    BadInputError
        The file can't be read.
    """
    remembered = read_remembered(path)
    if not (remembered.forgotten or remembered.erased):
        return
    done = suppressed(connection)
    lacking = remembered.forgotten - done.forgotten - done.erased
    lacking |= remembered.erased - done.erased
    if lacking:
        raise NightBlockedError(
            f"{path} names {len(lacking)} forgotten candidates whom the database doesn't know as "
            "such (an older backup was restored, or an act was killed): nothing was calibrated; "
            "run `calibrate forget --reapply` first"
        )


def _parsed(line: str) -> tuple[bytes, bool]:
    pseudonym, act = line.split()
    if len(pseudonym) != 2 * PSEUDONYM_BYTES or act not in (_FORGET, _ERASE):
        raise ValueError("a pseudonym in hexadecimal digits and what was done")
    return bytes.fromhex(pseudonym), act == _ERASE


def _sorted_out(acts: Iterable[tuple[bytes, bool]]) -> ForgottenPeople:
    acts = list(acts)
    erased = frozenset(pseudonym for pseudonym, is_erased in acts if is_erased)
    return ForgottenPeople(frozenset(p for p, is_erased in acts if not is_erased) - erased, erased)
