"""Every command of docs/api.md runs as it stands, against a service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calibration_pipeline_tests.interfaces.api.conftest import own_reading
from calibration_pipeline_tests.interfaces.api.service import Service
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.snippets import code_blocks

__all__ = ["own_reading"]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


def test_the_commands_run_from_top_to_bottom(own_reading: Service, tmp_path: Path) -> None:
    blocks = [text for language, text in code_blocks("api.md") if language == "sh"]
    page = "\n".join(blocks)
    assert page.count("calibrate api --port 8000") == 1
    # The service runs already, elsewhere; errors of HTTP are to end the page.
    page = page.replace("calibrate api --port 8000", "true")
    page = page.replace("http://127.0.0.1:8000", own_reading.url)
    page = page.replace("curl -sS ", "curl -sS --fail-with-body --max-time 300 -w '\\n' ")
    tool = f'calibrate() {{ {sys.executable} -m calibration_pipeline.interfaces.cli "$@"; }}'
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")}
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{tool}\n{page}"],
        env=environment
        | {
            "CALIBRATION_DATABASE_URL": own_reading.database_url,
            "CALIBRATION_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(PROJECT),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert answers[0]["manifest"]["version"] == 2
    assert any(answer.get("decided_by", "").startswith("content team") for answer in answers)
    assert "\n304\n" in run.stdout
    assert json.loads((tmp_path / "version.json").read_text())["manifest"]["version"] == 1
    assert (tmp_path / "version.parquet").read_bytes().startswith(b"PAR1")
    paths = json.loads((tmp_path / "openapi.json").read_text())["paths"]
    written = (PROJECT / "docs" / "api.md").read_text()
    own = [path for path in paths if path.startswith("/v1/") and "/admin/" not in path]
    for path in own:
        assert path.split("/{")[0] in written
