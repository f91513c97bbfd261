"""PostgreSQL's own `pg_dump` and `pg_restore`, run without showing a password to anybody."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, CalibrationError
from calibration_pipeline.store.urls import to_libpq

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_MAJOR = 10_000  # server_version_num of 18.1 is 180001
# From this version on pg_restore sets transaction_timeout, which older servers refuse; and older
# programs can't read what newer ones wrote. A backup must not be one that no program can restore.
_FIRST_WITH_TRANSACTION_TIMEOUT = 17


class PostgresProgramError(CalibrationError):
    """`pg_dump` or `pg_restore` is missing, too old, or failed."""


def dump(engine: sa.Engine, target: Path, *, programs: Path | None, schema: str | None) -> None:
    """Write a database, or one schema of it, in PostgreSQL's custom format.

    Parameters
    ----------
    engine
        Of the database; its URL says where `pg_dump` connects to.
    target
        The file to write.
    programs
        Folder of PostgreSQL's programs; None to look for them on the PATH.
    schema
        The only schema to write; None for all of them.

    Raises
    ------
    PostgresProgramError
        `pg_dump` is missing, doesn't go with the server, or failed.
    """
    selected = [] if schema is None else [f"--schema={schema}"]
    options = ["--format=custom", "--no-privileges", "--lock-wait-timeout=60s", f"--file={target}"]
    _run(engine, "pg_dump", [*options, *selected], programs)


def restore(engine: sa.Engine, source: Path, *, programs: Path | None) -> None:
    """Read what `dump` wrote into a database, in one transaction: all of it, or nothing.

    Everything belongs to the role that restores. Grants aren't part of a dump: the roles that they
    name are the server's, not the database's.

    Raises
    ------
    PostgresProgramError
        `pg_restore` is missing, doesn't go with the server, or failed; nothing was stored then.
    """
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run(engine, "pg_restore", [*options, str(source)], programs)


def _run(engine: sa.Engine, name: str, options: Sequence[str], programs: Path | None) -> None:
    program = _find(name, programs, _server_major(engine))
    url, secrets = _split_secrets(engine.url)
    result = subprocess.run(  # noqa: S603 - PostgreSQL's program with arguments made here
        [str(program), "--no-password", f"--dbname={url}", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # The same PG* variables as our own connections see, and a language that can be read.
        env={**os.environ, **secrets, "LC_ALL": "C"},
        text=True,
        errors="replace",
        check=False,
        umask=0o077,
    )
    if result.returncode != 0:
        raise PostgresProgramError(
            f"{name} failed ({_complaint(result.stderr)}): mend that and start again"
        )


def _find(name: str, programs: Path | None, server_major: int) -> Path:
    """Give the program's path, if what it writes can be restored into a server of that version."""
    found = shutil.which(name, path=None if programs is None else str(programs))
    if found is None:
        raise PostgresProgramError(
            f"{name} is not on the PATH: install the client programs of PostgreSQL {server_major}"
        )
    stated = subprocess.run(  # noqa: S603 - the same program
        [found, "--version"], capture_output=True, text=True, check=False
    )
    version = _VERSION.search(stated.stdout)
    major = int(version[1]) if version else 0
    if major < server_major or server_major < _FIRST_WITH_TRANSACTION_TIMEOUT <= major:
        of = f"of PostgreSQL {major}" if version else "of an unknown version"
        raise PostgresProgramError(
            f"{found} is {of}, which doesn't go with a server of {server_major}: put the client "
            f"programs of PostgreSQL {server_major} first on the PATH"
        )
    return Path(found)


def _server_major(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // _MAJOR


def _split_secrets(url: sa.URL) -> tuple[str, dict[str, str]]:
    """Give the URL for the command line, which everybody can read, and the password beside it."""
    if "sslpassword" in url.query:
        raise BadInputError(
            "the database URL holds sslpassword, which can't be handed to PostgreSQL's programs "
            "unseen: use a key file without a password of its own"
        )
    in_query = url.query.get("password")
    password = in_query if isinstance(in_query, str) else url.password
    bare = sa.URL.create(
        url.drivername,
        username=url.username,
        host=url.host,
        port=url.port,
        database=url.database,
        query={name: value for name, value in url.query.items() if name != "password"},
    )
    secrets = {} if password is None else {"PGPASSWORD": password}
    return to_libpq(bare.render_as_string(hide_password=False)), secrets


def _complaint(errors: str) -> str:
    """Pick the first error; the lines behind it can repeat rows, and rows name people."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    first = next((line for line in lines if "error:" in line), lines[0] if lines else "no reason")
    return first.split("error:", 1)[-1].strip().rstrip(".")


def require_programs(engine: sa.Engine, programs: Path | None, *names: str) -> None:
    """Refuse early where a program is missing or too old.

    Raises
    ------
    PostgresProgramError
        Names the program, and what to install.
    DatabaseUnavailableError
        The server can't be asked for its version.
    """
    major = _server_major(engine)
    for name in names:
        _find(name, programs, major)
