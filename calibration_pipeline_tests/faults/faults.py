"""What may strike a run, done for real: by the kernel, by PostgreSQL, or to the connections."""

import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.embedded_cluster import locate
from calibration_pipeline.store.embedded_process import find_postmaster
from calibration_pipeline.store.lock import _LOCK_KEY
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.faults.points import BEFORE, COMMIT, POINTS, STATEMENT, STEP_OF

APPLICATION = "calibration_pipeline"
_TIMEOUT_MILLISECONDS = 5000
# So that a file which is opened on a full disk breaks off half way.
_SPARE_BYTES = 1000
_HOLDS_LOCK = (
    "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"  # noqa: S608
    f" AND ((classid::bigint << 32) | objid::bigint) = {_LOCK_KEY})"
)


@dataclass(frozen=True)
class Fault:
    """One fault: what happens, and at which visit of which moment (the first is 1)."""

    kind: str
    point: str
    when: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.kind}, {self.when} {self.point} (visit {self.occurrence})"


@dataclass(frozen=True)
class Scene:
    """What a fault may need to know: the server, the run's database, and a run's archive."""

    server: EmbeddedServer
    database_url: str
    archive: Path


def kill(_scene: Scene) -> None:
    """End this process at once; nothing of it gets another word."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def terminate(_scene: Scene) -> None:
    """Ask this process to end, as a shutdown of the machine does."""
    os.kill(os.getpid(), signal.SIGTERM)


def restart_server(scene: Scene) -> None:
    """Stop PostgreSQL without a farewell (an immediate shutdown) and start it again."""
    postmaster = find_postmaster(locate(scene.server.home))
    if postmaster is not None:
        process = psutil.Process(postmaster.pid)
        process.send_signal(signal.SIGQUIT)
        process.wait(60)
    scene.server.start()


def cut_connections(scene: Scene) -> None:
    """Cut every connection of the run."""
    _end_backends(scene, "true")


def cut_lock(scene: Scene) -> None:
    """Cut the connection that holds the calibration lock, and no other."""
    _end_backends(scene, _HOLDS_LOCK)


def cut_all_but_lock(scene: Scene) -> None:
    """Cut every connection but the one that holds the calibration lock."""
    _end_backends(scene, f"NOT ({_HOLDS_LOCK})")


def _end_backends(scene: Scene, which: str) -> None:
    statement = (
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"  # noqa: S608 - fixed texts
        f" WHERE datname = current_database() AND application_name = %s AND {which}"
    )
    with connect(scene.database_url) as connection:
        connection.execute(statement, (_TIMEOUT_MILLISECONDS, APPLICATION))


def lose_answers(_scene: Scene) -> None:
    """What is sent still arrives and is done, but no answer comes: was it committed or not?"""
    for entry in Path("/proc/self/fd").iterdir():
        if _target(entry).name.startswith("socket:"):
            with socket.socket(fileno=os.dup(int(entry.name))) as duplicate:
                if ".s.PGSQL." in str(duplicate.getpeername()):
                    duplicate.shutdown(socket.SHUT_RD)


def fill_disk(scene: Scene) -> None:
    """Let the kernel refuse every further byte: ENOSPC in open files, EFBIG in others."""
    full = os.open("/dev/full", os.O_WRONLY)
    for entry in Path("/proc/self/fd").iterdir():
        if _target(entry).is_relative_to(scene.archive):
            os.dup2(full, int(entry.name))
    os.close(full)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SPARE_BYTES, resource.RLIM_INFINITY))


def _target(entry: Path) -> Path:
    try:
        return entry.readlink()
    except FileNotFoundError:  # the descriptor of the listing itself
        return Path()


def sleep(_scene: Scene) -> None:
    """Stand still until woken; what happens meanwhile is the harness's business."""
    os.kill(os.getpid(), signal.SIGSTOP)


KILLED = "SIGKILL"
TERMINATED = "SIGTERM"
RESTARTED = "PostgreSQL restarted"
CUT = "connections cut"
LOCK_CUT = "the lock's connection cut"
OTHERS_CUT = "all other connections cut"
ANSWERS_LOST = "answers lost"
DISK_FULL = "disk full"
SUCCEEDED = "asleep, lock cut, succeeded"
CUT_AND_SUCCEEDED = "asleep, all cut, succeeded"

ACTIONS: Mapping[str, Callable[[Scene], None]] = {
    KILLED: kill,
    TERMINATED: terminate,
    RESTARTED: restart_server,
    CUT: cut_connections,
    LOCK_CUT: cut_lock,
    OTHERS_CUT: cut_all_but_lock,
    ANSWERS_LOST: lose_answers,
    DISK_FULL: fill_disk,
    SUCCEEDED: sleep,
    CUT_AND_SUCCEEDED: sleep,
}
CUT_WHILE_ASLEEP = {SUCCEEDED: cut_lock, CUT_AND_SUCCEEDED: cut_connections}
"""What the harness cuts before it lets another run take the sleeper's place."""

_BETWEEN = {point.name for point in POINTS if point.is_between}
_WRITES_FILES = {"extraction", "archive write", "report"}
# Before these there is no lock to lose, and after the last write nothing that a loser could do.
_WITHOUT_LOCK = {"taking the lock", "freeing the lock", "closing the run"}


def kinds_at(point: str, when: str) -> tuple[str, ...]:
    """List the kinds of fault that make sense at a moment."""
    kinds = [KILLED, TERMINATED, RESTARTED, CUT, LOCK_CUT, OTHERS_CUT]
    if STEP_OF[point] == "SQL" and when == BEFORE:
        kinds.append(ANSWERS_LOST)
    if STEP_OF[point] in _WRITES_FILES:
        kinds.append(DISK_FULL)
    if point in _BETWEEN and point not in _WITHOUT_LOCK:
        kinds.append(SUCCEEDED)
    if point not in _WITHOUT_LOCK and point not in (STATEMENT, COMMIT):
        kinds.append(CUT_AND_SUCCEEDED)
    return tuple(kinds)
