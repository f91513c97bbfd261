"""The command line against a migrated database of the test's own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline_tests.store.conftest import (
    engine,
    migrated_template,
    migrated_url,
    run_id,
)

__all__ = ["engine", "migrated_template", "migrated_url", "run_id"]

Calibrate = Callable[..., Result]


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings, but for a home folder of the test's own."""
    for name in os.environ:
        if name.startswith("CALIBRATION_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path / "home"))


@pytest.fixture
def calibrate(no_settings: None) -> Calibrate:
    """Run a command in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def on_database(
    calibrate: Calibrate, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> Calibrate:
    """Run a command in this process, on a migrated database."""
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", migrated_url)
    return calibrate
