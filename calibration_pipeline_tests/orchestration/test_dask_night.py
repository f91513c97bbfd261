"""A night whose passes run on a Dask cluster of two worker processes."""

import subprocess
import sys

import pytest

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.irt import responses
from calibration_pipeline.orchestration.retries import causes_of
from calibration_pipeline.store.snapshots import current_version
from calibration_pipeline_tests.processes import PATIENCE_SECONDS
from calibration_pipeline_tests.programme import LAST, Programme

pytest.importorskip("distributed")

from calibration_pipeline.execution.dask_engine import DaskEngine
from calibration_pipeline_tests.execution.cluster import Cluster, cluster, free_port


def on(programme: Programme, address: str, timeout_seconds: int = 60) -> Programme:
    """The same programme, which computes on a cluster."""
    changes = {"dask_scheduler": address, "dask_timeout_seconds": timeout_seconds}
    return Programme(programme.settings.model_copy(update=changes), programme.instance)


def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give both workers something to do, though the programme is small."""
    monkeypatch.setattr(responses, "MINIMUM_SHARD_RESPONSES", 100)
    monkeypatch.setattr(responses, "SHARD_RESPONSES_PER_ITEM", 0)


def killing_one(running: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Kill a worker at the fifth pass; give the passes as they come."""
    run, passes = DaskEngine.total, []

    def total(self, data, work):
        passes.append(work)
        if len(passes) == 5:
            running.kill(running.workers[0])
        return run(self, data, work)

    monkeypatch.setattr(DaskEngine, "total", total)
    return passes


def test_a_night_on_workers_of_which_one_is_killed_ends_in_the_same_digest(
    calibrated_copy, monkeypatch
):
    small_shards(monkeypatch)
    calibrated_copy.night(LAST)
    local = calibrated_copy.state(LAST)
    assert local.folded
    with cluster(2) as running:
        passes = killing_one(running, monkeypatch)
        calibrated_copy_on = on(calibrated_copy, running.address)
        outcome = calibrated_copy_on.night(LAST)
    distributed = calibrated_copy.state(LAST)
    assert outcome.outcome == "completed"
    assert len(passes) > 10
    assert distributed.attempt == local.attempt + 1
    assert distributed.digest == local.digest
    assert not list((calibrated_copy.settings.home / "archive" / "shards").iterdir())


def test_a_scheduler_that_refuses_ends_the_night_in_one_line_and_publishes_nothing(
    calibrated_copy,
):
    before = current_version(calibrated_copy.engine), calibrated_copy.digests()
    refused = on(calibrated_copy, f"tcp://127.0.0.1:{free_port()}", timeout_seconds=1)
    with pytest.raises(Exception, match=r"can't be reached, or went away") as caught:
        refused.night(LAST)
    ours = next(c for c in causes_of(caught.value) if isinstance(c, CalibrationError))
    assert "\n" not in str(ours)
    assert (current_version(calibrated_copy.engine), calibrated_copy.digests()) == before


def test_dask_is_imported_only_where_a_scheduler_is_set(tmp_path):
    code = (
        "import sys; from calibration_pipeline.definitions import engine_of;"
        "from calibration_pipeline.settings import load_settings;"
        "engine_of(load_settings()).__enter__();"
        "print([m for m in ('dask', 'distributed') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert run.stdout.strip() == "[]"
