"""The Dagster instance that the command line shares with ``dagster dev``."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.instance import InstanceRef
from dagster._core.instance.config import is_dagster_home_set

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.orchestration.failures import mendable_cause

_CONFIGURATION = "dagster.yaml"
_RETRYING = "Retrying failed database"


@contextmanager
def open_instance(project_folder: Path) -> Iterator[dg.DagsterInstance]:
    """Open the instance that ``dagster dev`` uses in the same folder, for a block's length.

    Where the operator has set DAGSTER_HOME, the instance is the one configured there. That Dagster
    tries its database again is not shown: what comes of it is.

    Parameters
    ----------
    project_folder
        The folder with the project's ``dagster.yaml``.

    Raises
    ------
    CalibrationError
        There is no ``dagster.yaml`` in the folder.
    DatabaseUnavailableError
        Dagster's database can't be reached.
    """
    root = logging.getLogger()  # which is the logger that dagster-postgres uses
    root.addFilter(_is_worth_showing)
    try:
        with _connected(project_folder) as instance:
            yield instance
    finally:
        root.removeFilter(_is_worth_showing)


def _is_worth_showing(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_RETRYING)


def _connected(project_folder: Path) -> dg.DagsterInstance:
    try:
        return _configured(project_folder)
    except CalibrationError:
        raise
    except Exception as error:
        mendable = mendable_cause(error)
        if mendable is None:
            raise
        raise mendable from error


def _configured(project_folder: Path) -> dg.DagsterInstance:
    if is_dagster_home_set():
        return dg.DagsterInstance.get()
    if not (project_folder / _CONFIGURATION).is_file():
        raise CalibrationError(
            f"There is no {_CONFIGURATION} in {project_folder}, so Dagster has nowhere to record "
            "runs: change to the project's folder, or set DAGSTER_HOME."
        )
    # A public way to name the configuration's folder does not exist: `DagsterInstance.get` reads
    # DAGSTER_HOME alone. This is what `dagster dev` itself calls.
    folder = str(project_folder)
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(folder, config_dir=folder))
