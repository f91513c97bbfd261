"""A reader that polls `current` without a pause, as a test engine might at its worst."""

import itertools
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.store.published import PublishedVersion, find_version, read_version
from calibration_pipeline.store.snapshot_rows import content_digest, items_of_rows
from calibration_pipeline.store.tables import aliases, snapshot_items, snapshots
from calibration_pipeline_tests.faults.children import Report

_PAUSE_SECONDS = 0.005
_CURRENT = (
    sa.select(snapshots.c.version, snapshots.c.content_digest, snapshots.c.scaling_constant)
    .join(aliases, aliases.c.version == snapshots.c.version)
    .where(aliases.c.alias == "current")
)
_ITEMS = sa.select(snapshot_items).where(snapshot_items.c.version == sa.bindparam("version"))


@dataclass
class Tally:
    """What a reader saw; nothing of it may be wrong.

    Attributes
    ----------
    reads
        Versions read.
    refused
        Reads that found no server, or lost it half way.
    wrong
        What no reader may ever see: torn versions and changed ones; one sentence each.
    digests
        Each version that was seen, and the digest of its items.
    """

    reads: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    digests: dict[int, str] = field(default_factory=dict)
    _last: object = None

    def facts(self) -> dict[str, Any]:
        """What it was made of."""
        return {name: getattr(self, name) for name in ("reads", "refused", "wrong", "digests")}

    def add(self, manifest: Any, rows: Sequence[Any]) -> None:
        """Judge one read: a whole version, the same as ever, and none older than before."""
        self.reads += 1
        version, read = manifest.version, (manifest, rows)
        if self._last == read:
            return
        self._last = read
        found = content_digest(items_of_rows(rows), manifest.scaling_constant)
        if found != manifest.content_digest:
            self.wrong.append(f"version {version} was torn: {len(rows)} items, digest {found}")
        self._compare(version, found)

    def add_pinned(self, pinned: PublishedVersion) -> None:
        """Judge a version that was pinned; the store has compared it with its manifest."""
        self.reads += 1
        self._compare(pinned.version, pinned.content_digest)

    def _compare(self, version: int, found: str) -> None:
        if self.digests.setdefault(version, found) != found:
            self.wrong.append(f"version {version} changed under its readers")
        if version < max(self.digests):
            self.wrong.append(f"`current` went back to version {version}")


def poll(url: str, report: Report) -> None:
    """Read `current` over and over until SIGTERM, then report the tally.

    Every other time as a test engine does (the alias first, then the version it names), and in
    between alias, manifest and items at once.
    """
    running = True

    def stop(*_signal: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    engine = sa.create_engine(
        url,
        isolation_level="REPEATABLE READ",
        connect_args={"application_name": "reader of the fault suite"},
    )
    tally = Tally()
    report(ready=True)
    for number in itertools.count():
        if not running:
            break
        try:
            if number % 2:
                tally.add_pinned(read_version(engine, find_version(engine)))
            else:
                tally.add(*_read_current(engine))
        except sa.exc.OperationalError:
            tally.refused += 1
        except CalibrationError as error:
            tally.wrong.append(str(error))
        time.sleep(_PAUSE_SECONDS)
    report(**tally.facts())


def _read_current(engine: sa.Engine) -> tuple[Any, Sequence[Any]]:
    """Follow the alias to a manifest and its items, in one view of the database."""
    with engine.connect() as connection:
        manifest = connection.execute(_CURRENT).one()
        rows = connection.execute(_ITEMS, {"version": manifest.version}).all()
    return manifest, rows
