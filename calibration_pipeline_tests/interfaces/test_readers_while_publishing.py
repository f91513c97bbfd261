"""Fifty readers poll `current` while versions are published: each sees whole versions alone."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import SnapshotItem
from calibration_pipeline.store import states
from calibration_pipeline.store.snapshot_rows import content_digest
from calibration_pipeline_tests.interfaces.polling import PollingReaders, Seen
from calibration_pipeline_tests.store.examples import draft, snapshot_items, state
from calibration_pipeline_tests.store.publishing import published

VERSIONS = 20
PROCESSES, READERS_PER_PROCESS = 3, 5
READERS_HERE = 35
ENOUGH = 10
SCALING_CONSTANT = draft("").scaling_constant


def items_of(version: int) -> tuple[SnapshotItem, ...]:
    """Items of which each differs from version to version: a mix of two has neither's digest."""
    return tuple(replace(item, difficulty=item.difficulty + version) for item in snapshot_items(60))


DIGESTS = {n: content_digest(items_of(n), SCALING_CONSTANT) for n in range(1, VERSIONS + 1)}


@pytest.fixture
def one_version(engine: sa.Engine, run_id: str) -> str:
    """A database in which the first version is current; its URL."""
    states.write_state(engine, state(), run_id)
    published(engine, run_id, items_of(1))
    return engine.url.render_as_string(hide_password=False)


def came_upon(version: int) -> Callable[[Seen], bool]:
    return lambda seen: version in dict(seen.versions)


@contextmanager
def polling_processes(url: str) -> Iterator[list[Seen]]:
    """Readers in other processes, until the block ends; the list is filled then."""
    found: list[Seen] = []
    command = [sys.executable, "-m", "calibration_pipeline_tests.interfaces.polling", url]
    processes = [
        subprocess.Popen(
            [*command, str(READERS_PER_PROCESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "polling\n"
        yield found
        for process in processes:
            output, _ = process.communicate(timeout=60)
            found += [Seen(**seen) for seen in json.loads(output)]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_no_reader_sees_anything_but_whole_versions(
    engine: sa.Engine, run_id: str, one_version: str
) -> None:
    with (
        polling_processes(one_version) as seen,
        PollingReaders(one_version, READERS_HERE) as readers,
    ):
        for version in range(2, VERSIONS + 1):
            readers.wait_until(came_upon(version - 1), ENOUGH)
            assert published(engine, run_id, items_of(version)).current == version
    seen += readers.seen
    assert len(seen) == 50
    assert [error for reader in seen for error in reader.errors] == []
    for reader in seen:
        versions = [version for version, _ in reader.versions]
        assert versions == sorted(set(versions))
        assert versions[-1] == VERSIONS
        assert [digest for _, digest in reader.versions] == [DIGESTS[v] for v in versions]


def test_a_version_published_in_two_steps_would_be_noticed(
    engine: sa.Engine, run_id: str, one_version: str
) -> None:
    """The readers' own proof: alias and manifest first, the items in another transaction."""
    manifest = (
        "INSERT INTO calibration.snapshots SELECT 2, partition, attempt, 1, scaling_constant, "
        "window_start, window_end, run_id, configuration, package_versions, data_digest, links, "
        "population, :digest, now() FROM calibration.snapshots"
    )
    items = (
        "INSERT INTO calibration.snapshot_items SELECT 2, item_id, content_version, scale, "
        "discrimination, difficulty + 1, guessing, discrimination_se, difficulty_se, guessing_se, "
        "covariance, track, source, window_count, total_count, at_bound "
        "FROM calibration.snapshot_items"
    )

    def carry_out(statement: str, **parameters: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    with PollingReaders(one_version, 3) as readers:
        readers.wait_until(came_upon(1), 3)
        carry_out(manifest, digest=DIGESTS[2])
        carry_out("UPDATE calibration.aliases SET version = 2")
        readers.wait_until(lambda seen: bool(seen.errors), 3)
        # The database refuses that as well, from the second step on.
        carry_out("ALTER TABLE calibration.snapshot_items DISABLE TRIGGER whole_at_publication")
        carry_out(items)
    for reader in readers.seen:
        assert all("version 2 isn't what was published" in error for error in reader.errors)
        assert reader.versions == [(1, DIGESTS[1]), (2, DIGESTS[2])]
