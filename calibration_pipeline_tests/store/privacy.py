"""What tests of deletion share: people's days in a log, and where an id can be found."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.tables import archive_revisions, metadata
from calibration_pipeline.store.turns import Turn, taking_turns
from calibration_pipeline_tests.store.answers import DAY, Extract, log, session
from calibration_pipeline_tests.store.examples import state

BAD = {"score": 7}


def after(days: int) -> date:
    return DAY + timedelta(days=days)


def log_people(engine: sa.Engine, day: date, *people: str, **changes: Any) -> None:
    """Log a session of each person on a day, in this order."""
    for number, person in enumerate(people):
        start = f"{day}T12:{number:02d}:00+01:00"
        log(engine, session(f"{person} on {day}", start, candidate=person, **changes))


def accept_night(engine: sa.Engine, run_id: str, night: date, folded_through: date) -> None:
    states.write_state(engine, state(night, folded_through=folded_through, parent=None), run_id)


def files(archive: Archive) -> set[str]:
    root = archive.location.path("")
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def names_in_archive(archive: Archive) -> set[bytes]:
    """Every pseudonym that stands in a file of the archive, recorded or not."""
    return {
        pseudonym
        for name in files(archive)
        for pseudonym in archive.read(name, ["candidate_pseudonym"])[0].to_pylist()
    }


def tables_with(engine: sa.Engine, text: str) -> set[str]:
    """The tables in which a text stands, in whatever column."""
    found = set()
    with engine.connect() as connection:
        for table in metadata.tables.values():
            query = f"SELECT count(*) FROM {table.fullname} AS t WHERE strpos(t::text, :text) > 0"  # noqa: S608
            if connection.scalar(sa.text(query), {"text": text}):
                found.add(table.name)
    return found


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def recorded(engine: sa.Engine, day: date) -> list[sa.Row[Any]]:
    r = archive_revisions.c
    with engine.connect() as connection:
        query = sa.select(archive_revisions).where(r.day == day).order_by(r.revision)
        return list(connection.execute(query))


@contextmanager
def turn_of_a_lost_run(engine: sa.Engine) -> Iterator[None]:
    """A run has lost the lock in the middle of an extraction, and keeps its turn.

    Whoever waits for the turn gets an error, instead of a test without an end.
    """
    statement = f"ALTER DATABASE {engine.url.database} SET lock_timeout = '5s'"
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
    with engine.connect() as connection, taking_turns(connection, Turn.EXTRACTION):
        yield


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program catches it."""


@pytest.fixture
def a_week(engine: sa.Engine, extract: Extract) -> None:
    """Seven archived days: ann and bob on the first, later bob and cid, bad rows on each."""
    for number in range(7):
        log_people(engine, after(number), *(("ann", "bob") if number == 0 else ("bob", "cid")))
        log_people(engine, after(number), "bad", **BAD)
        extract(after(number))


def read_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
