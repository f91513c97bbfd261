"""Whether the Dask cluster that is set can compute a night, for ``calibrate doctor``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.execution.choosing import open_cluster
from calibration_pipeline.execution.versions import differences, installed_versions, processor
from calibration_pipeline.interfaces.cli.installation import Check
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.shard_files import ShardFiles

if TYPE_CHECKING:
    from calibration_pipeline.execution.worker import WorkerFacts

_NAME = "Dask cluster"
PATIENCE_SECONDS = 30.0
"""For a scheduler with workers: somebody waits for the answer."""


def check_cluster(settings: Settings, scheduler: str) -> Check:
    """Ask the scheduler for its workers, and each of them what it is."""
    place = ShardFiles(settings.archive_place)
    try:
        with open_cluster(
            scheduler, place, min(PATIENCE_SECONDS, settings.dask_timeout_seconds)
        ) as cluster:
            return judge_workers(scheduler, cluster.facts())
    except CalibrationError as error:
        return Check(_NAME, False, str(error), "do what it says, and look again; docs/scale.md")


def judge_workers(scheduler: str, workers: "Sequence[WorkerFacts]") -> Check:
    """Compare workers with this process."""
    threads = sum(worker.threads for worker in workers)
    here = installed_versions()
    different = {differences(here, worker.versions) for worker in workers} - {""}
    obstacles = {worker.obstacle for worker in workers} - {""}
    if different:
        remedy = "install the same versions on all workers: one image for both is the simplest"
        return Check(_NAME, False, f"workers have {'; '.join(sorted(different))}", remedy)
    if obstacles:
        detail = f"workers can't read the archive ({', '.join(sorted(obstacles))})"
        remedy = "let every worker reach the archive under the same name"
        return Check(_NAME, False, detail, remedy)
    detail = f"{scheduler}: {len(workers)} workers, {threads} threads, versions as here"
    others = {worker.processor for worker in workers} - {processor()}
    if others:
        detail += (
            f"; processors differ ({', '.join(sorted(others))}, here {processor()}): "
            "last digits may, too"
        )
    return Check(_NAME, True, detail)
