"""Runs launched as the UI does it: through the web server, the queue and the daemon."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calibration_pipeline.orchestration.dry_run import STEPS
from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline.store.turns import Turn, taking_turns
from calibration_pipeline_tests.dagster_server import WebServer, running_dagster
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme


@pytest.fixture
def web_server(programme: Programme, dagster_url: str, tmp_path: Path) -> Iterator[WebServer]:
    """``dagster dev`` in a project folder, on the programme's database."""
    with running_dagster(programme, dagster_url, tmp_path) as server:
        yield server


def test_two_runs_at_once_wait_for_one_another_and_give_the_same_bytes(
    calibrated: Programme, programme: Programme, web_server: WebServer
) -> None:
    """A job over a range, and a run of single assets, which carries none of the job's tags."""
    nights = web_server.launch(JOB, range_tags(FIRST, NIGHTS[1], "the data lead"))
    web_server.wait(lambda: web_server.status(nights)["status"] not in ("QUEUED", "NOT_STARTED"))
    chosen = [{"path": [name]} for name in (*STEPS, "nightly_report")]
    partition = {"dagster/partition": str(NIGHTS[2])}
    assets = web_server.launch("__ASSET_JOB", partition, assetSelection=chosen)
    first, second = web_server.finished(nights), web_server.finished(assets)
    assert (first["status"], second["status"]) == ("SUCCESS", "SUCCESS")
    assert second["startTime"] >= first["endTime"]
    complete_states, complete_versions = calibrated.digests()
    assert programme.digests() == (complete_states[:3], complete_versions[:3])
    triggers = "SELECT string_agg(triggered_by, ', ' ORDER BY partition) FROM calibration.runs"
    assert programme.scalar(triggers) == "the data lead, the data lead, dagster"


@pytest.mark.slow
def test_a_full_disk_is_tried_again_and_a_verdict_is_not(
    calibrated: Programme, programme: Programme, web_server: WebServer
) -> None:
    """The folder of the archive can't be made, as on a full disk; then there is room again."""
    programme.settings.home.mkdir(exist_ok=True)
    obstacle = programme.settings.home / "archive"
    obstacle.touch()
    failed = web_server.launch(JOB, range_tags(FIRST, FIRST, "a test"))
    assert web_server.finished(failed)["status"] == "FAILURE"
    obstacle.unlink()
    retry = web_server.retry_of(failed)
    assert web_server.finished(retry)["status"] == "SUCCESS"
    states, versions = calibrated.digests()
    assert programme.digests() == (states[:1], versions[:1])

    programme.log_like("bad", NIGHTS[1], score="7")
    rejected = web_server.launch(JOB, range_tags(NIGHTS[1], NIGHTS[1], "a test"))
    assert web_server.finished(rejected)["status"] == "FAILURE"
    web_server.wait(lambda: "dagster/will_retry" in web_server.tags(rejected))
    assert web_server.tags(rejected)["dagster/will_retry"] == "false"
    outcomes = "SELECT string_agg(outcome, ', ' ORDER BY finished_at) FROM calibration.run_outcomes"
    assert programme.scalar(outcomes).endswith("completed, rejected")


def test_a_killed_run_is_tried_again(
    calibrated: Programme, programme: Programme, web_server: WebServer
) -> None:
    with programme.engine.connect() as connection, taking_turns(connection, Turn.EXTRACTION):
        killed = web_server.launch(JOB, range_tags(FIRST, FIRST, "a test"))
        held = "SELECT token > 0 FROM calibration.publication_fence"
        web_server.wait(lambda: programme.scalar(held))
        web_server.worker().kill()
        assert web_server.finished(killed)["status"] == "FAILURE"
    retry = web_server.retry_of(killed)
    assert web_server.finished(retry)["status"] == "SUCCESS"
    states, versions = calibrated.digests()
    assert programme.digests() == (states[:1], versions[:1])
