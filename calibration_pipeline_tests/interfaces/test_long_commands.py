"""Commands that may take long say what they are doing, in a pipe as well."""

import pytest

from calibration_pipeline.interfaces.cli import progress
from calibration_pipeline_tests.interfaces.calibrated_commands import (
    calibrated,
    loaded_template,
    on_programme,
)
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.programme import Programme

__all__ = ["calibrated", "loaded_template", "on_programme"]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("readiness", "Looking for answers: 0"),
        ("item ITEM", "Reading the window, by day: 0 of "),
        ("anchors select", "Judging every item: 1 of 3"),
        ("priors fit --dry-run", "Learning from calibrated items: 0"),
        ("retention --dry-run", "Looking for what has expired: 0"),
    ],
)
def test_a_pipe_gets_lines_and_stdout_none_of_them(
    on_programme: Calibrate,
    calibrated: Programme,
    command: str,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = calibrated.scalar("SELECT min(item_id) FROM calibration.items")
    monkeypatch.setattr(progress, "DELAY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_SECONDS", 0.0)
    result = on_programme(*command.replace("ITEM", str(item)).split())
    assert line in result.stderr
    assert line not in result.stdout
