"""The files of one embedded PostgreSQL cluster: where they are and what they say."""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.embedded_account import (
    SYSTEM_FOLDER,
    ServerAccount,
    make_system_folder,
)
from calibration_pipeline.store.embedded_binaries import POSTGRES_MAJOR

DATABASE_ROLE = "calibration"
DATABASES = ("calibration", "dagster")
"""Ours, and Dagster's own: its tables stay apart."""

# Not the runtime or temporary folder of the environment: every process of the user must find the
# same path, whatever variables it was started with, and a socket's path is limited to 103 bytes.
_SOCKET_PARENT = Path("/tmp")  # noqa: S108 - the folder in it is ours alone, checked on every start
_LOG_LIMIT_BYTES = 8 * 1024 * 1024

_SETTINGS = """\
listen_addresses = ''
port = 5432
unix_socket_directories = {socket}
unix_socket_permissions = 0700
hba_file = {hba}
ident_file = {ident}
max_connections = 100
shared_buffers = '64MB'
io_method = 'sync'
wal_level = minimal
max_wal_senders = 0
min_wal_size = '80MB'
max_wal_size = '512MB'
fsync = on
full_page_writes = on
synchronous_commit = on
timezone = 'UTC'
log_timezone = 'UTC'
jit = off
log_checkpoints = off
# Statements and the values in them can name people: they stay out of the log.
log_min_error_statement = panic
log_error_verbosity = terse
"""


@dataclass(frozen=True)
class Cluster:
    """Paths of one cluster.

    Attributes
    ----------
    folder
        Configuration and log, owned by the invoking user; `data` in it belongs to the server.
    socket_folder
        Holds the socket while the server runs.
    """

    folder: Path
    socket_folder: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """PostgreSQL's log."""
        return self.folder / "log" / "postgresql.log"

    @property
    def configuration(self) -> Path:
        """The configuration file that the server is started with."""
        return self.folder / "postgresql.conf"


def socket_folder(home: Path) -> Path:
    """Give the short folder of the socket: one for each home folder and user."""
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return _SOCKET_PARENT / f"calibration-{os.geteuid()}-{digest}"


def make_record_folder(record: Path) -> None:
    """Create ``<home>/postgres``, or check that it belongs to the invoking user.

    Raises
    ------
    DatabaseUnavailableError
        It belongs to somebody else, or can't be created.
    """
    # Root's server must be able to pass through, not to list.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for folder in (record.parent, record):
            if not folder.is_dir():
                folder.mkdir(mode=mode, parents=True, exist_ok=True)
        owner = record.lstat().st_uid
    except OSError as error:
        raise DatabaseUnavailableError(
            f"The embedded database can't be kept in {record} ({error.strerror}): "
            "set CALIBRATION_HOME to a folder that you can write to."
        ) from None
    if owner != os.geteuid():
        raise DatabaseUnavailableError(
            f"The embedded database in {record} belongs to user number {owner}, who alone can "
            "use it: work as that user, or set CALIBRATION_HOME to another folder."
        )


def locate(home: Path) -> Cluster:
    """Find the files of the home folder's cluster, whether it has been created or not."""
    record = home / "postgres"
    pointer = record / "location"
    folder = Path(pointer.read_text().strip()) if pointer.exists() else record
    return Cluster(folder, socket_folder(home))


def allot(home: Path, account: ServerAccount) -> Cluster:
    """Find the cluster's files, and choose their place if there are none yet.

    The place is the home folder, or, where root's dedicated account can't get there (``/root`` is
    closed to it), a folder below `SYSTEM_FOLDER`, noted in ``<home>/postgres/location``.
    """
    record = home / "postgres"
    found = locate(home)
    if found.folder != record or found.data.exists() or account.can_enter(record):
        return found
    clusters = SYSTEM_FOLDER / "clusters"
    make_system_folder(SYSTEM_FOLDER)
    make_system_folder(clusters)
    folder = Path(tempfile.mkdtemp(prefix="", dir=clusters))
    folder.chmod(0o711)
    unfinished = record / "location.new"
    unfinished.write_text(f"{folder}\n")
    unfinished.rename(record / "location")
    return locate(home)


def create_data(cluster: Cluster, account: ServerAccount, programs: Path) -> None:
    """Create the data folder with its databases, all or nothing, unless it exists.

    Raises
    ------
    DatabaseUnavailableError
        The data folder is of another major version, or could not be created.
    """
    if cluster.data.exists():
        _check_version(cluster.data)
        return
    for leftover in cluster.folder.glob("new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix="new-", dir=cluster.folder))
    account.own(unfinished)
    options = ["--encoding=UTF8", "--locale=C", "--auth-local=peer", "--auth-host=reject"]
    initialised = account.run(
        [programs / "initdb", "-D", unfinished, f"--username={DATABASE_ROLE}", *options]
    )
    statements = "".join(f"CREATE DATABASE {name};\n" for name in DATABASES)
    if initialised.returncode == 0:
        single: list[str | Path] = [programs / "postgres", "--single", "-D", unfinished]
        initialised = account.run([*single, "-c", "exit_on_error=on", "template1"], text=statements)
    if initialised.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise DatabaseUnavailableError(
            f"PostgreSQL could not create its data folder {cluster.data}: "
            f"{last_complaint(initialised.stdout)}."
        )
    unfinished.rename(cluster.data)


def _check_version(data: Path) -> None:
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except OSError:
        found = "an unknown version"
    if found != str(POSTGRES_MAJOR):
        raise DatabaseUnavailableError(
            f"The data in {data} was made by PostgreSQL {found} and this program brings "
            f"{POSTGRES_MAJOR}: move the folder away to start afresh, or use the older release."
        )


def write_configuration(cluster: Cluster, account: ServerAccount) -> None:
    """Write the server's configuration; the invoking user is the only one let in.

    The files belong to the invoking user: the dedicated account can read, not change them.
    """
    hba = cluster.folder / "pg_hba.conf"
    ident = cluster.folder / "pg_ident.conf"
    _write(hba, "local all all peer map=invoking\n")
    _write(ident, f'invoking "{account.client_name}" {DATABASE_ROLE}\n')
    settings = _SETTINGS.format(
        socket=_quoted(cluster.socket_folder), hba=_quoted(hba), ident=_quoted(ident)
    )
    _write(cluster.configuration, settings)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def open_log(cluster: Cluster) -> int:
    """Open the log for the server to append to, setting a long one aside first."""
    cluster.log.parent.mkdir(mode=0o700, exist_ok=True)
    if cluster.log.exists() and cluster.log.stat().st_size > _LOG_LIMIT_BYTES:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    return os.open(cluster.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def last_complaint(output: str) -> str:
    """Pick the line of PostgreSQL's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    complaints = [line for line in lines if re.search(r"\b(fatal|panic|error):", line.lower())]
    return (complaints or lines or ["it gave no reason"])[-1].rstrip(".")
