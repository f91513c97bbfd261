"""`calibrate ui`: what it refuses, and what it starts."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.processes import PATIENCE_SECONDS


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Dagster project of one asset, so that this tests the command and not our assets."""
    (tmp_path / "workspace.yaml").write_text("load_from:\n  - python_file: one_asset.py\n")
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    (tmp_path / "one_asset.py").write_text(
        "import dagster as dg\n@dg.asset\ndef numbers() -> None: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path / "home"))
    yield tmp_path
    EmbeddedServer(tmp_path / "home").remove()  # the interface leaves its database running


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_refuses_a_folder_without_a_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["ui"])
    assert result.exit_code == 2
    assert "workspace.yaml" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("project")
def test_it_refuses_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(main, ["ui", "--port", str(port)])
    assert result.exit_code == 1
    assert str(port) in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_serves_on_loopback_and_ends_on_sigterm(project: Path) -> None:
    port = _free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DAGSTER_")}
    command = [sys.executable, "-m", "calibration_pipeline.interfaces.cli", "ui"]
    with (project / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, env=environment, cwd=project
        )
    try:
        _wait_for_answer(f"http://127.0.0.1:{port}/server_info", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert f"http://127.0.0.1:{port}" in (project / "log").read_text().splitlines()[0]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)


def _wait_for_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"no answer from {url}")
