"""The embedded server, with real servers: start, stop, crashes and who may connect."""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.embedded_account import server_account
from calibration_pipeline.store.embedded_cluster import locate
from calibration_pipeline.store.embedded_process import find_postmaster
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, python
from calibration_pipeline_tests.server_folder import open_parent

START_AND_WAIT = """
import sys, time
from pathlib import Path
from calibration_pipeline.store.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).start(), flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def server():
    """A server that has not been started, in a folder whose name needs quoting everywhere."""
    parent = Path(tempfile.mkdtemp(prefix="calibration-test-", dir=open_parent()))
    parent.chmod(0o755)  # root keeps the data in the home only where its account can go
    server = EmbeddedServer(parent / 'it\'s $HOME of "all"')
    yield server
    server.remove()
    shutil.rmtree(parent)


def postmaster_of(server):
    postmaster = find_postmaster(locate(server.home))
    assert postmaster is not None
    return postmaster


def remember(server, text):
    with connect(server.url()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS memory (text text)")
        connection.execute("INSERT INTO memory VALUES (%s)", [text])


def memories(server):
    with connect(server.url()) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM memory ORDER BY text")]


def kill_and_wait(pid):
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=PATIENCE_SECONDS)


def is_alive(pid):
    """Whether the process runs: a dead one keeps its number until somebody asks how it ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def shared_memory_key(server):
    lines = (server.data / "postmaster.pid").read_text().splitlines()
    return lines[6].split()


def assert_nothing_is_left(server, key):
    cluster = locate(server.home)
    assert not cluster.socket_folder.exists()
    assert not (server.home / "postgres" / "lock").exists()
    assert not (server.data / "postmaster.pid").exists()
    for process in psutil.process_iter(["cmdline"]):
        assert f"config_file={cluster.configuration}" not in (process.info["cmdline"] or [])
    segments = Path("/proc/sysvipc/shm")
    if segments.exists():
        rows = [line.split()[:2] for line in segments.read_text().splitlines()[1:]]
        assert key not in rows


