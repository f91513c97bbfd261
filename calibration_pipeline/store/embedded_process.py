"""Which process is the embedded server's, told apart from what a dead one left behind."""

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from calibration_pipeline.store.embedded_cluster import Cluster

_IS_READY = "ready"


@dataclass(frozen=True)
class Postmaster:
    """The running server.

    Attributes
    ----------
    pid
        Its main process.
    socket_folder
        Where it listens.
    is_ready
        Whether it takes connections yet.
    """

    pid: int
    socket_folder: Path
    is_ready: bool


def find_postmaster(cluster: Cluster) -> Postmaster | None:
    """Find the server that runs on the cluster's data folder.

    The number in ``postmaster.pid`` proves nothing: after a crash or a reboot it may be another
    program's. A server's process works in its data folder, whatever the folder is called by now.
    """
    lines = _lines(cluster.data / "postmaster.pid")
    if len(lines) < 5 or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    if not _works_in(pid, cluster.data):
        return None
    is_ready = len(lines) > 7 and lines[7].strip() == _IS_READY
    return Postmaster(pid, Path(lines[4]), is_ready)


def remove_stale_pid_file(cluster: Cluster) -> None:
    """Delete the process file of a dead server whose number another program has by now.

    PostgreSQL takes a file with a dead number for what it is; with a live one it refuses to start.
    While any process of the dead server is left, the file stays and PostgreSQL decides.
    """
    lines = _lines(cluster.data / "postmaster.pid")
    if not lines or not lines[0].isdigit() or not psutil.pid_exists(int(lines[0])):
        return
    if not any(_works_in(pid, cluster.data) for pid in psutil.pids()):
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)


def end_orphan(cluster: Cluster, timeout: float = 15.0) -> bool:
    """End a server that holds the home's socket although its data are not the home's any more.

    That is what deleting the home folder under a running server leads to.

    Parameters
    ----------
    cluster
        The home's cluster as it is now; its own server must not be running.
    timeout
        Seconds to wait for the server's end.

    Returns
    -------
    bool
        Whether there was such a server.
    """
    lines = _lines(cluster.socket_folder / ".s.PGSQL.5432.lock")
    if len(lines) < 2 or not lines[0].isdigit():
        return False
    # The number alone proves nothing here either: the arguments must name the same data.
    configuration = Path(lines[1]).with_name(cluster.configuration.name)
    with suppress(psutil.Error):
        process = psutil.Process(int(lines[0]))
        if f"config_file={configuration}" in process.cmdline():
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout)
            return True
    return False


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(psutil.Process(pid).cwd()).samefile(folder)
    except (psutil.Error, OSError):
        return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
