"""Choose where passes run, by the settings."""

from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

from calibration_pipeline.errors import EngineError
from calibration_pipeline.execution.shard_store import ShardStore
from calibration_pipeline.irt.local_engine import LOCAL
from calibration_pipeline.irt.shards import Engine

if TYPE_CHECKING:
    from calibration_pipeline.execution.dask_engine import DaskEngine


def open_engine(
    scheduler: str | None, store: ShardStore, timeout_seconds: float
) -> AbstractContextManager[Engine]:
    """Open where passes run; a cluster is connected to when the first one does.

    Parameters
    ----------
    scheduler
        Address of a Dask scheduler; None: the threads of this process.
    store, timeout_seconds
        As `DaskEngine` takes them.

    Raises
    ------
    EngineError
        A scheduler is named, and the extra `dask` isn't installed.
    """
    if scheduler is None:
        return nullcontext(LOCAL)
    return open_cluster(scheduler, store, timeout_seconds)


def open_cluster(scheduler: str, store: ShardStore, timeout_seconds: float) -> "DaskEngine":
    """Open a Dask cluster; it is connected to when it is first used.

    Raises
    ------
    EngineError
        The extra `dask` isn't installed.
    """
    if find_spec("distributed") is None:
        raise EngineError(
            "CALIBRATION_DASK_SCHEDULER is set, and Dask isn't installed: "
            "pip install 'calibration-pipeline[dask]', or unset it to compute on this machine"
        )
    from calibration_pipeline.execution.dask_engine import DaskEngine

    return DaskEngine(scheduler, store, timeout_seconds)
