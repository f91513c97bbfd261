"""`calibrate readiness` on a small programme, before its first night and after its last."""

import json
import math
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline_tests.programme import (
    FIRST,
    LAST,
    PLAN,
    Programme,
    calibrated,
    environment_of,
    loaded_template,
    programme,
)

__all__ = ["calibrated", "loaded_template", "programme"]

Readiness = Callable[..., Result]


@pytest.fixture
def readiness_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Programme], Readiness]:
    """Run the command on a programme, under its settings."""

    def of(chosen: Programme, **changes: Any) -> Readiness:
        for name in os.environ:
            if name.startswith("CALIBRATION_"):
                monkeypatch.delenv(name)
        settings = environment_of(chosen.settings, "") | changes
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return lambda *options: CliRunner().invoke(main, ["readiness", *map(str, options)])

    return of


def test_before_and_after_all_nights_the_window_holds_the_same(
    programme: Programme,
    calibrated: Programme,
    readiness_of: Callable[[Programme], Readiness],
) -> None:
    before = json.loads(readiness_of(programme)("--json").stdout)
    after = json.loads(readiness_of(calibrated)("--json").stdout)
    assert before["counted"]["from_source"] == 4
    assert after["counted"] == before["counted"] | {
        "since": None, "state": str(LAST), "from_source": 0,
    }  # fmt: skip
    assert before["answers_in_window"] == 4 * PLAN.sessions_per_day * PLAN.answers
    counts = [
        {item["item_id"]: item["window_count"] for item in found["items"]}
        for found in (before, after)
    ]
    assert counts[0] == counts[1]
    state = calibrated.state(LAST)
    assert sum(item["total_count"] for item in after["items"]) == state.total_counts.sum()
    since = json.loads(readiness_of(programme)("--json", "--since", FIRST).stdout)
    assert sum(item["total_count"] for item in since["items"]) == state.total_counts.sum()


def test_an_item_is_told_the_day_on_which_it_crosses(
    programme: Programme, readiness_of: Callable[[Programme], Readiness]
) -> None:
    second_day = FIRST + timedelta(days=1)
    found = json.loads(readiness_of(programme)("--json", "--date", second_day).stdout)
    near = [item for item in found["items"] if 0 < item["total_count"] < 50]
    assert len(near) > 100
    for item in near:
        days = math.ceil((50 - item["total_count"]) / (item["window_count"] / 2))
        assert item["trusted_on"] == str(second_day + timedelta(days=days))
    assert near[0]["trusted_on"] <= near[-1]["trusted_on"]


def test_too_little_is_a_no(programme: Programme, readiness_of: Callable[..., Readiness]) -> None:
    result = readiness_of(programme, CALIBRATION_POLICY__MINIMUM_RESPONSES="2000")("--rows", 1)
    assert result.exit_code == 1
    assert "scales that can be fitted │ none" in " ".join(result.stdout.split())
    assert result.stderr.splitlines()[-1] == (
        "nothing can be calibrated yet: a scale needs 2 items with 2000 answers or more in a "
        "window of 4 days"
    )


def test_it_changes_nothing(
    programme: Programme, readiness_of: Callable[[Programme], Readiness]
) -> None:
    assert readiness_of(programme)().exit_code == 0
    assert programme.scalar("SELECT count(*) FROM calibration.archive_revisions") == 0
    assert not (programme.settings.home / "archive").exists()
