"""Runs launched as the UI does it: through the web server, the queue and the daemon."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from calibration_pipeline.orchestration.dry_run import STEPS
from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline.store.turns import Turn, taking_turns
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.programme import FIRST, NIGHTS, Programme, environment_of

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
RUNS = """
query Runs {
  runsOrError {
    ... on Runs { results { runId status parentRunId tags { key value } } }
  }
}
"""
STATUS = """
query Status($run: ID!) {
  runOrError(runId: $run) { ... on Run { status startTime endTime } }
}
"""


class WebServer:
    """Dagster's web server, asked as its UI asks it."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"
        self._process = process

    def ask(self, query: str, **variables: object) -> Any:
        request = urllib.request.Request(  # noqa: S310 - http, above
            self._url,
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - the same
            return json.load(response)["data"]

    def wait(self, ready: Any, seconds: float = PATIENCE_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if found := ready():
                    return found
            except OSError:
                pass
            time.sleep(0.5)
        pytest.fail("Dagster did not get there in time")

    def launch(self, job: str, tags: dict[str, str], **selector: object) -> str:
        where = {
            "repositoryLocationName": "calibration_pipeline.definitions",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        tagged = [{"key": key, "value": value} for key, value in tags.items()]
        params = {
            "selector": where | selector,
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": tagged},
        }
        launched = self.ask(LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def status(self, run_id: str) -> dict[str, Any]:
        return dict(self.ask(STATUS, run=run_id)["runOrError"])

    def finished(self, run_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            run = self.status(run_id)
            return run if run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

        return dict(self.wait(ended))

    def retry_of(self, run_id: str) -> str:
        """Wait for the run that Dagster starts in a failed one's place."""

        def retry() -> str | None:
            found = self.ask(RUNS)["runsOrError"]["results"]
            return next((run["runId"] for run in found if run["parentRunId"] == run_id), None)

        return str(self.wait(retry))

    def tags(self, run_id: str) -> dict[str, str]:
        found = self.ask(RUNS)["runsOrError"]["results"]
        (own,) = (run for run in found if run["runId"] == run_id)
        return {tag["key"]: tag["value"] for tag in own["tags"]}

    def worker(self) -> psutil.Process:
        """The process that executes the one run under way."""
        (found,) = (
            child
            for child in psutil.Process(self._process.pid).children(recursive=True)
            if any("spawn_main" in part for part in child.cmdline())
        )
        return found


@pytest.fixture
def web_server(programme: Programme, dagster_url: str, tmp_path: Path) -> Iterator[WebServer]:
    """``dagster dev`` in a project folder, on the programme's database."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(PROJECT)}
    # The schedules run as well: their hours are kept away from the test's.
    quiet = {"CALIBRATION_RUN_HOUR": str((datetime.now(ZoneInfo("Europe/Zurich")).hour + 6) % 24)}
    arguments = ["-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "dev.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=bare | environment_of(programme.settings, dagster_url) | quiet,
            stdout=log,
            stderr=log,
        )
        server = WebServer(port, process)
        try:
            server.wait(lambda: server.ask("{ version }"))
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_SECONDS)


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
