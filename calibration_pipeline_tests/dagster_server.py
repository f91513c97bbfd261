"""``dagster dev`` for tests: its web server, queue and daemon, on a programme's database."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT, bare_environment
from calibration_pipeline_tests.programme import Programme, environment_of

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
        self.address = f"http://127.0.0.1:{port}"
        self._url = f"{self.address}/graphql"
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


@contextmanager
def running_dagster(
    programme: Programme, dagster_url: str, folder: Path, **variables: str
) -> Iterator[WebServer]:
    """Run ``dagster dev`` in a project folder; `variables` are set for it besides the programme's.

    ``{address}`` in one of them stands for the web server's own address.
    """
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # The schedules run as well: their hours are kept away from the test's.
    quiet = {"CALIBRATION_RUN_HOUR": str((datetime.now(ZoneInfo("Europe/Zurich")).hour + 6) % 24)}
    address = f"http://127.0.0.1:{port}"
    own = {name: value.replace("{address}", address) for name, value in variables.items()}
    arguments = ["-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "dev.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=bare_environment() | environment_of(programme.settings, dagster_url) | quiet | own,
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
