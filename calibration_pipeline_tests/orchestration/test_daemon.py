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
from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline.orchestration.schedule import JOB, range_tags
from calibration_pipeline_tests.processes import PROJECT
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

    def wait(self, ready: Any, seconds: float = 120) -> Any:
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


@pytest.fixture
def web_server(programme: Programme, dagster_url: str, tmp_path: Path) -> Iterator[WebServer]:
    """``dagster dev`` in a project folder, on the programme's database."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(PROJECT)}
    arguments = ["-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "dev.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=bare | environment_of(programme.settings, dagster_url),
            stdout=log,
            stderr=log,
        )
        server = WebServer(port, process)
        try:
            server.wait(lambda: server.ask("{ version }"))
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_two_runs_at_once_wait_for_one_another_and_give_the_same_bytes(
    calibrated: Programme, programme: Programme, web_server: WebServer
) -> None:
    """A job over a range, and a run of single assets, which carries none of the job's tags."""
    nights = web_server.launch(JOB, range_tags(FIRST, NIGHTS[1], "the data lead"))
    web_server.wait(lambda: web_server.status(nights)["status"] not in ("QUEUED", "NOT_STARTED"))
    assets = web_server.launch("__ASSET_JOB", {"dagster/partition": str(NIGHTS[2])})
    first, second = web_server.finished(nights), web_server.finished(assets)
    assert (first["status"], second["status"]) == ("SUCCESS", "SUCCESS")
    assert second["startTime"] >= first["endTime"]
    complete_states, complete_versions = calibrated.digests()
    assert programme.digests() == (complete_states[:3], complete_versions[:3])
    triggers = "SELECT string_agg(triggered_by, ', ' ORDER BY partition) FROM calibration.runs"
    assert programme.scalar(triggers) == "the data lead, the data lead, dagster"
