"""Who runs the embedded server and who may connect, seen by root and by others."""

import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.embedded_account import (
    DEDICATED_ACCOUNT,
    SYSTEM_FOLDER,
    ServerAccount,
)
from calibration_pipeline.store.embedded_binaries import program_folder
from calibration_pipeline.store.embedded_cluster import locate
from calibration_pipeline.store.embedded_process import find_postmaster
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.processes import as_user, needs_root
from calibration_pipeline_tests.server_folder import open_parent

STRANGER = "nobody"


@pytest.fixture
def open_folder():
    """A folder that every user of the machine may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="calibration-test-", dir=open_parent()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(open_folder):
    server = EmbeddedServer(open_folder / "home")
    yield server
    server.remove()


def user_that_runs(server):
    postmaster = find_postmaster(locate(server.home))
    assert postmaster is not None
    return psutil.Process(postmaster.pid).username()


def test_the_invoking_user_runs_and_owns_the_server(server):
    server.start()
    expected = DEDICATED_ACCOUNT if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    assert user_that_runs(server) == expected
    assert server.data.owner() == expected
    assert server.data == server.home / "postgres" / "data"


@needs_root
def test_another_user_can_not_reach_the_server_of_root(server):
    server.start()
    with pytest.raises(RuntimeError, match="Permission denied"):
        as_user(STRANGER, connect, server.url())


@needs_root
@pytest.mark.parametrize("user", [STRANGER, DEDICATED_ACCOUNT])
def test_peer_authentication_admits_nobody_but_the_invoking_user(server, user):
    server.start()
    sockets = locate(server.home).socket_folder
    sockets.chmod(0o755)  # as if the folder's own protection had failed
    (sockets / ".s.PGSQL.5432").chmod(0o777)
    with pytest.raises(RuntimeError, match="Peer authentication failed"):
        as_user(user, connect, server.url())
    with connect(server.url()) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("calibration",)


@needs_root
def test_a_home_that_only_root_can_enter_keeps_its_permissions(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedServer(closed / "home")
    try:
        server.start()
        assert server.data.is_relative_to(SYSTEM_FOLDER)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        with connect(server.url()) as connection:
            connection.execute("CREATE TABLE memory ()")
        server.stop()
        server.start()
        with connect(server.url()) as connection:
            assert connection.execute("SELECT to_regclass('memory')").fetchone() == ("memory",)
    finally:
        server.remove()
    assert not server.data.exists()


def _life_of_a_server(home):
    """What an ordinary user does with it; every step in that user's process."""
    server = EmbeddedServer(home)
    server.start()
    owner = (user_that_runs(server), server.data.owner())
    with connect(server.url()) as connection:
        role = connection.execute("SELECT current_user").fetchone()[0]
    stopped = server.stop()
    left = [str(path) for path in (locate(home).socket_folder, home / "postgres" / "lock")]
    return owner, role, stopped, [path for path in left if Path(path).exists()]


@needs_root
def test_an_ordinary_user_runs_their_own_server(open_folder):
    stranger = pwd.getpwnam(STRANGER)
    os.chown(open_folder, stranger.pw_uid, stranger.pw_gid)
    _skip_where_the_environment_is_closed_to(stranger)
    owner, role, stopped, left = as_user(STRANGER, _life_of_a_server, open_folder / "home")
    assert owner == (STRANGER, STRANGER)
    assert (role, stopped, left) == ("calibration", True, [])


def _skip_where_the_environment_is_closed_to(user):
    account = ServerAccount(user.pw_uid, user.pw_gid, user.pw_name, is_dedicated=False)
    if not account.can_enter(program_folder(account)):
        pytest.skip("this Python environment lies in a folder that only root can enter")


@needs_root
def test_a_server_of_another_user_is_refused_in_one_line(open_folder):
    home = open_folder / "home"
    (home / "postgres").mkdir(parents=True)
    stranger = pwd.getpwnam(STRANGER)
    os.chown(home / "postgres", stranger.pw_uid, stranger.pw_gid)
    server = EmbeddedServer(home)
    for action in (server.start, server.stop):
        with pytest.raises(DatabaseUnavailableError, match="belongs to user number") as refusal:
            action()
        assert "\n" not in str(refusal.value)


def test_two_homes_side_by_side_have_servers_of_their_own(open_folder):
    servers = [EmbeddedServer(open_folder / name) for name in ("one", "two")]
    try:
        for number, server in enumerate(servers):
            with psycopg.connect(server.start().replace("+psycopg", "")) as connection:
                connection.execute(f"CREATE TABLE home_{number} ()")
        assert servers[0].stop()
        assert servers[1].is_running()
    finally:
        for server in servers:
            server.remove()