def test_start_gives_a_private_durable_database(server):
    assert server.start() == server.url()
    with connect(server.url()) as connection:
        settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        assert settings["listen_addresses"] == ""
        assert settings["fsync"] == settings["synchronous_commit"] == "on"
        assert settings["data_checksums"] == "on"
        assert (settings["TimeZone"], settings["server_encoding"]) == ("UTC", "UTF8")
        assert connection.info.server_version // 10000 == 18
    with connect(server.dagster_url()) as connection:
        assert connection.info.dbname == "dagster"
    for folder in (server.data, locate(server.home).socket_folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert server.is_running()


def test_start_is_idempotent_and_does_not_read_the_environment(server, monkeypatch):
    server.start()
    pid = postmaster_of(server).pid
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    EmbeddedServer(server.home).start()
    assert postmaster_of(server).pid == pid
    remember(server, "kept")
    assert memories(server) == ["kept"]


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_outlives_the_process_that_started_it(server, blow):
    owner = python(START_AND_WAIT, server.home, 60)
    assert owner.stdout.readline().strip() == server.url()
    remember(server, "written while the owner lived")
    owner.send_signal(blow)
    owner.wait(PATIENCE_SECONDS)
    assert server.is_running()
    server.start()
    assert memories(server) == ["written while the owner lived"]
    assert server.stop()


@pytest.mark.parametrize("seconds", [0.3, 0.9])
def test_a_starter_that_is_killed_half_way_does_not_block_the_next(server, seconds):
    owner = python(START_AND_WAIT, server.home, 60)
    time.sleep(seconds)
    owner.kill()
    owner.wait(PATIENCE_SECONDS)
    server.start()
    remember(server, "works")
    assert memories(server) == ["works"]


def test_data_survive_kill_9_of_the_server(server):
    server.start()
    remember(server, "committed")
    kill_and_wait(postmaster_of(server).pid)
    assert not server.is_running()
    server.start()
    assert memories(server) == ["committed"]


def test_a_process_number_that_another_program_has_by_now_does_not_block_the_start(server):
    server.start()
    remember(server, "before the reboot")
    cluster = locate(server.home)
    pid_file = (server.data / "postmaster.pid").read_text()
    server.stop()
    account = server_account()
    identity = {"user": account.uid, "group": account.gid} if account.is_dedicated else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **identity)
    try:
        _, *rest = pid_file.splitlines(keepends=True)
        (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{''.join(rest)}")
        account.own(cluster.socket_folder)
        lock = cluster.socket_folder / ".s.PGSQL.5432.lock"
        lock.write_text(f"{stranger.pid}\n{''.join(rest)}")
        assert not server.is_running()
        server.start()
        assert memories(server) == ["before the reboot"]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_processes_that_start_it_at_once_share_one_server(server):
    starters = [python(START_AND_WAIT, server.home, 0) for _ in range(4)]
    answers = [starter.communicate(timeout=PATIENCE_SECONDS)[0].strip() for starter in starters]
    assert answers == [server.url()] * 4
    assert (server.data / "postmaster.pid").exists()
    with connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_stop_leaves_data_and_nothing_else(server):
    server.start()
    remember(server, "kept")
    key = shared_memory_key(server)
    with connect(server.url()):  # an open session does not hold it up
        assert server.stop()
    assert_nothing_is_left(server, key)
    assert not server.stop()
    server.start()
    assert memories(server) == ["kept"]


def test_stop_clears_away_what_a_killed_server_left(server):
    server.start()
    remember(server, "kept")
    key = shared_memory_key(server)
    kill_and_wait(postmaster_of(server).pid)
    server.stop()
    assert_nothing_is_left(server, key)


def test_a_home_deleted_under_the_server_gives_a_fresh_one(server):
    server.start()
    first = postmaster_of(server).pid
    remember(server, "gone")
    shutil.rmtree(server.home)
    server.start()
    assert postmaster_of(server).pid != first
    assert not is_alive(first)
    with connect(server.url()) as connection:
        assert connection.execute("SELECT to_regclass('memory')").fetchone() == (None,)


def test_stop_ends_a_server_whose_home_was_deleted(server):
    server.start()
    first = postmaster_of(server).pid
    shutil.rmtree(server.home)
    server.stop()
    assert not is_alive(first)
    assert not locate(server.home).socket_folder.exists()


@pytest.mark.slow
def test_a_home_moved_under_the_server_keeps_its_data(server):
    server.start()
    remember(server, "moved along")
    old_sockets = locate(server.home).socket_folder
    moved = EmbeddedServer(server.home.rename(server.home.with_name("moved")))
    try:
        assert not moved.is_running()
        moved.start()
        assert memories(moved) == ["moved along"]
    finally:
        moved.remove()
        shutil.rmtree(old_sockets)


@pytest.mark.slow
def test_data_of_another_major_version_are_refused_in_one_line(server):
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseUnavailableError, match="made by PostgreSQL 16") as refusal:
        server.start()
    assert "\n" not in str(refusal.value)
    assert not server.is_running()


def test_a_server_that_can_not_start_says_why_in_one_line(server):
    server.start()
    server.stop()
    (server.data / "global" / "pg_control").unlink()
    with pytest.raises(DatabaseUnavailableError, match="could not open file") as why:
        server.start()
    assert "\n" not in str(why.value)
    assert not locate(server.home).socket_folder.exists()


def test_a_link_in_the_place_of_the_socket_folder_is_refused(server, tmp_path):
    bait = tmp_path / "bait"
    bait.mkdir(mode=0o755)
    sockets = locate(server.home).socket_folder
    sockets.symlink_to(bait)
    try:
        with pytest.raises(DatabaseUnavailableError, match="not a folder of this user"):
            server.start()
        assert stat.S_IMODE(bait.stat().st_mode) == 0o755
    finally:
        sockets.unlink()


def test_a_long_log_is_set_aside(server):
    server.start()
    server.stop()
    os.truncate(server.log, 9 * 1024 * 1024)
    server.start()
    assert server.log.stat().st_size < 100_000
    assert server.log.with_suffix(".log.1").exists()


def test_failed_statements_and_their_values_stay_out_of_the_log(server):
    server.start()
    with connect(server.url()) as connection:
        connection.execute("CREATE TABLE candidates (name text PRIMARY KEY)")
        connection.execute("INSERT INTO candidates VALUES ('Ada Lovelace')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO candidates VALUES ('Ada Lovelace')")
    assert "duplicate key" in server.log.read_text()
    assert "Lovelace" not in server.log.read_text()
