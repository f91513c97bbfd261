"""The Dagster instance that the command line shares with ``dagster dev``."""

from pathlib import Path

import dagster as dg
from dagster._core.instance import InstanceRef
from dagster._core.instance.config import is_dagster_home_set

from calibration_pipeline.errors import CalibrationError

_CONFIGURATION = "dagster.yaml"


def open_instance(project_folder: Path) -> dg.DagsterInstance:
    """Open the instance that ``dagster dev`` uses in the same folder; use it as a context manager.

    Where the operator has set DAGSTER_HOME, the instance is the one configured there.

    Parameters
    ----------
    project_folder
        The folder with the project's ``dagster.yaml``.

    Raises
    ------
    CalibrationError
        There is no ``dagster.yaml`` in the folder.
    """
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
