"""The worked example of docs/readiness.md says what the commands say."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline_tests.pages import Operator, read_page
from calibration_pipeline_tests.processes import PROJECT
from calibration_pipeline_tests.store.conftest import migrated_template, migrated_url

__all__ = ["migrated_template", "migrated_url"]

CHAPTERS = read_page((PROJECT / "docs" / "readiness.md").read_text())
ASSIGNMENT = re.compile(r"(CALIBRATION_\w+)=(.*)")


class InThisProcess(Operator):
    """Types commands without a shell, which would import everything anew for each of them."""

    def _type(self, command: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command, comments=True)
        settings = dict(match.groups() for match in map(ASSIGNMENT.fullmatch, words) if match)
        if words[0] == "export":
            self.environment |= settings
            return subprocess.CompletedProcess(command, 0, "")
        arguments = words[words.index("calibrate") + 1 :]
        unset = dict.fromkeys(name for name in os.environ if name.startswith("CALIBRATION_"))
        found = CliRunner().invoke(main, arguments, env=unset | self.environment | settings)
        return subprocess.CompletedProcess(command, found.exit_code, found.output)


def test_the_example_is_as_it_stands(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    environment = {"CALIBRATION_DATABASE_URL": migrated_url, "CALIBRATION_HOME": str(home)}
    InThisProcess(CHAPTERS, tmp_path, environment).work_through(len(CHAPTERS) - 1)
    steps = [step for chapter in CHAPTERS for block in chapter.blocks for step in block]
    assert sum("calibrate readiness" in step.command for step in steps) == 4
