"""A backfill that is killed on its way: run again, it ends in the bytes of an undisturbed one."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import LockHeldError
from calibration_pipeline.store.snapshots import current_version, read_manifest
from calibration_pipeline.store.staleness import read_staleness
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT, bare_environment
from calibration_pipeline_tests.programme import (
    ANSWERS_A_DAY,
    FIRST,
    NIGHTS,
    PLAN,
    Programme,
    environment_of,
)

DONE = NIGHTS[:6]
"""The nights of the backfill. The last two fold a day."""
CRASHES = {
    "among the extractions": "SELECT count(*) = 3 FROM calibration.archive_revisions",
    "after a night that folds": (
        "SELECT count(*) > 0 FROM calibration.calibration_states WHERE partition = :fifth"
    ),
    "among the publications": (
        "SELECT count(*) > 0 FROM calibration.snapshots WHERE partition = :second"
    ),
}
"""What the database says at the moment when the process is killed."""


def killed_backfill(programme: Programme, dagster_url: str, moment: str) -> None:
    """Start the command as an operator does, and kill it as soon as the database says so."""
    folder = programme.settings.home.parent
    shutil.copy(PROJECT / "dagster.yaml", folder)
    command = ["-m", "calibration_pipeline.interfaces.cli", "backfill"]
    with (folder / "backfill.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--from", str(FIRST), "--to", str(DONE[-1])],
            cwd=folder,
            env=bare_environment() | environment_of(programme.settings, dagster_url),
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(programme, moment, process)
        finally:
            process.kill()
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def _wait_for(programme: Programme, moment: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    nights = {"second": NIGHTS[1], "fifth": NIGHTS[4]}
    question = sa.text(moment)
    with programme.engine.connect() as connection:
        named = {name: night for name, night in nights.items() if f":{name}" in moment}
        while not connection.scalar(question, named):
            connection.rollback()
            assert process.poll() is None, "the backfill ended before the moment had come"
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.002)


def run_again(programme: Programme) -> None:
    """PostgreSQL needs a moment to notice that the lock's holder is dead."""
    for _ in range(1000):
        try:
            programme.run(FIRST, DONE[-1])
        except LockHeldError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the lock of a dead run was not freed")


@pytest.mark.parametrize(
    "moment",
    [
        # The fault suite's short selection kills at every step: one more is enough here.
        pytest.param(CRASHES["among the extractions"], marks=pytest.mark.slow),
        pytest.param(CRASHES["after a night that folds"], marks=pytest.mark.slow),
        CRASHES["among the publications"],
    ],
    ids=CRASHES,
)
def test_a_killed_backfill_run_again_gives_the_undisturbed_bytes(
    calibrated: Programme, programme: Programme, dagster_url: str, moment: str
) -> None:
    killed_backfill(programme, dagster_url, moment)
    assert programme.scalar("SELECT count(*) FROM calibration.run_outcomes") == 0
    half_written = (
        "SELECT count(*) FROM calibration.calibration_states AS s WHERE :items <> "
        "(SELECT count(*) FROM calibration.state_items AS i"
        " WHERE (i.partition, i.attempt) = (s.partition, s.attempt))"
    )
    assert programme.scalar(half_written, items=PLAN.items) == 0

    run_again(programme)
    states, versions = calibrated.digests()
    assert programme.digests()[0] == states[: len(DONE)]
    newest = {night: digest for _, night, digest in programme.digests()[1]}
    assert newest == {night: digest for _, night, digest in versions if night in DONE}
    assert read_staleness(programme.engine).nights == ()
    manifest = read_manifest(programme.engine, current_version(programme.engine))
    assert manifest.partition == DONE[-1]
    last = programme.state(DONE[-1])
    assert last.total_counts.sum() == len(DONE) * ANSWERS_A_DAY
    revisions = "SELECT count(*), max(revision) FROM calibration.archive_revisions"
    with programme.engine.connect() as connection:
        assert tuple(connection.execute(sa.text(revisions)).one()) == (len(DONE), 1)
