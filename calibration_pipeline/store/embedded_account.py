"""The operating-system account that the embedded PostgreSQL runs as.

An ordinary user runs it as themselves. PostgreSQL refuses to run as root, so root runs it as a
dedicated account that owns nothing else and can't log in.
"""

import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.embedded_lock import exclusive_lock

DEDICATED_ACCOUNT = "calibration-postgres"
SYSTEM_FOLDER = Path("/var/lib/calibration-pipeline")
"""Where root keeps what the dedicated account must be able to reach."""

_ADVICE = "run as an ordinary user, or set CALIBRATION_DATABASE_URL to a PostgreSQL server"
# `useradd` fails at once while another process holds the lock on the account files.
_CREATION_ATTEMPTS = 20


@dataclass(frozen=True)
class ServerAccount:
    """Who runs the server and who may connect to it.

    Attributes
    ----------
    uid, gid
        The account that the server's processes and its data folder belong to.
    client_name
        The login name that is allowed to connect: the invoking user's.
    is_dedicated
        Whether the server runs as another account than the invoking user's.
    """

    uid: int
    gid: int
    client_name: str
    is_dedicated: bool

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        output: int = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
        text: str | None = None,
        timeout: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, with a bare environment and no inherited files.

        The environment is bare because the server outlives its starter: it must not keep the
        starter's secrets, nor read PG* variables meant for another server.

        Parameters
        ----------
        arguments
            The program's absolute path and its arguments.
        output
            Where its output and errors go: a file descriptor, or `subprocess.PIPE`.
        environment
            Variables to set besides the bare ones.
        text
            What it reads from its standard input.
        timeout
            Seconds.
        """
        return subprocess.run(  # noqa: S603 - our own binaries with arguments made here
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL if text is None else None,
            input=text,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **(environment or {})},
            # The current folder may be one that the dedicated account can't enter.
            cwd="/",
            text=True,
            timeout=timeout,
            check=False,
            umask=0o077,
            user=self.uid if self.is_dedicated else None,
            group=self.gid if self.is_dedicated else None,
            extra_groups=[] if self.is_dedicated else None,
        )

    def own(self, folder: Path) -> None:
        """Create a folder that this account alone can enter, if it does not exist yet.

        Raises
        ------
        DatabaseUnavailableError
            Something else stands there: a link, a file, or another user's folder.
        """
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            if self.is_dedicated:
                os.chown(folder, self.uid, self.gid)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (self.uid, os.geteuid()):
            raise DatabaseUnavailableError(
                f"{folder} is not a folder of this user, and the embedded database needs it: "
                f"find out who put it there and remove it."
            )
        if found.st_uid != self.uid:
            # Its creator was ended between making the folder and handing it over.
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)

    def can_enter(self, folder: Path) -> bool:
        """Whether this account may pass through `folder` and everything above it."""
        return all(self._may_search(step.stat()) for step in (folder, *folder.parents))

    def _may_search(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def server_account() -> ServerAccount:
    """Give the account that runs the server of the invoking user, creating it where root lacks it.

    Raises
    ------
    DatabaseUnavailableError
        The invoking user has no login name, or the dedicated account can't be created.
    """
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        raise DatabaseUnavailableError(
            f"The embedded PostgreSQL needs a login name and user number {uid} has none: "
            "add the user to the system's accounts, or set CALIBRATION_DATABASE_URL."
        ) from None
    if uid != 0:
        return ServerAccount(uid, user.pw_gid, user.pw_name, is_dedicated=False)
    dedicated = _find_dedicated()
    if dedicated is None:
        make_system_folder(SYSTEM_FOLDER)
        # Two `useradd` of one name at once were seen to succeed both, with two numbers.
        with exclusive_lock(SYSTEM_FOLDER / "lock"):
            dedicated = _find_dedicated() or _create_dedicated()
    return ServerAccount(dedicated.pw_uid, dedicated.pw_gid, user.pw_name, is_dedicated=True)


def make_system_folder(folder: Path) -> None:
    """Create a folder of root that others may pass through, with its parents."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def _find_dedicated() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(DEDICATED_ACCOUNT)
    except KeyError:
        return None


def _create_dedicated() -> pwd.struct_passwd:
    """Create the dedicated account; another program may hold the account files."""
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise DatabaseUnavailableError(
            f"PostgreSQL refuses to run as root, and there is no useradd to create the account "
            f"{DEDICATED_ACCOUNT}: {_ADVICE}."
        )
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    for _ in range(_CREATION_ATTEMPTS):
        result = subprocess.run(  # noqa: S603 - the system's own program, fixed arguments
            [program, *options, "--shell", "/usr/sbin/nologin", DEDICATED_ACCOUNT],
            capture_output=True,
            text=True,
            check=False,
        )
        if (created := _find_dedicated()) is not None:
            return created
        time.sleep(0.1)
    reason = " ".join(result.stderr.split())
    raise DatabaseUnavailableError(
        f"PostgreSQL refuses to run as root, and the account {DEDICATED_ACCOUNT} could not be "
        f"created ({reason}): {_ADVICE}."
    )
