"""The command line on a programme whose nights are calibrated, for tests that only read."""

import os

import pytest
from click.testing import CliRunner

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.programme import (
    Programme,
    calibrated,
    environment_of,
    loaded_template,
)

__all__ = ["calibrated", "loaded_template", "on_programme"]


@pytest.fixture
def on_programme(calibrated: Programme, monkeypatch: pytest.MonkeyPatch) -> Calibrate:
    """Run a command in this process, with the programme's settings."""
    for name in os.environ:
        if name.startswith("CALIBRATION_"):
            monkeypatch.delenv(name)
    for name, value in environment_of(calibrated.settings, "unused").items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> object:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run  # type: ignore[return-value]
